from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainers.data.columns import MOST_CATEGORIES, feature_column
from trainers.data.dataset import load
from trainers.errors import InvalidInput
from trainers.problems.registry import get_problem


def frame_of(values: Any, name: str = "c") -> pd.DataFrame:
    """A table of one feature, and a target that numbers the rows."""
    return pd.DataFrame({name: values, "y": np.arange(len(values)) + 0.5})


def features(values: Any, **options: Any) -> tuple[str, ...]:
    return load(frame_of(values), target="y", **options).feature_names


def refuses(message: str, values: Any, *, name: str = "c", **options: Any) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        load(frame_of(values, name), target="y", **options)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------ what is a category


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (["b", "a", "b", "a"], ("a", "b")),
        (["yes", "no", None, "no"], ("no", "yes")),
        (pd.Categorical(["lo", "hi", "lo", "hi"], ["lo", "mid", "hi"]), ("lo", "mid", "hi")),
        (pd.Categorical([3, 1, 3, 1]), ("1", "3")),
        (pd.Categorical([2.0, 0.5, 2.0, 0.5]), ("0.5", "2")),
        (np.array(["u", 1, "u", "v", "v", 1], dtype=object), ("1", "u", "v")),
        (pd.array(["b", "a", None, "a"], dtype="string"), ("a", "b")),
    ],
)
def test_text_and_categorical_columns(values: Any, categories: tuple[str, ...]) -> None:
    series = pd.Series(values, name="c")
    column = feature_column("t", "c", series)
    assert column.categories == categories
    np.testing.assert_array_equal(column.missing, series.isna())
    assert all(v is None or v in categories for v in column.values)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([3, 1, 3, 10], ("c=1", "c=3", "c=10")),  # as numbers, not as text
        ([2.0, 0.5, np.nan, 2.0], ("c=0.5", "c=2", "c missing")),
        ([True, False, True, True], ("c=False", "c=True")),
        (np.array([True, None, False, True], dtype=object), ("c=False", "c=True", "c missing")),
        (pd.array([True, None, False, True], "boolean"), ("c=False", "c=True", "c missing")),
        (["07", "12", "07", "99"], ("c=07", "c=12", "c=99")),
        (["missing", None, "a", "a"], ("c=a", "c=missing", "c missing")),
    ],
)
def test_columns_that_the_user_calls_categorical(values: Any, wanted: tuple[str, ...]) -> None:
    data = load(frame_of(values), target="y", categorical=["c"], missing="impute")
    assert data.feature_names == wanted
    assert (data.train_inputs.sum(axis=1) == 1.0).all()


def test_booleans_with_missing_values_are_numbers() -> None:
    for values in (
        np.array([True, None, False, True], dtype=object),
        pd.array([True, None, False, True], "boolean"),
    ):
        data = load(frame_of(values), target="y", missing="impute")
        assert data.feature_names == ("c", "c missing")
        # 1, 1 (the median), 0, 1: mean 3/4, deviation sqrt(3)/4.
        expected = np.array([1.0, 1.0, -3.0, 1.0]) / np.sqrt(3.0)
        np.testing.assert_allclose(data.train_inputs[:, 0], expected, atol=1e-15)


# ------------------------------------------------------------------------- what is no category


def test_text_that_is_mostly_numbers_is_no_category() -> None:
    choice = r'or write categorical = \["c"\] or drop = \["c"\]$'
    wrong = "column 'c' does not hold numbers: {}; correct it, " + choice
    refuses(wrong.format("'Paris' in row 3"), ["3", "4", "Paris", "4", "4", "Oslo"])
    # Of which a category for each of three values would be made without a word.
    refuses(wrong.format("'1,000' in row 1"), ["1,000", "2,000", "3,000"] * 20)
    refuses(wrong.format("'z' in row 3"), ["1", "2", "z"] * 20)
    refuses(wrong.format("'z' in row 2"), ["1", "z"] * 20)  # half of them are many enough
    assert features(["1", "z", "y"] * 20) == ("c=1", "c=y", "c=z")
    # Who says that they are categories is believed, by the dtype too.
    assert features(pd.Categorical(["07", "12"] * 20)) == ("c=07", "c=12")


def test_ids_and_free_text_are_no_categories() -> None:
    advice = r'write drop = \["full \\"name\\""\], encode it in fewer, or write categorical = \["f'
    ids = [f"p{i}" for i in range(30)]
    refuses(f"has 30 different values in 30 rows, too many .*{advice}", ids, name='full "name"')
    # 16 values have fewer than two rows each, 15 have two.
    refuses("'c' has 16 different values in 30 rows", [f"p{min(i, 15)}" for i in range(30)])
    assert len(features([f"p{min(i, 14)}" for i in range(30)])) == 15
    many = [f"p{i % (MOST_CATEGORIES + 1)}" for i in range(1000)]
    refuses("'c' has 101 different values in 1,000 rows", many)
    refuses("'c' has 101 different values in 1,000 rows", pd.Categorical(many))
    assert len(features(many, categorical=["c"])) == MOST_CATEGORIES + 1
    assert len(features([f"p{i % MOST_CATEGORIES}" for i in range(1000)])) == MOST_CATEGORIES
    # Missing values are no rows of it.
    refuses("'c' has 3 different values in 3 rows", ["u", "v", "w", None, None], missing="impute")
    assert features(["u", "v"]) == ("c=u", "c=v")


