from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from trainers.data.dataset import Dataset, load
from trainers.data.sources import BUILT_IN
from trainers.errors import InvalidInput

SMALL = pd.DataFrame(
    {
        "age": [1.0, 3.0, np.nan, 5.0],
        "member": [True, False, True, False],
        "city": ["Paris", "Oslo", None, "Oslo"],
        "grade": pd.Categorical(["lo", "hi", "lo", "hi"], ["lo", "mid", "hi"]),
        "y": [0.5, 1.5, 2.5, 3.5],
    }
)


def mixed(rows: int = 240) -> pd.DataFrame:
    """Numbers, booleans and categories, some of them missing, and a target of two classes."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40.0, 12.0, rows),
            "city": rng.choice(["Oslo", "Paris", "Rome"], rows),
            "size": rng.integers(0, 9, rows),
            "colour": rng.choice(["red", "blue"], rows),
            "member": rng.random(rows) > 0.5,
            "income": rng.lognormal(size=rows),
            "y": rng.choice(["no", "yes"], rows),
        }
    )
    frame["age"] = frame["age"].mask(rng.random(rows) < 0.1)
    frame["income"] = frame["income"].mask(rng.random(rows) < 0.2)
    frame["city"] = frame["city"].mask(rng.random(rows) < 0.1)
    return frame


def held_out(frame: pd.DataFrame, share: float, seed: int = 0) -> tuple[Any, Any]:
    stratify = frame["y"] if frame["y"].dtype != np.float64 else None
    rows = np.arange(len(frame))
    train, rest = train_test_split(rows, test_size=share, random_state=seed, stratify=stratify)
    return train, rest


def refuses(message: str, data: Any, **options: Any) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        load(data, target="y", **options)
    assert "\n" not in str(caught.value)


def inputs_of(data: Dataset) -> NDArray[np.float64]:
    return np.concatenate([data.train_inputs, data.validation_inputs])


# -------------------------------------------------------------------------------------- the values


def test_a_small_mixed_table_by_hand() -> None:
    data = load(SMALL, target="y", missing="impute")
    assert data.feature_names == (
        "age",
        "age missing",
        "member",
        "city=Oslo",
        "city=Paris",
        "city missing",
        "grade=lo",
        "grade=hi",
    )
    root2, root3 = math.sqrt(2), math.sqrt(3)
    # Ages 1, 3, 3 (their median), 5: mean 3, deviation sqrt(2). The indicator 0, 0, 1, 0: mean
    # 1/4, deviation sqrt(3)/4. The grade `mid`, which nobody has, is no feature.
    expected = [
        [-root2, -1 / root3, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0],
        [0.0, -1 / root3, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        [0.0, root3, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0],
        [root2, -1 / root3, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0],
    ]
    np.testing.assert_allclose(data.train_inputs, expected, atol=1e-15)
    assert str(data.encoding) == (
        "8 features from 4 columns: 2 numbers standardised, 'age' with missing values imputed by "
        "the median and 1 indicator; 2 categories one-hot (5 features), 'city' with one for "
        "missing values."
    )


def plainly(frame: pd.DataFrame, train: NDArray[np.intp]) -> pd.DataFrame:
    """The rule again, in pandas, column by column."""
    out: dict[str, Any] = {}
    for name in frame.columns.drop("y"):
        column, missing = frame[name], frame[name].isna()
        if pd.api.types.is_numeric_dtype(column):
            out[name] = column.astype(float).fillna(column.iloc[train].median())
            if missing.iloc[train].any():
                out[f"{name} missing"] = missing.astype(float)
            for key in (name, f"{name} missing"):
                if key in out:
                    part = out[key].iloc[train]
                    out[key] = (out[key] - part.mean()) / part.std(ddof=0)
        else:
            for value in sorted(column.iloc[train].dropna().unique()):
                out[f"{name}={value}"] = (column == value).astype(float)
            if missing.iloc[train].any():
                out[f"{name} missing"] = missing.astype(float)
    return pd.DataFrame(out)


@pytest.mark.parametrize(("share", "seed"), [(0.2, 0), (0.5, 3)])
def test_a_mixed_table_is_what_pandas_makes_of_it(share: float, seed: int) -> None:
    frame = mixed()
    train, rest = held_out(frame, share, seed)
    data = load(frame, target="y", missing="impute", validation=share, split_seed=seed)
    expected = plainly(frame, train)
    assert data.feature_names == tuple(expected.columns)
    # 1e-12: rounding of sums of at most 240 numbers of order 1.
    np.testing.assert_allclose(data.train_inputs, expected.iloc[train], atol=1e-12)
    np.testing.assert_allclose(data.validation_inputs, expected.iloc[rest], atol=1e-12)


def test_a_mixed_table_is_what_scikit_learn_makes_of_it() -> None:
    frame = mixed()
    train, rest = held_out(frame, 0.25)
    numbers = ["age", "size", "member", "income"]
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    theirs = ColumnTransformer([("n", scaled, numbers), ("c", one_hot, ["city", "colour"])])
    x = frame.drop(columns="y").astype(dict.fromkeys(numbers, float))
    fitted = theirs.fit(x.iloc[train])
    data = load(frame, target="y", missing="impute", validation=0.25)
    order = [
        data.feature_names.index(name)
        for name in (
            *numbers,
            "age missing",
            "income missing",
            *(f"city={name}" for name in ("Oslo", "Paris", "Rome")),
            "city missing",
            "colour=blue",
            "colour=red",
        )
    ]
    assert sorted(order) == list(range(len(data.feature_names)))
    np.testing.assert_allclose(
        data.train_inputs[:, order], fitted.transform(x.iloc[train]), atol=1e-12
    )
    np.testing.assert_allclose(
        data.validation_inputs[:, order], fitted.transform(x.iloc[rest]), atol=1e-12
    )


def formerly(values: NDArray[np.float64], train: NDArray[np.intp]) -> NDArray[np.float64]:
    """How all columns were standardised before there were any but numbers."""
    varies = (values[train] != values[train[0]]).any(axis=0)
    exponent = np.frexp(np.abs(values[train]).max(axis=0))[1]
    scaled = np.ldexp(values, -exponent)
    mean, deviation = scaled[train].mean(axis=0), scaled[train].std(axis=0)
    out: NDArray[np.float64] = np.where(
        varies, (scaled - mean) / np.where(varies, deviation, 1.0), 0.0
    )
    return out


@pytest.mark.parametrize("width", [1, 2, 7])
def test_tables_of_numbers_have_the_bits_they_always_had(width: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, width)) * 10.0 ** rng.integers(-200, 200, width)
    x[:, -1] = 0.1 if width > 1 else x[:, -1]
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(width)]).assign(
        flag=rng.random(150) > 0.5, y=rng.normal(size=150)
    )
    whole = frame.drop(columns="y").to_numpy(dtype=np.float64)
    train, rest = held_out(frame, 0.2)
    for share, parts in ((0.0, [np.arange(150)]), (0.2, [train, rest])):
        data = load(frame, target="y", validation=share)
        expected = formerly(whole, parts[0])[np.concatenate(parts)]
        assert inputs_of(data).tobytes() == expected.tobytes()
        # Whatever is asked for where nothing is missing.
        same = load(frame, target="y", validation=share, missing="impute")
        assert same.fingerprint == data.fingerprint


def test_built_in_data_have_the_bits_they_always_had() -> None:
    for name in BUILT_IN:
        data = load(name)
        bunch = getattr(datasets, f"load_{name.replace('-', '_')}")()
        expected = formerly(np.ascontiguousarray(bunch.data, float), np.arange(len(bunch.data)))
        assert data.train_inputs.tobytes() == expected.tobytes()
        assert data.encoding is None


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e200, 1e308])
def test_the_median_survives_the_whole_range_of_floats(size: float) -> None:
    frame = pd.DataFrame({"x": np.array([1.0, 1.2, 1.4, 1.6, np.nan]) * size, "y": np.arange(5.0)})
    data = load(frame, target="y", task="regression", missing="impute")
    # With their median, 1.3 of them, mean 1.3 and deviation 0.2; 1e-320 has four digits.
    expected = np.array([-1.5, -0.5, 0.5, 1.5, 0.0])
    close = 2e-2 if size < 1e-300 else 1e-14
    np.testing.assert_allclose(data.train_inputs[:, 0], expected, atol=close)


def test_the_rule_holds_whatever_scikit_learn_is_set_to() -> None:
    expected = load(mixed(), target="y", missing="impute", validation=0.2)
    with sklearn.config_context(transform_output="pandas"):
        data = load(mixed(), target="y", missing="impute", validation=0.2)
    assert data.fingerprint == expected.fingerprint


# ------------------------------------------------------------------- training rows alone decide


def test_a_category_that_only_validation_has_is_all_zeros() -> None:
    frame = mixed().assign(y=np.arange(240.0))
    _, rest = held_out(frame, 0.2)
    frame.loc[rest[0], "colour"] = "violet"
    data = load(frame, target="y", missing="impute", validation=0.2)
    places = [i for i, name in enumerate(data.feature_names) if name.startswith("colour")]
    assert [data.feature_names[i] for i in places] == ["colour=blue", "colour=red"]
    assert data.validation_inputs[0, places].tolist() == [0.0, 0.0]
    assert (data.validation_inputs[1:, places].sum(axis=1) == 1.0).all()


def test_what_is_missing_only_in_validation_gets_no_feature() -> None:
    frame = mixed().assign(y=np.arange(240.0))[["size", "colour", "y"]]
    train, rest = held_out(frame, 0.2)
    frame["size"] = frame["size"].astype(float)
    frame.loc[rest[0], ["size", "colour"]] = [np.nan, None]
    data = load(frame, target="y", missing="impute", validation=0.2)
    assert data.feature_names == ("size", "colour=blue", "colour=red")
    part = frame["size"].iloc[train]
    standard = (part.median() - part.mean()) / part.std(ddof=0)
    np.testing.assert_allclose(data.validation_inputs[0], [standard, 0.0, 0.0], atol=1e-14)
    assert "'size' with missing values imputed by the median; 1 cat" in str(data.encoding)


def test_a_column_without_a_value_in_training() -> None:
    frame = pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20) + 0.5})
    train, _ = held_out(frame, 0.2)
    for values in (np.arange(20.0), np.array(["a", "b"] * 10, dtype=object)):
        frame["z"] = values
        frame.loc[train, "z"] = np.nan
        refuses(
            r"column 'z' has no value in any training row; write drop = \[\"z\"\]$",
            frame,
            missing="impute",
            validation=0.2,
        )


# ----------------------------------------------------------------------------- rows left out


def test_rows_with_missing_values_are_dropped_before_the_split() -> None:
    frame = mixed()
    frame.loc[7, "y"] = None
    whole = frame.dropna()
    data = load(frame, target="y", missing="drop", validation=0.25)
    assert data.fingerprint == load(whole, target="y", validation=0.25).fingerprint
    assert data.encoding is not None
    assert (data.encoding.dropped_rows, data.encoding.rows) == (240 - len(whole), 240)
    assert str(data.encoding).endswith(
        f"{240 - len(whole)} of 240 rows left out for missing values."
    )
    numbers = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0], "y": [0.5, 1.5, np.nan, 3.5]})
    assert load(numbers, target="y", missing="drop").train_inputs.tolist() == [[-1.0], [1.0]]
    numbers.loc[0, "x"] = np.nan
    refuses(r'missing = "drop" leaves 1 of 4 rows; at least 2 are needed', numbers, missing="drop")


def test_dropped_columns_are_as_if_they_had_never_been() -> None:
    frame = mixed().drop(columns=["age", "city", "income"])
    more = frame.assign(name=[f"n{i}" for i in range(240)], when=pd.Timestamp("2020-01-01"))
    data = load(more, target="y", drop=["name", "when"])
    assert data.fingerprint == load(frame, target="y").fingerprint
    assert str(data.encoding) == (
        "4 features from 3 columns: 2 numbers standardised; 1 category one-hot (2 features). "
        "Left out: 2 columns, 'name', 'when'."
    )


# ------------------------------------------------------------------------ the same from anywhere


class Polars:
    """As much of polars' DataFrame as is asked of it."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame

    def to_pandas(self) -> Any:
        if isinstance(self._frame, Exception):
            raise self._frame
        return self._frame


