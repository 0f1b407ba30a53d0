"""Tables in, one line out for whatever is wrong with them; every kind of file says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuning
from trainers import InvalidInput

GOOD: dict[str, list[Any]] = {
    "optimizer": ["sgd", "sgd", "adamw"],
    "learning_rate": [0.1, 0.1, 0.01],
    "seed": [0, 1, 0],
    "loss": [0.5, 0.4, 0.3],
}


def line(table: object) -> str:
    with pytest.raises(InvalidInput) as raised:
        tuning.verdict(table)
    text = str(raised.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"loss": None}, "column 'loss' is missing; valid: learning_rate, seed, loss"),
        ({"learning_rate": None, "lr": [1, 2, 3]}, "did you mean 'lr'? Rename it"),
        ({"learning_rate": None, "learning_rates": [1, 2, 3]}, "did you mean 'learning_rates'?"),
        ({"seed": None}, "column 'seed' is missing"),
        ({"seed": [0, None, 0]}, "seed in row 2 is nothing; valid: a whole number or a text"),
        ({"seed": [0, 1.5, 0]}, "seed in row 2 is 1.5"),
        ({"learning_rate": [0.1, 0.1, 0.0]}, "learning_rate in row 3 is 0.0; valid: a number abov"),
        ({"learning_rate": [0.1, -1, 1]}, "learning_rate in row 2 is -1"),
        ({"learning_rate": [0.1, np.inf, 1]}, "learning_rate in row 2 is inf; valid: from 1e-100"),
        ({"learning_rate": [0.1, None, 1]}, "learning_rate in row 2 is nothing"),
        ({"loss": [0.5, "low", 0.3]}, "loss in row 2 is 'low'; valid: a number, or a list of"),
        ({"loss": [0.5, [0.1, 0.2], 0.3]}, "loss in row 1 is one number, in row 2 a list"),
        ({"loss": [[1, 2], [1, 2, 3], [1, 2]]}, "loss in row 2 has 3 entries, in row 1 2; valid:"),
        ({"loss": [[1], [1], [1]]}, "loss in row 1 is a list of one"),
        ({"loss": [[], [], []]}, "loss in row 1 has 0 entries"),
        ({"loss": [[1, 2, 3], [1, None, 2], [1, 2, 3]]}, "row 2 is not finite at entry 2"),
        ({"loss": [[1, "x"], [1, 2], [1, 2]]}, "loss in row 1 is [1, 'x']"),
        ({"diverged": [0, "perhaps", 1]}, "diverged in row 2 is 'perhaps'; valid: true or false"),
        ({"optimizer": ["sgd", None, "x"]}, "optimizer in row 2 is nothing; valid: a name"),
        ({"start_loss": [1, "high", 1]}, "start_loss in row 2 is 'high'; valid: a number"),
        ({"seed": [0, 0, 0]}, "sgd at learning_rate 0.1 with seed 0 is in row 1 and again in row"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    changes: dict[str, list[Any] | None], told: str, tmp_path: Path
) -> None:
    columns = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    frame = pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in columns.items()})
    assert line(frame).startswith("the table: ")
    assert told in line(frame)
    file = tmp_path / "results.json"
    frame.to_json(file, orient="records")
    if not told.endswith("1e-100"):  # JSON has no infinity: nothing is there
        assert line(file).startswith(f"{file}: ")


def test_an_empty_table(tmp_path: Path) -> None:
    assert "the table has no rows" in line(pd.DataFrame({k: [] for k in GOOD}))
    assert "column 'learning_rate' is missing" in line(pd.DataFrame())
    (tmp_path / "a.csv").write_text("", encoding="utf-8")
    assert "a.csv is empty; columns: optimizer, learning_rate" in line(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("learning_rate,seed,loss\n", encoding="utf-8")
    assert "b.csv has no rows; one a training is valid" in line(tmp_path / "b.csv")


def test_what_is_no_table(tmp_path: Path) -> None:
    assert "a list is no table; give a pandas DataFrame" in line([1, 2])
    assert "no such file" in line(tmp_path / "results.csv")
    (tmp_path / "results.csv").touch()
    assert "did you mean 'results.csv'?" in line(tmp_path / "result.csv")
    assert "valid: a pandas DataFrame, anything with to_pandas, or a path" in line("results.xlsx")
    for name, text, told in (
        ("a.json", "{", "is not valid JSON"),
        ("b.json", "3", "a list of objects, one a training, is valid"),
        ("c.json", '{"loss": [1], "seed": [1, 2]}', "its columns are of different lengths"),
        ("d.parquet", "no", "is no Parquet file"),
        (
            "e.csv",
            "learning_rate,seed,loss\n0.1,0,[1, 2]\n",
            "Expected 3 fields in line 2, saw 4; a",
        ),
        ("f.csv", "seed,loss,loss\n1,2,3\n", "there are two columns 'loss'; keep one"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert told in line(tmp_path / name)
    (tmp_path / "g.csv").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in line(tmp_path / "g.csv")
    (tmp_path / "h.csv").mkdir()
    assert "Is a directory" in line(tmp_path / "h.csv")


def without_names(table: object) -> dict[str, Any]:
    told = tuning.verdict(table).to_dict()
    return {key: value for key, value in told.items() if key not in ("job", "run")}


class Other:
    """A table of another library."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def to_pandas(self) -> pd.DataFrame:
        return self._frame


