"""Two hundred odd tables, 2,000 in `make chaos`: each is read as it is meant, and what was made of
it is said; or a line says what is in the way, and only where something is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.odd_tables import OddTable, odd_table
from tests.support.surefoot_command import surefoot
from tests.support.thoroughness import WHOLE
from trainers.data.dataset import Dataset, load
from trainers.errors import InvalidInput

COUNT = 2000 if WHOLE else 200
GROUPS = 20  # each a test
TRAINED = 50  # one table of so many is trained on, from the command to the report

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.parametrize("group", range(GROUPS))
def test_each_is_read_as_it_is_meant(group: int, tmp_path: Path) -> None:
    read = 0
    for seed in range(group, COUNT, GROUPS):
        table = odd_table(seed, tmp_path)
        found = read_or_refused(table)
        if isinstance(found, str):
            assert table.refusable, (seed, found)
            assert len(found.splitlines()) == 1, (seed, found)
            assert table.file.name in found, (seed, found)
            continue
        read += 1
        if set(table.refusable) & {"utf-16", "latin-1"}:
            continue  # its letters may have been replaced when it was written
        check(seed, table, found)
    assert read > 0.6 * COUNT / GROUPS


def read_or_refused(table: OddTable) -> Dataset | str:
    """What is in it, or the line that says why not."""
    try:
        return load(str(table.file), **table.parameters)
    except InvalidInput as error:
        return str(error)


def check(seed: int, table: OddTable, found: Dataset) -> None:
    """The numbers and classes are those that are meant, and the summary says so."""
    said = (seed, found.summary, table.file.read_text(encoding="utf-8-sig")[:400])
    summary = " ".join(found.summary)
    assert found.task == ("classification" if table.classes else "regression"), said
    assert f"Task: {found.task}" in summary, said
    if table.classes:
        assert set(found.classes) == set(table.target), said
        names = [found.classes[code] for code in found.train_targets.argmax(axis=1)]
        assert names == table.target, said
        assert f"{len(found.classes)} classes" in summary, said
    else:
        close(standardised([float(v) for v in table.target]), found.train_targets[:, 0], said)
    for name in table.dropped:
        assert repr(name) in summary, said
        assert name not in found.feature_names, said
    for name, meant in table.features.items():
        columns = [
            place
            for place, feature in enumerate(found.feature_names)
            if feature == name or feature.startswith((f"{name}=", f"{name} "))
        ]
        assert columns, said
        if all(isinstance(v, float | None) for v in meant):
            known = [float(v) for v in meant if isinstance(v, float)]
            middle = float(np.median(known))
            filled = [middle if v is None else float(v) for v in meant]
            close(standardised(filled), found.train_inputs[:, columns[0]], said)
            continue
        # Rows have the same features where they have the same word, and only there.
        patterns: dict[object, set[tuple[float, ...]]] = {}
        for word, row in zip(meant, found.train_inputs[:, columns].tolist(), strict=True):
            patterns.setdefault(word, set()).add(tuple(row))
        assert all(len(some) == 1 for some in patterns.values()), said
        assert len(set.union(*patterns.values())) == len(patterns), said


def standardised(values: list[float]) -> Any:
    column = np.array(values)
    spread = column.std()
    return (column - column.mean()) / (spread if spread > 0 else 1.0)


def close(meant: object, found: object, said: object) -> None:
    """To rounding: of a mean and a standard deviation of numbers up to 1e7."""
    np.testing.assert_allclose(
        np.asarray(found), np.asarray(meant), rtol=1e-9, atol=1e-9, err_msg=str(said)
    )


JOB = """
name = "odd"
[problem]
name = "mlp"
data = "{file}"
target = "y"
hidden = [2]
{more}
[search]
settings = 2
sampler = "random"
learning_rate = {{ low = 0.01, high = 0.1 }}
[training]
restarts = 16
steps = 25
[stability]
max_unstable = 0.2
margin = 1.0
"""


@pytest.mark.parametrize("seed", range(0, COUNT, TRAINED))
def test_some_are_trained_on(seed: int, tmp_path: Path) -> None:
    table = odd_table(seed, tmp_path)
    more = "".join(f"{k} = {v!r}\n" for k, v in table.parameters.items() if k != "target")
    job = tmp_path / "job.toml"
    job.write_text(JOB.format(file=table.file.name, more=more), encoding="utf-8")
    ran = surefoot(tmp_path / "home", "run", str(job), "--workers", "inline")
    if ran.code == 2:
        assert table.refusable, ran
        assert len(ran.err.splitlines()) == 1, ran
        return
    assert ran.code == 0, ran
    report = json.loads(surefoot(tmp_path / "home", "report", "odd-1", "--format", "json").out)
    found = read_or_refused(table)
    assert isinstance(found, Dataset)
    assert report["best_stable"]["learning_rate"] > 0
    said = report["problem"]
    assert said["task"] == ("classification" if table.classes else "regression")
    assert (said["classes"], said["features"]) == (list(found.classes), len(found.feature_names))
    assert [said["encoding"], *said.get("data_notes", [])] == found.summary[1 + table.classes :]
