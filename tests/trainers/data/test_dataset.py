from __future__ import annotations

import contextlib
import dataclasses
import datetime
import decimal
import hashlib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets
from sklearn.model_selection import train_test_split

from trainers.data.dataset import BUILT_IN, Dataset, load
from trainers.errors import InvalidInput

Save = Callable[..., str]


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str], str]:
    """Write text as a CSV file and give its path."""

    def save(text: str) -> str:
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return save


@pytest.fixture
def parquet(tmp_path: Path) -> Save:
    def save(**columns: Any) -> str:
        path = tmp_path / "table.parquet"
        pd.DataFrame(columns).to_parquet(path)
        return str(path)

    return save


@pytest.fixture
def npz(tmp_path: Path) -> Save:
    def save(**arrays: Any) -> str:
        path = tmp_path / "table.npz"
        np.savez(path, **arrays)
        return str(path)

    return save


def table(rows: int = 60, classes: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "a": rng.normal(5.0, 2.0, rows),
        "b": rng.integers(0, 100, rows),
        "label": [f"class {i % classes}" for i in range(rows)],
    }


def refuses(message: str, data: Any, **options: Any) -> None:
    """`load` refuses with one line in which the regular expression `message` is found."""
    with pytest.raises(InvalidInput, match=message) as caught:
        load(data, **options)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------- built in


# Rows, features, classes: the data sets' own descriptions in scikit-learn.
@pytest.mark.parametrize(
    ("name", "rows", "features", "classes"),
    [
        ("breast-cancer", 569, 30, ("malignant", "benign")),
        ("digits", 1797, 64, tuple("0123456789")),
        ("wine", 178, 13, ("class_0", "class_1", "class_2")),
        ("diabetes", 442, 10, ()),
    ],
)
def test_built_in_data(name: str, rows: int, features: int, classes: tuple[str, ...]) -> None:
    data = load(name, validation=0.2)
    held_out = math.ceil(0.2 * rows)
    outputs = len(classes) or 1
    assert data.train_inputs.shape == (rows - held_out, features)
    assert data.train_targets.shape == (rows - held_out, outputs)
    assert data.validation_inputs.shape == (held_out, features)
    assert data.validation_targets.shape == (held_out, outputs)
    assert data.classes == classes
    assert len(data.feature_names) == features
    assert (data.name, data.task, data.task_was_guessed) == (name, BUILT_IN[name], False)
    assert data.guess_reason == f"{name} is a built-in data set for {BUILT_IN[name]}."
    for array in arrays(data):
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert np.isfinite(array).all()


def arrays(data: Dataset) -> tuple[np.ndarray[Any, Any], ...]:
    return data.train_inputs, data.train_targets, data.validation_inputs, data.validation_targets


def test_built_in_targets_are_scikit_learns() -> None:
    cancer = load("breast-cancer")
    np.testing.assert_array_equal(
        cancer.train_targets.argmax(axis=1), datasets.load_breast_cancer().target
    )
    raw = datasets.load_diabetes().target
    # 1e-12: rounding of sums of 442 numbers.
    np.testing.assert_allclose(
        load("diabetes").train_targets[:, 0], (raw - raw.mean()) / raw.std(), atol=1e-12
    )


def test_a_built_in_set_keeps_its_target_and_task() -> None:
    refuses("target = 'y': 'wine' has its own target; drop the key", "wine", target="y")
    refuses("task = 'regression': 'wine' is for classification", "wine", task="regression")
    refuses("'diabetes' is for regression", "diabetes", task="classification")
    assert load("wine", task="classification").task == "classification"