def test_a_table_is_the_same_data_from_files_and_frames(tmp_path: Path) -> None:
    frame = mixed()
    csv, parquet = tmp_path / "t.csv", tmp_path / "t.parquet"
    frame.to_csv(csv, index=False)
    frame.to_parquet(parquet)
    before = frame.copy()
    shuffled = frame.set_axis(range(500, 740), axis=0)  # an index is no column
    twice = frame.set_axis([0, 1] * 120, axis=0)
    sources = [str(csv), str(parquet), frame, shuffled, twice, Polars(frame)]
    loaded = [load(s, target="y", missing="impute", validation=0.2) for s in sources]  # type: ignore[arg-type]
    assert len({data.fingerprint for data in loaded}) == 1
    assert len({data.feature_names for data in loaded}) == 1
    assert [data.name for data in loaded[2:]] == [*["a DataFrame"] * 3, "a Polars"]
    dropped = [load(f, target="y", missing="drop").fingerprint for f in (frame, shuffled, twice)]
    assert len(set(dropped)) == 1
    pd.testing.assert_frame_equal(frame, before)
    assert shuffled.index[0] == 500


def test_frames_that_are_no_tables() -> None:
    refuses(r"data \(a Polars\) is no table: to_pandas\(\) gives a list", Polars([1]))
    missing = Polars(ModuleNotFoundError("pyarrow is required for converting"))
    refuses(r"data \(a Polars\): to_pandas\(\) needs another package: pyarrow is req", missing)
    refuses("data = array.* is not valid; give .* or a DataFrame$", np.ones((3, 2)))
    refuses("two columns are named 'a'", pd.DataFrame([[1, 2, 3]], columns=["a", "a", "y"]))
    refuses("the table has no rows", SMALL.iloc[:0])
