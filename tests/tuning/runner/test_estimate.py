"""What `surefoot check` says a job will cost, beside what it costs."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tuning
from trainers import Problem
from trainers.problems.landscapes import DoubleWell
from trainers.problems.mlp import XOR
from tuning.report.formatting import seconds
from tuning.runner import estimate as estimating
from tuning.runner.estimate import estimate
from tuning.runner.local_api import prepare
from tuning.trial import task

pytestmark = pytest.mark.usefixtures("no_pictures")

WELLS = {"name": "double-well"}
SMALL_NET = {"name": "xor", "hidden": [2]}


class Clock:
    """Goes on by a microsecond for each gradient of a restart, and by nothing else."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def count(self, rows: int) -> None:
        self.now += 1e-6 * rows


CLOCK = Clock()


class CountedWells(DoubleWell):
    def loss_and_gradient(self, w: Any) -> Any:
        CLOCK.count(len(w))
        return super().loss_and_gradient(w)


class CountedNet(XOR):
    def loss_and_gradient(self, w: Any, batch: Any = None) -> Any:
        CLOCK.count(len(w))
        return super().loss_and_gradient(w, batch)


COUNTED: dict[str, Any] = {"double-well": CountedWells, "xor": CountedNet}
JOBS: dict[str, dict[str, Any]] = {
    "cliff": {"problem": WELLS, "training": {"steps": 1000}, "budget": {"restarts": 120}},
    "settings": {
        "problem": WELLS,
        "search": {"sampler": "random", "settings": 8},
        "training": {"steps": 300, "restarts": 64},
        "stability": {"confirm": 64, "margin": 1},
    },
    "judging": {
        "problem": SMALL_NET,
        "search": {"sampler": "random", "settings": 6, "optimizers": ["gd", "adam"]},
        "training": {"steps": 50, "restarts": 16},
        "budget": {"restarts": 96},
    },
}


@pytest.mark.parametrize("spec", JOBS.values(), ids=JOBS)
def test_the_estimate_is_within_a_factor_of_two(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of training and judging, by a clock that only gradients move: no machine is that quiet."""
    clock = SimpleNamespace(perf_counter=CLOCK.perf_counter, time=time.time)
    monkeypatch.setattr(task, "time", clock)
    monkeypatch.setattr(estimating, "time", clock)
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path))
    name, *given = spec["problem"].values()
    counted: Problem = COUNTED[name](**dict(zip(["hidden"], given, strict=False)))
    job, _, _ = prepare(spec)
    cost = estimate(job, counted)
    run = tuning.tune(**{**spec, "problem": counted}, workers="inline").run
    took = run.training_seconds + run.classifying_seconds
    said = cost.cpus * (cost.training_seconds + cost.judging_seconds + cost.confirming_seconds)
    assert 0.5 < said / took < 2


def test_the_estimate_is_of_the_whole_job() -> None:
    job, problem, _ = prepare(JOBS["settings"])
    cost = estimate(job, problem)
    parts = (
        cost.training_seconds,
        cost.judging_seconds,
        cost.confirming_seconds,
        cost.around_seconds,
    )
    assert all(part > 0 for part in parts)
    assert cost.seconds == pytest.approx(sum(parts))
    assert f"about {seconds(cost.seconds)} on {cost.cpus} CPUs: training" in cost.lines()[2]