# ------------------------------------------------------------------- splitting, scaling, encoding


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize(("validation", "seed"), [(0.2, 0), (0.37, 5)])
def test_the_split_is_scikit_learns(name: str, validation: float, seed: int) -> None:
    whole = load(name)
    labels = whole.train_targets.argmax(axis=1) if whole.classes else None
    bunch = getattr(datasets, f"load_{name.replace('-', '_')}")()
    train, held_out, before, after = train_test_split(
        bunch.data, bunch.target, test_size=validation, random_state=seed, stratify=labels
    )
    data = load(name, validation=validation, split_seed=seed)
    varies = train.std(axis=0) > 0
    mean, deviation = train.mean(axis=0)[varies], train.std(axis=0)[varies]
    # 1e-9: features of breast-cancer go to 4254 and have deviations of 0.003.
    for mine, theirs in ((data.train_inputs, train), (data.validation_inputs, held_out)):
        np.testing.assert_allclose(
            mine[:, varies], (theirs[:, varies] - mean) / deviation, atol=1e-9
        )
        assert (mine[:, ~varies] == 0.0).all()
    for targets, raw in ((data.train_targets, before), (data.validation_targets, after)):
        if whole.classes:
            np.testing.assert_array_equal(targets.argmax(axis=1), raw)
        else:
            scaled = (raw - before.mean()) / before.std()
            np.testing.assert_allclose(targets[:, 0], scaled, atol=1e-12)