# ------------------------------------------------------------------------------- missing values


def test_missing_values_are_never_filled_in_unasked() -> None:
    refuses(
        r"column 'c' has 1 missing value, in row 2; write missing = \"impute\" to fill them in, "
        r"or missing = \"drop\" to leave such rows out$",
        [1.0, np.nan, 3.0],
    )
    refuses("'c' has 2 missing values, in rows 1, 4; write", [None, "a", "b", None, "a", "b"])
    refuses("'c' has 1,200 missing values, in rows 2, 4, 6 and 1,197 more;", [1.0, None] * 1200)
    two = frame_of([1.0, None, 3.0]).assign(d=pd.Series([None, "u", "u"]))
    with pytest.raises(InvalidInput, match="in row 2, and so has 1 other column; write"):
        load(two, target="y")
    with pytest.raises(InvalidInput, match="in row 2, and so have 2 other columns; write"):
        load(two.assign(e=two["d"]), target="y")


def test_a_target_is_not_filled_in() -> None:
    for y in ([0.5, None, 2.5], ["a", None, "b"]):
        frame = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": y})
        for missing in ("error", "impute"):
            with pytest.raises(InvalidInput, match="'y' has 1 missing value, in row 2; a target"):
                load(frame, target="y", missing=missing)
        assert len(load(frame, target="y", missing="drop").train_inputs) == 2


@pytest.mark.parametrize("missing", ["error", "impute", "drop"])
def test_no_rule_makes_numbers_of_infinity_or_nothing(missing: str) -> None:
    refuses("'c' has 1 infinite value, in row 2; correct", [1.0, np.inf, None], missing=missing)
    nothing = r"column 'c' has no value at all; write drop = \[\"c\"\]$"
    refuses(nothing, [None, None, None], missing=missing)
    refuses(nothing, np.full(3, np.nan), missing=missing)
    refuses(nothing, np.full(3, np.nan), missing=missing, categorical=["c"])


# --------------------------------------------------------------------------------- the keys


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "imput"}, "missing = 'imput' is not valid; did you mean 'impute'. valid: err"),
        ({"missing": None}, "missing = None is not valid; valid: error, impute, drop"),
        ({"drop": "c"}, r"drop = 'c' is not valid; give a list of columns, as in drop = \["),
        ({"drop": [1]}, r"drop = \[1\] is not valid"),
        ({"categorical": True}, "categorical = True is not valid; give a list of columns"),
        ({"drop": ["d"]}, "drop: there is no column 'd'; name one of the columns: 'c', 'y'"),
        ({"categorical": ["cc"]}, "categorical: there is no column 'cc'; did you mean 'c'"),
        ({"drop": ["y"]}, "drop names the target 'y'; it is for features"),
        ({"categorical": ["y"]}, "categorical names the target 'y'; it is for features"),
        ({"drop": ["c"], "categorical": ["c"]}, "column 'c' is named in both drop and categorical"),
        ({"drop": ["c"]}, "all others than the target 'y' are dropped; there is nothing to learn"),
    ],
)
def test_keys_that_are_not_valid(options: dict[str, Any], message: str) -> None:
    refuses(message, [1.0, 2.0, 3.0], **options)


@pytest.mark.parametrize("options", [{"missing": "drop"}, {"drop": ["a"]}, {"categorical": ["a"]}])
def test_built_in_data_take_no_such_key(options: dict[str, Sequence[str] | str]) -> None:
    with pytest.raises(
        InvalidInput, match="missing, drop, keep and categorical are for tables; 'wine'"
    ):
        load("wine", **options)  # type: ignore[arg-type]


def test_the_problem_takes_the_keys() -> None:
    frame = frame_of(["u", None, "v", "u", "v", "u"], "city").assign(name=list("abcdef"))
    problem = get_problem(
        "mlp", data=frame, target="y", drop=["name"], missing="impute", validation=0.0, hidden=[2]
    )
    data = problem.loaded_data
    assert data is not None
    assert data.feature_names == ("city=u", "city=v", "city missing")
    assert problem.parameters == 3 * 2 + 2 + 2 + 1
    with pytest.raises(
        InvalidInput, match=r"problem mlp: data \(a DataFrame\): column 'name' has 6"
    ):
        get_problem("mlp", data=frame, target="y")
