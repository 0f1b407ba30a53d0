"""Train one restart of a job again, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from trainers import Dynamics, Fall, InvalidInput, Outcome, Point, classify
from trainers.outcomes.reasoning import Frame
from tuning.analysis.basin_labels import Labels
from tuning.jobs.base import Job
from tuning.jobs.lookup import find_job
from tuning.search.records import results_of
from tuning.trial.result import SettingResult
from tuning.trial.task import (
    TrainingConfig,
    most_restarts,
    sharpness_limit,
    sharpness_of,
    split_into_tasks,
    train_block,
)

__all__ = ["Chosen", "Replay", "replay"]


@dataclass(frozen=True)
class Chosen:
    """One restart of a job, as its study holds it, on the scale of the whole job.

    Attributes:
        job, config: whose, and how it trains. labels: of the whole job.
        result: the setting's, as it was told. row: the restart's in it.
    """

    job: Job
    config: TrainingConfig
    labels: Labels
    result: SettingResult
    row: int

    @classmethod
    def of(cls, job_id: str, *, setting: int, restart: int, home: str | Path | None) -> Chosen:
        """Find it.

        Raises:
            InvalidInput: no such job, setting or restart.
        """
        job = find_job(job_id, home=home)
        results = results_of(job.study())
        if not 0 <= setting < len(results):
            valid = f"valid: 0 to {len(results) - 1}" if results else "none is done yet"
            raise InvalidInput(f"job {job_id} has no setting {setting}; {valid}")
        # A report shows the trials of a setting as one, under the number of the first.
        asked = results[setting]
        trials = [asked, *(r for r in results if r.setting.resembles(asked.setting))]
        result = next((r for r in trials if restart in r.setting.starts), None)
        if result is None:
            starts = [start for r in trials for start in r.setting.starts]
            raise InvalidInput(
                f"setting {setting} has no restart {restart}; valid: {min(starts)} to {max(starts)}"
            )
        config = TrainingConfig.of(job.spec)
        known = job.header["problem"]["known_minimum"]
        labels = Labels.of(results, known, config.thresholds)
        return cls(job, config, labels, result, result.setting.starts.index(restart))

    @property
    def optimizer(self) -> str:
        """Its label."""
        return self.config.optimizers[self.result.setting.optimizer].label

    def outcome(self) -> Outcome:
        """What became of it, with its losses at the checkpoints."""
        number, row = self.result.setting.number, self.row
        told = self.labels.results[number].restarts
        values = {f.name: getattr(told, f.name)[row] for f in fields(told)}
        values.pop("validation_loss")
        return Outcome(
            **{
                **values,
                "dynamics": Dynamics(values["dynamics"]),
                "motion": Dynamics(values["motion"]),
                "fall": Fall(values["fall"]) if values["fall"] else None,
                "point": Point(values["point"]),
                "reason": str(values["reason"]),
            },
            unstable=bool(told.unstable[row]),
            basin=self.labels.basins[number][row],
            evidence=self.labels.evidence[number][row],
            frame=self._frame(),
            recorded=self.result.curves.steps,
            losses=self.result.curves.losses[:, row],
        )

    def _frame(self) -> Frame:
        labels, config = self.labels, self.config
        return Frame(
            optimizer=self.optimizer,
            stability_limit=config.optimizers[self.result.setting.optimizer].stability_limit,
            batch_size=config.batch_size,
            steps=config.steps,
            best=labels.best,
            known=labels.known,
            credibility=labels.credibility,
            descent=labels.descent,
            limits=labels.limits,
        )


@dataclass(frozen=True)
class Replay:
    """One restart, trained again.

    Attributes:
        setting, optimizer, learning_rate, restart: which one.
        outcome: what became of it; its basin is relative to the best minimum of the whole job.
        best_loss, best_loss_is_known: that minimum, NaN if there is none, and whether the problem
            knows it.
        stability_limit: the optimizer's limit of `outcome.lr_sharpness`, lr * lambda_max(P^-1 H).
        recorded (K,), losses (K,): its full-batch losses; NaN after divergence.
        start (P,), weights (P,): where it began and ended.
        sharpness_limit: the sharpness above which the optimizer leaves a quadratic at this rate.
        sharpness_steps (K',), sharpness (K',): along the way, NaN after divergence; None where the
            job did not ask for it.
        made_by: what makes its start in a script of one's own, where a line does.
        differences: fields in which it differs from what the study holds; empty on the same kind
            of processor.
    """

    setting: int
    optimizer: str
    learning_rate: float
    restart: int
    outcome: Outcome
    best_loss: float
    best_loss_is_known: bool
    stability_limit: float
    recorded: NDArray[np.intp]
    losses: NDArray[np.float64]
    start: NDArray[np.float64]
    weights: NDArray[np.float64]
    sharpness_limit: float
    sharpness_steps: NDArray[np.intp] | None
    sharpness: NDArray[np.float64] | None
    made_by: str | None
    differences: tuple[str, ...]


def replay(job_id: str, *, setting: int, restart: int, home: str | Path | None = None) -> Replay:
    """Train restart `restart` under setting `setting` again. The whole task it belonged to is
    trained, for the size of a batch changes the rounding.

    Raises:
        InvalidInput: no such job, setting or restart.
    """
    chosen = Chosen.of(job_id, setting=setting, restart=restart, home=home)
    job, config, result, row = chosen.job, chosen.config, chosen.result, chosen.row
    whole = result.setting
    known = job.header["problem"]
    most = most_restarts(job.spec, known.get("restart_bytes", 0.0))
    tasks = split_into_tasks(whole, config.steps, known["flops"], most)
    block = next(task for task in tasks if restart in task.starts)
    problem = job.make_problem()
    with threadpool_limits(1):
        run = train_block(problem, config, block)
        outcomes = classify(problem, run, config.thresholds)
    i = block.starts.index(restart)
    said = chosen.outcome()  # on the scale of the whole job
    relative = ("dynamics", "unstable", "fall", "hover", "basin", "evidence", "frame")
    outcome = replace(outcomes[i], **{name: getattr(said, name) for name in relative})
    stored = {f.name: getattr(result.restarts, f.name)[row] for f in fields(result.restarts)}
    compared = (
        "motion",
        "point",
        "loss",
        "basin_loss",
        "lower_bound",
        "tail_gap",
        "diverged_at",
        "smallest_curvature",
        "largest_curvature",
        *(["lr_sharpness"] if np.isfinite(result.restarts.lr_sharpness).any() else []),
    )
    differences = tuple(
        name for name in compared if not _same(stored[name], getattr(outcome, name))
    )
    again, before = sharpness_of(run), result.sharpness
    if again is not None and before is not None:
        theirs = before.values[:, row]
        if not np.array_equal(again.values[:, i], theirs, equal_nan=True):
            differences += ("sharpness",)
    return Replay(
        setting=setting,
        optimizer=chosen.optimizer,
        learning_rate=whole.learning_rate,
        restart=restart,
        outcome=outcome,
        best_loss=chosen.labels.best,
        best_loss_is_known=chosen.labels.known,
        stability_limit=config.optimizers[whole.optimizer].stability_limit,
        recorded=run.recorded,
        losses=run.losses[:, i],
        start=run.starts[i],
        weights=run.weights[i],
        sharpness_limit=sharpness_limit(whole, job.spec),
        sharpness_steps=run.sharpness_steps,
        sharpness=None if run.sharpness is None else run.sharpness[:, i],
        made_by=problem.how_to_start(config.seed, restart),
        differences=differences,
    )


def _same(a: Any, b: Any) -> bool:
    return str(a) == str(b) or (isinstance(a, float) and bool(np.isnan(a)) and bool(np.isnan(b)))