@pytest.mark.parametrize("name", BUILT_IN)
def test_training_rows_are_standardised(name: str) -> None:
    data = load(name, validation=0.3)
    deviation = data.train_inputs.std(axis=0)
    # 1e-12: rounding of sums of at most 1258 numbers of order 1.
    np.testing.assert_allclose(data.train_inputs.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(deviation[deviation > 0], 1.0, atol=1e-12)
    if data.task == "regression":
        np.testing.assert_allclose(data.train_targets.mean(), 0.0, atol=1e-12)
        np.testing.assert_allclose(data.train_targets.std(), 1.0, atol=1e-12)
    # Scaled by the training rows, so not by its own.
    assert np.abs(data.validation_inputs.mean(axis=0)).max() > 1e-3
    if name == "digits":
        assert (deviation == 0.0).sum() >= 3  # pixels that are blank in every picture


def test_classes_are_one_hot_and_stratified() -> None:
    data = load("wine", validation=0.25)
    for targets in (data.train_targets, data.validation_targets):
        assert set(np.unique(targets)) == {0.0, 1.0}
        assert (targets.sum(axis=1) == 1.0).all()
    everyone = load("wine").train_targets.mean(axis=0)
    # A stratified split is within one row of each class's share: 1 / 45.
    np.testing.assert_allclose(data.validation_targets.mean(axis=0), everyone, atol=1 / 45)
    np.testing.assert_allclose(data.train_targets.mean(axis=0), everyone, atol=1 / 133)


def test_rare_classes_are_stratified(csv: Callable[[str], str]) -> None:
    text = "x,y\n" + "".join(f"{i},{'rare' if i < 10 else 'common'}\n" for i in range(200))
    for seed in range(20):  # an unstratified split has 2 rare rows of 40 in 3 of 10 cases
        data = load(csv(text), target="y", validation=0.2, split_seed=seed)
        assert data.classes == ("common", "rare")
        assert data.validation_targets[:, 1].sum() == 2


def test_without_validation_all_rows_train_in_order(csv: Callable[[str], str]) -> None:
    data = load(csv("x,y\n1,10\n2,20\n6,60\n"), target="y", task="regression")
    # Mean 3, deviation sqrt((4 + 1 + 9) / 3).
    expected = np.array([[-2.0], [-1.0], [3.0]]) / np.sqrt(14 / 3)
    np.testing.assert_allclose(data.train_inputs, expected, atol=1e-15)
    np.testing.assert_allclose(data.train_targets, expected, atol=1e-15)
    assert data.validation_inputs.shape == (0, 1)
    assert data.validation_targets.shape == (0, 1)
    assert data.feature_names == ("x",)
    assert data.classes == ()


def test_constant_columns_become_zeros(csv: Callable[[str], str]) -> None:
    # The deviation of ten times 0.1 is 1.4e-17 in floating point: dividing by it would give -1.
    text = "x,c,y\n" + "".join(f"{i},0.1,{i * i}.5\n" for i in range(10))
    data = load(csv(text), target="y")
    assert (data.train_inputs[:, 1] == 0.0).all()
    np.testing.assert_allclose(data.train_inputs[:, 0].std(), 1.0, atol=1e-15)


def test_a_column_that_varies_only_in_validation_is_zero_there_too(npz: Save) -> None:
    rows = 20
    _, held_out = train_test_split(np.arange(rows), test_size=0.2, random_state=0)
    x = np.stack([np.arange(rows) * 1.0, np.zeros(rows)], axis=1)
    x[held_out[0], 1] = 1.0
    data = load(npz(X=x, y=np.arange(rows) + 0.5), validation=0.2)
    assert (data.train_inputs[:, 1] == 0.0).all()
    assert (data.validation_inputs[:, 1] == 0.0).all()


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1.0, 1e200, 1e308])
def test_scaling_survives_the_whole_range_of_floats(npz: Save, size: float) -> None:
    x = np.array([[-1.0], [0.0], [1.0]]) * size
    data = load(npz(X=x, y=x[:, 0]), task="regression")
    expected = np.array([[-1.0], [0.0], [1.0]]) * np.sqrt(1.5)
    np.testing.assert_allclose(data.train_inputs, expected, rtol=1e-15)
    np.testing.assert_allclose(data.train_targets, expected, rtol=1e-15)


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=30),
    st.floats(0.0, 0.5),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_finite_column_stays_finite(
    tmp_path_factory: pytest.TempPathFactory, column: list[float], validation: float, seed: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.npz"
    np.savez(path, X=np.array(column)[:, None], y=np.arange(len(column)) % 2)
    options: dict[str, Any] = {"validation": validation, "split_seed": seed, "task": "regression"}
    try:
        data = load(str(path), **options)
    except InvalidInput:  # by chance all training rows have the same target, or input
        refuses("every training row|no feature varies", str(path), **options)
        return
    assert np.isfinite(data.train_inputs).all()
    deviation = data.train_inputs.std()
    assert deviation == 0.0 or deviation == pytest.approx(1.0, abs=1e-6)


# ---------------------------------------------------------------------- determinism, fingerprint


def test_the_same_call_gives_the_same_data() -> None:
    first, second = (load("wine", validation=0.3, split_seed=7) for _ in range(2))
    for one, other in zip(arrays(first), arrays(second), strict=True):
        np.testing.assert_array_equal(one, other)
    assert first.fingerprint == second.fingerprint


def test_the_fingerprint_is_the_hash_of_shapes_and_bytes() -> None:
    data = load("diabetes", validation=0.25)
    digest = hashlib.sha256()
    for array in arrays(data):
        digest.update(repr(array.shape).encode() + array.tobytes())
    assert data.fingerprint == digest.hexdigest()


def test_the_fingerprint_tells_data_apart(npz: Save) -> None:
    x = np.arange(24.0).reshape(12, 2) ** 2
    y = np.arange(12) % 2
    moved = x.copy()
    moved[3, 1] += 1e-9
    prints = [
        load(npz(X=x, y=y)).fingerprint,
        load(npz(X=moved, y=y)).fingerprint,
        load(npz(X=x, y=1 - y)).fingerprint,
        load(npz(X=x, y=y), task="regression").fingerprint,
        load(npz(X=x, y=y), validation=0.25).fingerprint,
        load(npz(X=x, y=y), validation=0.25, split_seed=1).fingerprint,
        load(npz(X=x[::-1], y=y[::-1])).fingerprint,
    ]
    assert len(set(prints)) == len(prints)


def test_one_table_is_the_same_data_in_every_format(
    csv: Callable[[str], str], parquet: Save, npz: Save
) -> None:
    columns = table()
    paths = [csv(pd.DataFrame(columns).to_csv(index=False)), parquet(**columns)]
    loaded = [load(path, target="label", validation=0.25) for path in paths]
    x = np.stack([columns["a"], columns["b"]], axis=1)
    loaded.append(load(npz(X=x, y=np.array(columns["label"])), validation=0.25))
    assert len({data.fingerprint for data in loaded}) == 1
    assert {data.classes for data in loaded} == {("class 0", "class 1", "class 2")}
    assert [data.feature_names for data in loaded] == [("a", "b"), ("a", "b"), ("X[0]", "X[1]")]
    assert [data.name for data in loaded] == [*paths, str(Path(paths[0]).with_suffix(".npz"))]


def test_a_dataset_is_frozen_and_prints_briefly() -> None:
    data = load("wine")
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]
    assert "array" not in repr(data)
    assert data.fingerprint in repr(data)


