"""Cells as people and programs write them: read as they are meant, or refused in a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainers import InvalidInput
from trainers.data import Dataset, load


def table(tmp_path: Path, text: str, **options: Any) -> Dataset:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return load(str(path), **{"target": "y", **options})


def column(*cells: Any) -> str:
    """A CSV of a feature and, as its target, these cells in turn, 60 rows."""
    rows = [f'{i * i % 7},"{cells[i % len(cells)]}"' for i in range(60)]
    return "\n".join(["a,y", *rows])


def frame(*cells: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": np.arange(60.0), "y": [cells[i % len(cells)] for i in range(60)]})


def targets(data: Dataset) -> list[float]:
    """The distinct ones, scaled to begin at 0 and end at 1: standardising leaves these."""
    values = np.unique(data.train_targets)
    found: list[float] = ((values - values[0]) / (values[-1] - values[0])).tolist()
    return found


@pytest.mark.parametrize(
    ("cells", "values", "said"),
    [
        (["1,000", "1,250", "2,000", "1,500"], [1000, 1250, 1500, 2000], "commas between"),
        (["$10.50", "$3", "$1,000", "$7"], [3, 7, 10.5, 1000], r"in \$"),
        (["10 %", "20 %", "35%", "80%"], [10, 20, 35, 80], "in %"),
        (["0,5", "1,5", "3,25", "9"], [0.5, 1.5, 3.25, 9], "decimal commas"),
        (["(10)", "5", "(3)", "0"], [-10, -3, 0, 5], "in brackets where negative"),
    ],
)
def test_a_target_in_written_numbers_is_regression(
    tmp_path: Path, cells: list[str], values: list[float], said: str
) -> None:
    """The same as if they had been written plainly; and it is said."""
    data = table(tmp_path, column(*cells))
    assert data.task == "regression"
    assert targets(data) == pytest.approx(
        [(v - values[0]) / (values[-1] - values[0]) for v in values]
    )
    (note,) = data.notes
    assert note.startswith("'y': text, read as numbers ")
    assert pd.Series([note]).str.contains(said).all()
    assert data.summary[-1] == note


def test_what_commas_are_for_is_known_from_what_separates_fields(tmp_path: Path) -> None:
    """In a file of commas they are no decimal commas; in one of semicolons another column tells."""
    text = "a;b;y\n" + "\n".join(f"{i % 7},5;1,{i % 5}00;{i % 2}" for i in range(40))
    data = table(tmp_path, text)
    assert "separated by semicolons" in data.notes[0]
    assert [note for note in data.notes if "decimal commas" in note] == [
        "'a': text, read as numbers with decimal commas.",
        "'b': text, read as numbers with decimal commas.",
    ]
    with pytest.raises(InvalidInput, match="column 'b' does not hold numbers: '1,000' in row 1"):
        table(tmp_path, "b;y\n" + "\n".join(f"{1 + i % 3},000;{i % 2}" for i in range(40)))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    rows = [["a", "b", "y"], *([f"{i}.5", f"{i % 3}", f"{i % 2}"] for i in range(20))]
    data = table(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert data.feature_names == ("a", "b")
    assert len(data.classes) == 2


def test_dates_are_refused_as_a_target(tmp_path: Path) -> None:
    days = [f"2024-03-{day:02}" for day in range(1, 13)]
    with pytest.raises(InvalidInput, match="target 'y' holds dates: '2024-03-01' in row 1"):
        table(tmp_path, column(*days))


@pytest.mark.parametrize("name", ["NA", "None", "null", "nan", "N/A", "NaN"])
def test_a_class_may_be_called_what_others_call_missing(tmp_path: Path, name: str) -> None:
    assert table(tmp_path, column("EU", name)).classes == tuple(sorted(["EU", name]))
    with pytest.raises(InvalidInput, match="has 30 missing values, in rows 2, 4, 6"):
        table(tmp_path, column("EU", name, "EU", name), missing=[name])
    data = table(tmp_path, column("EU", name, "US"), missing={"values": [name], "rule": "drop"})
    assert data.classes == ("EU", "US")
    assert len(data.train_inputs) == 40


def test_among_numbers_such_a_word_is_missing(tmp_path: Path) -> None:
    text = "a,y\n" + "\n".join(f"{'NA' if i == 3 else i}, {i % 2}" for i in range(40))
    with pytest.raises(InvalidInput, match="column 'a' has 1 missing value, in row 4"):
        table(tmp_path, text)
    data = table(tmp_path, text, missing="impute")
    assert data.feature_names == ("a", "a missing")
    assert data.notes == ("'a': among numbers, 'NA' counts as missing.",)


def test_numbers_that_mean_missing(tmp_path: Path) -> None:
    text = "a,y\n" + "\n".join(f"{-999 if i == 3 else i},{i % 2}" for i in range(40))
    data = table(tmp_path, text, missing={"values": [-999], "rule": "impute"})
    assert data.feature_names == ("a", "a missing")


@pytest.mark.parametrize(
    "given", [{"values": "NA"}, {"rule": "fill"}, {"marks": ["NA"]}, [True], [None], 3, "NA"]
)
def test_a_missing_key_that_is_not_valid(tmp_path: Path, given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^missing = .* is not valid"):
        table(tmp_path, column("u", "v"), missing=given)


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", "\u2003"])
def test_blanks_around_labels(tmp_path: Path, blank: str) -> None:
    data = table(tmp_path, column("yes", f"{blank}yes", f"no{blank}", "no"))
    assert data.classes == ("no", "yes")
    assert data.notes == ("Blanks around 30 values of 'y' were taken away.",)
    assert load(frame("yes", f"yes{blank}", "no"), target="y").classes == ("no", "yes")
    spaced = frame(f"yes{blank}", "no", "yes").astype({"y": "category"})
    assert load(spaced, target="y").classes == ("no", "yes")


@pytest.mark.parametrize("start", [2**53, 1234567890123456789, 2**63, 2**64, -(2**60)])
def test_large_labels_do_not_merge(tmp_path: Path, start: int) -> None:
    ids = [start, start + 1, start + 4]
    named = tuple(map(str, ids))
    assert table(tmp_path, column(*ids)).classes == named
    assert load(frame(*ids), target="y").classes == named


def test_digits_as_text_are_labels_where_somebody_said_text() -> None:
    data = load(frame("0", "1"), target="y")
    assert data.classes == ("0", "1")
    assert data.notes == ("'y': digits as text, taken for labels.",)
    assert load(frame("07", "12", "12"), target="y").classes == ("07", "12")
    many = load(frame(*map(str, range(50))), target="y")
    assert many.task == "regression"
    assert many.notes == ("'y': text, read as numbers.",)
    features = pd.DataFrame({"a": ["1.5", "2", "0.25", "1"] * 5, "y": [0, 1, 1, 0] * 5})
    assert load(features, target="y").feature_names == ("a",)


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_a_saved_index_is_left_out(tmp_path: Path, name: str) -> None:
    text = f"{name},a,y\n" + "\n".join(f"{i},{i * i % 7},{i % 2}" for i in range(20))
    data = table(tmp_path, text)
    assert data.feature_names == ("a",)
    assert "Left out: 1 column, 'Unnamed: 0'" in str(data.encoding)
    assert any("keep = ['Unnamed: 0']" in note for note in data.notes)
    assert table(tmp_path, text, keep=["Unnamed: 0"]).feature_names == ("Unnamed: 0", "a")
    # What does not number the rows is a feature.
    other = text.replace("\n1,", "\n0,")
    if name:
        assert table(tmp_path, other).feature_names == ("Unnamed: 0", "a")


@pytest.mark.parametrize(
    ("cell", "what"),
    [(b"\xff", "bytes"), ([1, 2], "list"), ({"p": 1}, "dict"), (np.arange(2), "an array")],
)
@pytest.mark.parametrize("name", ["a", "y"])
def test_what_is_neither_number_nor_text(cell: Any, what: str, name: str) -> None:
    data = frame(0, 1).astype({"a": object, "y": object})
    data.at[2, name] = cell
    kind = "target" if name == "y" else "column"
    with pytest.raises(InvalidInput, match=f"{kind} '{name}' holds {what} in row 3; encode it"):
        load(data, target="y")


def test_bytes_in_npz(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, X=np.ones((4, 2)), y=np.array([b"\xff", b"a"] * 2))
    with pytest.raises(InvalidInput, match="array y holds bytes; save numbers or text"):
        load(str(path))


def test_features_that_do_not_vary(tmp_path: Path) -> None:
    rows = "\n".join(f"3,{i % 5},{i % 2}" for i in range(20))
    data = table(tmp_path, f"c,a,y\n{rows}")
    assert "With one value throughout, and of no use: 1 column, 'c'." in str(data.encoding)
    with pytest.raises(InvalidInput, match="no feature varies over the training rows: 'c' has one"):
        table(tmp_path, f"c,a,y\n{rows}", drop=["a"])
