"""Jobs on tables with categories and missing values, and what is said of their features."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tuning
from tests.support.surefoot_command import surefoot
from trainers import InvalidInput
from tuning.jobs.files import REPORT
from tuning.jobs.local import LocalJobs

pytestmark = pytest.mark.usefixtures("no_pictures")

RULE = (
    "8 features from 3 columns: 2 numbers standardised, 'size', 'age' with missing values imputed "
    "by the median and 2 indicators; 1 category one-hot (4 features), 'city' with one for missing "
    "values. Left out: 1 column, 'name'."
)
KEYS: dict[str, Any] = {"target": "y", "drop": ["name"], "missing": "impute", "hidden": [2]}
SMALL: dict[str, Any] = {
    "search": {"optimizers": ["gd"], "sampler": "grid", "settings": 2},
    "training": {"restarts": 8, "steps": 30},
}
JOB = """
[problem]
name = "mlp"
data = "people.csv"
target = "y"
drop = ["name"]
missing = "impute"
hidden = [2]
[search]
sampler = "grid"
settings = 2
[training]
restarts = 8
steps = 30
"""


def people(rows: int = 60) -> pd.DataFrame:
    places = np.arange(rows)
    return pd.DataFrame(
        {
            "name": [f"<b>{i}</b>" for i in places],
            "size": np.where(places % 5 == 0, np.nan, places % 7),
            "city": [["Oslo", "Paris", "Rome", None][i % 4] for i in places],
            "age": np.where(places % 3 == 0, np.nan, 20.0 + places),
            "y": ["yes" if i % 2 else "no" for i in places],
        }
    )


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "people.csv"
    people().to_csv(path, index=False)
    return str(path)


def test_the_report_says_how_columns_became_features(tmp_path: Path, table: str) -> None:
    home = tmp_path / "home"
    report = tuning.tune(
        problem={"name": "mlp", "data": table, **KEYS}, workers="inline", home=home, **SMALL
    )
    facts = report.to_dict()["problem"]
    assert (facts["encoding"], facts["features"]) == (RULE, 8)
    # 8 features and 2 classes.
    assert facts["parameters"] == 8 * 2 + 2 + 2 * 2 + 2
    page = html.unescape(report.to_html())
    assert page.count(RULE) == 2  # what the words refer to, and beside the other facts
    assert f"The table: {RULE}" in " ".join(str(report).split())
    saved = json.loads((home / "jobs" / report.run.job_id / REPORT).read_text(encoding="utf-8"))
    assert saved["problem"]["encoding"] == RULE


@pytest.mark.usefixtures("table")
def test_check_says_it_before_anything_runs(tmp_path: Path, write: Callable[..., str]) -> None:
    job, home = write(JOB), tmp_path / "home"
    said = surefoot(home, "check", job).out.splitlines()
    assert said[1:4] == [
        "data: Task: classification, guessed. The target 'y' is text.",
        "data: 2 classes: 'no', 'yes'.",
        f"data: {RULE}",
    ]
    told = json.loads(surefoot(home, "check", job, "--json").out)
    assert (told["encoding"], told["data"][2]) == (RULE, RULE)
    built_in = write(
        JOB.replace("people.csv", "wine")
        .replace('target = "y"\n', "")
        .replace('drop = ["name"]\nmissing = "impute"\n', "")
    )
    assert "data: " not in surefoot(home, "check", built_in).out
    assert "encoding" not in json.loads(surefoot(home, "check", built_in, "--json").out)


def test_a_data_frame_is_the_job_of_its_file(tmp_path: Path, table: str) -> None:
    home, frame = tmp_path / "home", people()
    problem = {"name": "mlp", "data": frame, **KEYS}
    from_file, from_frame = (
        tuning.tune(problem={**problem, "data": data}, workers="inline", home=home, **SMALL)
        for data in (table, frame)
    )
    one, other = from_file.to_dict(), from_frame.to_dict()
    assert other["job"]["problem"] == {"name": "mlp", "check": True, **KEYS}
    for told in (one, other):
        del told["run"], told["job"]
    assert one == other
    # The table is kept with its job, which can be gone on with.
    made = LocalJobs(home).job(from_frame.run.job_id).make_problem()
    assert made.loaded_data is not None
    assert made.loaded_data.fingerprint == one["problem"]["data_sha256"]
    again = tuning.resume(from_frame.run.job_id, workers="inline", home=home).to_dict()
    assert again["settings"] == one["settings"]
    assert list(frame.columns) == ["name", "size", "city", "age", "y"]


@pytest.mark.parametrize("name", [None, 3, "mpl"])
def test_a_data_frame_without_a_problem(tmp_path: Path, name: Any) -> None:
    problem = {"data": people(), **KEYS} | ({} if name is None else {"name": name})
    with pytest.raises(InvalidInput, match=r"problem.name|unknown problem 'mpl'; did you mean"):
        tuning.tune(problem=problem, workers="inline", home=tmp_path / "home")
    assert not (tmp_path / "home").exists()