# ------------------------------------------------------------------------------------ the guess


@pytest.mark.parametrize(
    ("target", "task", "reason"),
    [
        (["yes", "no"] * 30, "classification", "The target 'y' is text."),
        ([True, False] * 30, "classification", "The target 'y' is true or false."),
        (pd.Categorical(["lo", "hi"] * 30), "classification", "The target 'y' is text."),
        ([0, 1, 2] * 20, "classification", "has 3 distinct whole numbers in 60 rows, few enough"),
        ([0.0, 1.0] * 30, "classification", "has 2 distinct whole numbers in 60 rows, few enough"),
        ([0, 1, 2, 3] * 15, "regression", "has 4 distinct whole numbers in 60 rows, too many"),
        ([0, 1] * 3, "classification", "has 2 distinct whole numbers in 6 rows, few enough"),
        ([0, 1, 2] * 2, "regression", "has 3 distinct whole numbers in 6 rows, too many"),
        (list(range(20)) * 20, "classification", "20 distinct whole numbers in 400 rows, few"),
        (list(range(20)) * 19, "regression", "20 distinct whole numbers in 380 rows, too many"),
        (list(range(21)) * 50, "regression", "21 distinct whole numbers in 1050 rows, too many"),
        ([0.5, 1.0] * 30, "regression", "The target 'y' has fractions."),
    ],
)
def test_the_task_is_guessed_and_said(parquet: Save, target: Any, task: str, reason: str) -> None:
    data = load(parquet(x=np.arange(len(target)), y=target), target="y")
    assert data.task == task
    assert data.task_was_guessed
    assert reason in data.guess_reason
    assert data.guess_reason.endswith(".")


def test_a_stated_task_is_not_guessed(parquet: Save) -> None:
    path = parquet(x=np.arange(60), y=[0, 1, 2] * 20)
    data = load(path, target="y", task="regression")
    assert (data.task, data.task_was_guessed) == ("regression", False)
    assert data.guess_reason == "The job says so."
    assert data.train_targets.shape == (60, 1)


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (["b", "a"] * 5, ("a", "b")),
        ([True, False] * 5, ("False", "True")),
        ([10, 9] * 5, ("9", "10")),
        ([2.0, -1.0] * 5, ("-1", "2")),
        ([0.5, 0.25] * 5, ("0.25", "0.5")),
        # The categories' own order; one that does not occur is no class.
        (pd.Categorical(["lo", "hi"] * 5, categories=["lo", "mid", "hi"]), ("lo", "hi")),
    ],
)
def test_classes_are_named_in_order(parquet: Save, target: Any, classes: tuple[str, ...]) -> None:
    data = load(parquet(x=np.arange(10), y=target), target="y", task="classification")
    assert data.classes == classes
    named = [data.classes[code] for code in data.train_targets.argmax(axis=1)]
    assert named == [str(value).removesuffix(".0") for value in target]


# ------------------------------------------------------------------------------- kinds of column