def test_every_kind_of_table_says_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (rate, seed, (np.exp(-rate * np.arange(30)) + rng.random() / 9).tolist(), False)
        for rate in (0.1, 0.3)
        for seed in range(8)
    ]
    rows += [(1.0, seed, [1.0] * 3 + [np.nan] * 27, True) for seed in range(8)]
    frame = pd.DataFrame(rows, columns=["learning_rate", "seed", "loss", "diverged"])
    told = without_names(frame)
    assert told["settings"][2]["falls"] == {"diverged": 8}
    assert without_names(Other(frame)) == told
    arrays = frame.assign(loss=frame.loss.map(np.array))
    assert without_names(arrays) == told
    frame.to_csv(tmp_path / "a.csv", index=False)  # as Python writes lists, nan in them
    frame.to_csv(tmp_path / "b.csv", sep=";")
    arrays.assign(loss=arrays.loss.map(list)).to_csv(tmp_path / "c.csv")
    frame.to_parquet(tmp_path / "d.parquet")
    frame.to_json(tmp_path / "e.json", orient="records", double_precision=15)
    frame.to_json(tmp_path / "f.json", orient="columns")
    for name in ("a.csv", "b.csv", "c.csv", "d.parquet"):
        assert without_names(str(tmp_path / name)) == told, name
    assert without_names(tmp_path / "e.json")["settings"][2] == told["settings"][2]
    assert "a list of objects" in line(tmp_path / "f.json")


def test_numbers_as_others_write_them(tmp_path: Path) -> None:
    """Empty, nan and infinite losses have diverged; seeds that became floats are still seeds; other
    columns do not matter."""
    (tmp_path / "a.csv").write_text(
        "\ufefflearning_rate, seed ,loss,host,diverged\n"
        "1e-1,0.0,,a,\n0.1,1.0,nan,b,True\n0.1,2,inf,c,no\n0.1,3,-Infinity,d,0\n"
        '0.1,4,0.25,e,"1"\n0.1,5,0.5,f,false\n',
        encoding="utf-8",
    )
    (row,) = tuning.verdict(tmp_path / "a.csv").settings
    assert (row.diverged.count, row.restarts) == (5, 6)
    assert row.best_loss == 0.5


def test_the_job_is_called_after_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".sweep 3.csv"
    pd.DataFrame(GOOD).to_csv(file)
    report = tuning.verdict(file)
    assert report.job["name"] == "sweep 3"
    assert report.job["search"]["optimizers"] == ["sgd", "adamw"]
    assert tuning.verdict(pd.DataFrame(GOOD)).job["name"] == "own results"
