"""Train one restart of a job again, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from trainers import InvalidInput, Outcome, classify
from tuning.home import Home
from tuning.loop import results_of
from tuning.results import Setting
from tuning.study import StudyStore
from tuning.work import Work, label, parts_of, train_restarts

__all__ = ["Replay", "replay"]


@dataclass(frozen=True)
class Replay:
    """One restart, trained again.

    Attributes:
        setting, optimizer, learning_rate, restart: which one.
        outcome: what became of it; its basin is relative to the best minimum in its own task.
        recorded (K,), losses (K,): its full-batch losses; NaN after divergence.
        start (P,), weights (P,): where it began and ended.
        differences: fields in which it differs from what the study holds; empty on the same kind
            of processor.
    """

    setting: int
    optimizer: str
    learning_rate: float
    restart: int
    outcome: Outcome
    recorded: NDArray[np.intp]
    losses: NDArray[np.float64]
    start: NDArray[np.float64]
    weights: NDArray[np.float64]
    differences: tuple[str, ...]


def replay(job_id: str, *, setting: int, restart: int, home: str | Path | None = None) -> Replay:
    """Train restart `restart` under setting `setting` again. The whole task it belonged to is
    trained, for the size of a batch changes the rounding.

    Raises:
        InvalidInput: no such job, setting or restart.
    """
    job = Home(home).job(job_id)
    spec = job.spec
    results = results_of(StudyStore.open(job.study_url, job.id))
    if not 0 <= setting < len(results):
        raise InvalidInput(f"job {job_id} has no setting {setting}; valid: 0 to {len(results) - 1}")
    result = results[setting]
    whole = result.setting
    if not whole.first <= restart < whole.first + whole.restarts:
        raise InvalidInput(
            f"setting {setting} has no restart {restart}; "
            f"valid: {whole.first} to {whole.first + whole.restarts - 1}"
        )
    work = Work.of(spec)
    part = _part_with(parts_of(whole, work.steps, job.header["problem"]["flops"]), restart)
    problem = job.make_problem()
    with threadpool_limits(1):
        run = train_restarts(problem, work, part)
        outcomes = classify(problem, run, work.thresholds)
    i = restart - part.first
    outcome = outcomes[i]
    stored = {
        f.name: getattr(result.restarts, f.name)[restart - whole.first]
        for f in fields(result.restarts)
    }
    compared = (
        "dynamics",
        "point",
        "loss",
        "basin_loss",
        "diverged_at",
        "smallest_curvature",
        "largest_curvature",
    )
    return Replay(
        setting=setting,
        optimizer=label(work.optimizers[whole.optimizer]),
        learning_rate=whole.learning_rate,
        restart=restart,
        outcome=outcome,
        recorded=run.recorded,
        losses=run.losses[:, i],
        start=run.starts[i],
        weights=run.weights[i],
        differences=tuple(
            name for name in compared if not _same(stored[name], getattr(outcome, name))
        ),
    )


def _part_with(parts: list[Setting], restart: int) -> Setting:
    return next(p for p in parts if p.first <= restart < p.first + p.restarts)


def _same(a: Any, b: Any) -> bool:
    return str(a) == str(b) or (isinstance(a, float) and bool(np.isnan(a)) and bool(np.isnan(b)))