def test_booleans_and_other_numbers_are_numbers(parquet: Save) -> None:
    path = parquet(
        flag=[True, False, True],
        nullable=pd.array([1, 2, 3], dtype="Int64"),
        maybe=pd.array([True, False, False], dtype="boolean"),
        small=np.array([1.5, 2.5, 3.5], dtype=np.float32),
        money=[decimal.Decimal("1.10"), decimal.Decimal("2.20"), decimal.Decimal("3.30")],
        y=[0.5, 1.5, 2.5],
    )
    data = load(path, target="y")
    root = math.sqrt(1.5)
    rising = [-root, 0.0, root]
    # True, False, True: mean 2/3, deviation sqrt(2)/3.
    expected = np.array(
        [
            [1 / math.sqrt(2), -math.sqrt(2), 1 / math.sqrt(2)],
            rising,
            [math.sqrt(2), -1 / math.sqrt(2), -1 / math.sqrt(2)],
            rising,
            rising,
        ]
    ).T
    np.testing.assert_allclose(data.train_inputs, expected, atol=1e-14)


def test_booleans_in_csv_and_as_a_regression_target(csv: Callable[[str], str]) -> None:
    data = load(csv("f,y\nTrue,true\nFalse,false\n"), target="y", task="regression")
    np.testing.assert_array_equal(data.train_inputs, [[1.0], [-1.0]])
    np.testing.assert_array_equal(data.train_targets, [[1.0], [-1.0]])


def test_npz_arrays_by_name(npz: Save) -> None:
    x, y = np.arange(8.0).reshape(4, 2), np.arange(4) + 0.5
    expected = load(npz(X=x, y=y)).fingerprint
    assert load(npz(features=x, price=y), target="price").fingerprint == expected
    assert load(npz(X=x, y=y), target="y").fingerprint == expected
    assert load(npz(X=x, y=y[:, None])).fingerprint == expected
    assert load(npz(X=x.astype(">f8"), y=y.astype(">f4"))).fingerprint == expected
    assert load(npz(X=x, y=y, more=y)).fingerprint == expected


def test_odd_but_good_csv(tmp_path: Path) -> None:
    path = tmp_path / "odd.CSV"
    # A byte order mark, Windows line ends, a quoted comma, a blank line at the end.
    path.write_bytes(b'\xef\xbb\xbf"x, in m",y\r\n1,"a, b"\r\n2,c\r\n\r\n')
    data = load(str(path), target="y")
    assert data.feature_names == ("x, in m",)
    assert data.classes == ("a, b", "c")


# -------------------------------------------------------------------------- what is not accepted


def test_bad_options() -> None:
    refuses(
        "task = 'clasification' is not valid; did you mean 'class", "wine", task="clasification"
    )
    for bad in (-0.1, 1.0, 2, math.nan, "0.2", True, None):
        refuses("validation = .* is not valid; give a share of the rows", "wine", validation=bad)
    for bad in (-1, 2**32, 0.5, "0", True, None):
        refuses("split_seed = .* is not valid; give a whole number", "wine", split_seed=bad)
    refuses("target = 3 is not valid; give the name of a column", "wine", target=3)


@pytest.mark.parametrize("bad", ["", "  ", None, 3, ["wine"], "a\0b.csv"])
def test_data_that_is_no_name(bad: Any) -> None:
    refuses("data = .* is not valid; give breast-cancer, digits, wine, diabetes, or the path", bad)


def test_unknown_names() -> None:
    refuses("data = 'breast_cancer' is unknown; did you mean 'breast-cancer'", "breast_cancer")
    refuses("'mnx' is unknown; valid: breast-cancer, digits, wine, diabetes, or the path", "mnx")


def test_missing_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    refuses(r"does not exist; give breast-cancer.*\(.csv, .parquet", str(tmp_path / "houses.csv"))
    (tmp_path / "house.csv").write_text("")
    (tmp_path / "zebra.npz").write_text("")
    refuses("does not exist; the nearest file there is 'house.csv'", str(tmp_path / "houses.csv"))
    # However far: it shows which directory was looked in.
    refuses("the nearest file there is 'zebra.npz'", str(tmp_path / "q.npz"))
    refuses("nor does the directory '.*nowhere'", str(tmp_path / "nowhere" / "houses.csv"))
    refuses("does not exist", "surely-no-such-file.csv")
    refuses("cannot be read: File name too long", "x" * 5000 + ".csv")


