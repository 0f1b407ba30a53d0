"""Problems of one's own whose code is wrong: said before anything is trained, or in the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuning
from trainers import InvalidInput, Problem, starts
from trainers.errors import ProblemFailed

pytestmark = pytest.mark.usefixtures("no_pictures")

JOB: dict[str, Any] = {
    "search": {"sampler": "grid", "settings": 2, "try_first": []},
    "training": {"restarts": 64, "steps": 40},
}
OWN = """
from trainers import Problem

class Uphill(Problem):
    known_minimum = 0.0
    parameters = 1

    def initial(self, rng):
        return rng.uniform(-1, 1, 1)

    def loss_and_gradient(self, w):
        return (w**2).sum(axis=1), -2 * w
"""


class Half(Problem):
    """w^2, which is not a number below `edge`."""

    known_minimum = 0.0
    parameters = 1

    def __init__(self, edge: float) -> None:
        self.edge = edge

    def initial(self, rng: np.random.Generator) -> Any:
        return rng.uniform(-1, 1, 1)

    def loss_and_gradient(self, w: Any) -> Any:
        return np.where(w[:, 0] < self.edge, np.nan, w[:, 0] ** 2), 2 * w


def tune(home: Path, problem: object, **search: Any) -> tuning.Report:
    job = {**JOB, "search": {**JOB["search"], **search}}
    return tuning.tune(**job, problem=problem, home=home, workers="inline")


def test_a_wrong_gradient_is_refused_unless_one_insists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_uphill.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    named = {"name": "own_uphill:Uphill"}
    with pytest.raises(InvalidInput, match="gradient is not that of the loss"):
        tune(tmp_path, named)
    assert not (tmp_path / "jobs").exists()
    report = tune(tmp_path, {**named, "check": False}, learning_rate={"low": 1e-3, "high": 1e-2})
    assert report.best_stable is None


def test_starts_without_a_loss_are_a_fact_of_the_problem(tmp_path: Path) -> None:
    """And no reason to lower the rate."""
    report = tune(tmp_path, Half(0.0), learning_rate={"low": 1e-6, "high": 0.4})
    bad = next(w for w in report.warnings if "not finite before any step" in w)
    count = int((starts(Half(0.0), restarts=64) < 0).sum())
    assert bad == (
        f"{count} of 64 starts: not finite before any step, which no rate can mend: look at the "
        "problem's initial and loss_and_gradient."
    )
    assert all(row.dynamics["diverged"] >= count for row in report.settings)
    assert report.best_stable is None
    assert bad in report.explanation
    assert "lower" not in report.advice.lower()


def test_no_start_with_a_loss_is_the_end(tmp_path: Path) -> None:
    with pytest.raises(ProblemFailed, match="64 of 64 starts: loss not finite before any step"):
        tune(tmp_path, Half(2.0))


def test_rates_to_be_tried_are_not_dropped(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="settings = 2 leaves out rates of try_first") as caught:
        tune(tmp_path, "single-weight", try_first=[0.1, 0.2, 0.4])
    assert "write settings = 3 or more" in str(caught.value)
    rates = [0.1, 0.4]
    report = tune(tmp_path, "single-weight", try_first=rates)
    assert sorted(row.learning_rate for row in report.settings) == rates