def test_directories_and_other_files(tmp_path: Path) -> None:
    refuses("is a directory; give the path or URI of a file", str(tmp_path))
    directory = tmp_path / "parts.parquet"
    directory.mkdir()
    refuses("is a directory", str(directory))
    for name, words in (("a.txt", "the extension '.txt'"), ("b", "no extension")):
        (tmp_path / name).write_text("x,y\n1,2\n")
        refuses(f"has {words}; valid: .csv, .parquet, .npz", str(tmp_path / name), target="y")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "the file is empty; give a header and rows"),
        ("a.csv", b"\n\n", "the file is empty"),
        ("a.csv", b"x,y\n", "the table has no rows"),
        ("a.csv", b"x,y\n1,2\n3,4,5\n", "cannot be read as a CSV.*Expected 2 fields in line 3"),
        ("a.csv", b"x,y\n1,2,3\n4,5,6\n", "cannot be read as a CSV"),
        ("a.csv", b'x,y\n1,"2\n3,4\n', "cannot be read as a CSV.*EOF inside string"),
        ("a.csv", b"x,y\n1,\xe9\n", "cannot be read as a CSV table in UTF-8"),
        ("a.csv", bytes(range(256)) * 8, "cannot be read as a CSV table in UTF-8"),
        ("a.parquet", b"", "cannot be read as a Parquet table"),
        ("a.parquet", b"PAR1" + b"junk" * 9 + b"PAR1", "cannot be read as a Parquet table"),
        ("a.parquet", b"x,y\n1,2\n", "cannot be read as a Parquet table"),
        ("a.npz", b"", "cannot be read as an NPZ file"),
        ("a.npz", b"PK\x03\x04junk", "cannot be read as an NPZ file"),
        ("a.npz", b"x,y\n1,2\n", "cannot be read as an NPZ file"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    refuses(f"{re.escape(name)}'.*{message}", str(tmp_path / name), target="y")


@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_damaged_files_never_escape_as_another_error(parquet: Save, npz: Save, kind: str) -> None:
    rows = 40
    path = Path(
        parquet(x=np.arange(rows), y=np.arange(rows) % 2)
        if kind == "parquet"
        else npz(X=np.arange(rows * 1.0)[:, None], y=np.arange(rows) % 2)
    )
    whole = path.read_bytes()
    for cut in range(0, len(whole), len(whole) // 15):
        path.write_bytes(whole[:cut])
        refuses("cannot be read", str(path), target="y")
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        # The damage may be in bytes that nobody reads.
        with contextlib.suppress(InvalidInput):
            load(str(path), target="y")
            continue
        refused += 1
    assert refused > 10


def test_missing_targets(csv: Callable[[str], str]) -> None:
    path = csv("width,height,price\n1,2,3\n4,5,6\n")
    refuses("no target is given; name one of the columns: 'width', 'height', 'price'", path)
    refuses(
        "no column 'prize'; did you mean 'price'. the columns: 'width', 'height', 'price'",
        path,
        target="prize",
    )
    refuses("there is no column 'zzz'; name one of the columns: 'width'", path, target="zzz")
    wide = csv(",".join(f"c{i}" for i in range(30)) + "\n" + ",".join("1" * 30) + "\n")
    refuses("'c19', and 10 more$", wide)
    refuses("'y' is the only column; there is nothing to learn from", csv("y\n1\n2\n"), target="y")


def test_duplicate_and_unnamed_columns(csv: Callable[[str], str], tmp_path: Path) -> None:
    refuses("two columns are named 'a'; rename or drop one", csv("a,y,a\n1,2,3\n"), target="y")
    refuses("column 1 has no name; name it", csv(",a,y\nu,1,0\nv,2,1\n"), target="y")
    columns = [pyarrow.array([1, 2])] * 3
    path = tmp_path / "twice.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns, names=["a", "a", "y"]), path)
    refuses("two columns are named 'a'; rename or drop one", str(path), target="y")


def test_columns_of_neither_numbers_nor_categories(parquet: Save) -> None:
    dates = parquet(d=pd.to_datetime(["2020-01-01", "2020-01-02"]), y=[0, 1])
    refuses("column 'd' does not hold numbers: Timestamp", dates, target="y")
    days = parquet(d=[datetime.date(2020, 1, 1), None], y=[0, 1])
    refuses("column 'd' does not hold numbers: datetime.date.* in row 1", days, target="y")
    lists = parquet(v=[[1, 2], [3, 4]], y=[0, 1])
    refuses(r"column 'v' holds an array in row 1; .* drop = \[\"v\"\]$", lists, target="y")
    # Text reads as dates nowhere: it is said that it has too many values.
    written = parquet(d=[f"2020-01-{day:02}" for day in range(1, 29)], y=range(28))
    refuses("column 'd' has 28 different values in 28 rows, too many", written, target="y")


@pytest.mark.parametrize("column", ["x", "y"])
@pytest.mark.parametrize("bad", ["", "NA", "nan", "inf", "-inf", "1e400", "9" * 400])
def test_missing_and_infinite_values(csv: Callable[[str], str], column: str, bad: str) -> None:
    row = {"x": f"{bad},5", "y": f"5,{bad}"}[column]
    text = csv(f"x,y\n1,1.5\n2,2\n{row}\n4,4\n{row}\n")
    what, advice = "infinite", "correct them or drop their rows"
    if bad in ("", "NA", "nan"):
        what, advice = "missing", '.*write missing = "'
    refuses(f"column '{column}' has 2 {what} values, in rows 3, 5; {advice}", text, target="y")


def test_missing_values_of_other_kinds(parquet: Save, npz: Save, csv: Callable[[str], str]) -> None:
    good = [0.5, 1.5, 2.5]
    for bad in (
        pd.array([1, None, 3], dtype="Int64"),
        [True, None, False],
        [decimal.Decimal(1), None, decimal.Decimal(2)],
    ):
        refuses("column 'x' has 1 missing.*in row 2", parquet(x=bad, y=good), target="y")
    for target in (["a", None, "b"], pd.Categorical(["a", None, "b"]), [True, None, False]):
        refuses("column 'y' has 1 missing.*in row 2", parquet(x=good, y=target), target="y")
    x = np.ones((3, 2))
    x[1, 1] = np.nan
    refuses(r"column 'X\[1\]' has 1 missing.*in row 2", npz(X=x, y=good))
    refuses("column 'y' has 1 missing", csv("x,y\n1,2\n3\n"), target="y")  # a short row


def test_npz_of_the_wrong_make(npz: Save, tmp_path: Path) -> None:
    x, y = np.ones((4, 2)), np.arange(4)
    refuses("needs the arrays X and y; it holds: 'a', 'b'", npz(a=x, b=y))
    refuses(
        "needs the arrays 'b' and one other, the inputs; it holds: 'a', 'b', 'c'",
        npz(a=x, b=y, c=y),
        target="b",
    )
    refuses("needs the arrays 'z' and one other", npz(a=x, b=y), target="z")
    refuses(
        r"X has shape \(4, 2\) and y \(3,\); they must be \(N, D\) and \(N,\)", npz(X=x, y=y[:3])
    )
    refuses(r"X has shape \(4,\)", npz(X=y, y=y))
    refuses(r"y \(4, 2\)", npz(X=x, y=x))
    refuses("the table has no rows", npz(X=x[:0], y=y[:0]))
    refuses("nothing to learn from", npz(X=x[:, :0], y=y))
    refuses("does not hold numbers", npz(X=x * 1j, y=y))
    refuses("Object arrays cannot be loaded", npz(X=x, y=np.array(["a", 1, None, 2], dtype=object)))
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], dtype="datetime64[D]")
    refuses("target 'y' is of type datetime64.*must be numbers or text", npz(X=x, y=days))
    refuses("target 'y' is of type complex128", npz(X=x, y=y * 1j))
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, x)
    refuses("this is one array; save arrays X and y", str(tmp_path / "one.npz"))


def test_targets_that_do_not_fit_the_task(csv: Callable[[str], str]) -> None:
    refuses(
        "regression needs numbers, but target 'y' holds 'low' in row 2; encode it, or use task",
        csv("x,y\n1,5\n2,low\n3,7\n"),
        target="y",
        task="regression",
    )
    # One typing error must not turn a regression into a classification of many classes.
    typo = csv("x,y\n" + "".join(f"{i},{i}.5\n" for i in range(9)) + "9,1O.5\n")
    refuses("target 'y' is mostly numbers, but not '1O.5' in row 10; correct it", typo, target="y")
    assert len(load(typo, target="y", task="classification").classes) == 10
    refuses(
        "target 'y' is 'a' in every row; classification needs at least 2 classes",
        csv("x,y\n1,a\n2,a\n3,a\n"),
        target="y",
    )
    refuses("target 'y' is '3' in every row; class", csv("x,y\n1,3\n2,3\n"), target="y")
    refuses(
        "target 'y' is 2.5 in every training row; regression needs one that varies",
        csv("x,y\n1,2.5\n2,2.5\n3,2.5\n"),
        target="y",
    )


def test_a_target_that_is_constant_only_in_training(npz: Save) -> None:
    _, held_out = train_test_split(np.arange(20), test_size=0.2, random_state=0)
    y = np.full(20, 0.5)
    y[held_out[0]] = 1.5
    path = npz(X=np.arange(20.0)[:, None], y=y)
    refuses("target 'y' is 0.5 in every training row", path, validation=0.2)
    assert load(path).train_targets.std() == pytest.approx(1.0, abs=1e-12)


def test_tables_too_small_to_split(csv: Callable[[str], str]) -> None:
    refuses("0 of 1 rows leaves 1 to train on; at least 2", csv("x,y\n1,2.5\n"), target="y")
    three = csv("x,y\n1,1.5\n2,2.5\n3,3.5\n")
    refuses("validation = 0.5 of 3 rows leaves 1 to train on", three, target="y", validation=0.5)
    lonely = csv("x,y\n" + "1,a\n2,b\n" * 5 + "3,c\n")
    refuses(
        "class 'c' of 'y' has 1 row, which a stratified split cannot share; drop it, or use vali",
        lonely,
        target="y",
        validation=0.2,
    )
    assert load(lonely, target="y").classes == ("a", "b", "c")
    pairs = csv("x,y\n" + "1,a\n2,b\n3,c\n" * 4)
    refuses(
        "validation = 0.1 of 12 rows holds out 2 and leaves 10; each part needs at least one row "
        "for each of the 3 classes",
        pairs,
        target="y",
        validation=0.1,
    )
    refuses("holds out 10 and leaves 2", pairs, target="y", validation=0.8)


def test_every_class_has_a_training_row(csv: Callable[[str], str]) -> None:
    rare = csv("x,y\n" + "1,a\n" * 500 + "2,b\n" * 500 + "3,c\n" * 2)
    messages = set()
    for seed in range(10):
        try:
            data = load(rare, target="y", validation=0.95, split_seed=seed)
        except InvalidInput as error:
            messages.add(str(error).partition(": ")[2])
        else:
            assert (data.train_targets.sum(axis=0) > 0).all()
    assert messages == {
        "validation = 0.95 of 1002 rows leaves no training row of class 'c'; lower it"
    }
