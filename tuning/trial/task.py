"""One task: a block of starts, trained and classified, on any worker."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields

import numpy as np

from trainers import Problem, Thresholds, Trajectories, classify, starts, train
from trainers.optimizers.base import UpdateRule
from trainers.training import Recorder
from tuning.spec.job import JobSpec
from tuning.trial.curves import checkpoints
from tuning.trial.one_thread import one_thread
from tuning.trial.result import BlockResult, Curves, Restarts, SharpnessHistory
from tuning.trial.setting import Block, Setting
from tuning.trial.watch import Watch

__all__ = [
    "TrainingConfig",
    "most_restarts",
    "run_task",
    "sharpness_limit",
    "sharpness_of",
    "split_into_tasks",
    "train_block",
]

# A task of a tenth of a second is mostly overhead; tasks of ten seconds leave workers idle at the
# end of a setting. The rate is a constant, what one core does here, and not measured where the job
# runs: how a job is cut into tasks changes how its sums are rounded.
_TASK_SECONDS = 1.0
_FLOPS_PER_SECOND = 1e10
_LEAST_RESTARTS = 2
_CLASSIFYING = 2.5  # training and classifying, in trainings


@dataclass(frozen=True)
class TrainingConfig:
    """All that a worker must know of a job beside the problem."""

    optimizers: tuple[UpdateRule, ...]
    steps: int
    batch_size: int | None
    seed: int
    thresholds: Thresholds
    sharpness_every: int | None = None

    @classmethod
    def of(cls, spec: JobSpec) -> TrainingConfig:
        """What `spec` asks for."""
        return cls(
            optimizers=tuple(spec.search.rules),
            steps=spec.training.steps,
            batch_size=spec.training.batch_size,
            seed=spec.seed,
            thresholds=spec.thresholds,
            sharpness_every=spec.training.sharpness_every,
        )


def most_restarts(spec: JobSpec, restart_bytes: float) -> int:
    """How many restarts may be in one task, by the memory that the job gives it: at least two.

    Args:
        restart_bytes: of each; 0 if that is not counted.
    """
    return max(_LEAST_RESTARTS, int(spec.task_memory / max(restart_bytes, 1.0)))


def split_into_tasks(
    setting: Setting, steps: int, flops: float, most: int | None = None
) -> list[Block]:
    """The blocks of `setting`, each cut into as many as there shall be tasks.

    How depends on the job alone, never on the cluster: it changes the rounding. Nor does it depend
    on whether the sharpness is measured, which must change nothing else.

    Args:
        steps: T, of each restart. flops: floating-point operations of one gradient. most: restarts
            in a task; None for any number.
    """
    tasks = []
    for block in setting.blocks:
        restarts = len(block.starts)
        seconds = _CLASSIFYING * steps * restarts * flops / _FLOPS_PER_SECOND
        count = max(1, min(round(seconds / _TASK_SECONDS), restarts // 8))
        if most is not None:  # never one alone, which is rounded otherwise
            count = max(count, min(-(-restarts // most), restarts // _LEAST_RESTARTS))
        tasks += [
            Block(
                block.optimizer,
                block.hyperparameters,
                tuple(piece.tolist()),
                own_orders=not setting.role.is_search,
            )
            for piece in np.array_split(np.array(block.starts), count)
        ]
    return tasks


def train_block(
    problem: Problem,
    config: TrainingConfig,
    block: Block,
    *,
    record_path: bool = False,
    recorders: Sequence[Recorder] = (),
) -> Trajectories:
    """Train the starts of `block`: R rows, in their order."""
    return train(
        problem,
        config.optimizers[block.optimizer],
        learning_rate=block.learning_rate,
        starts=np.concatenate(
            [starts(problem, restarts=1, seed=config.seed, first=i) for i in block.starts]
        ),
        steps=config.steps,
        batch_size=config.batch_size,
        seed=config.seed,
        orders=np.array(block.starts) if block.own_orders or not problem.starts_differ else None,
        record_path=record_path,
        diverged=config.thresholds.diverged,
        sharpness_every=config.sharpness_every,
        recorders=recorders,
    )


def run_task(
    problem: Problem,
    config: TrainingConfig,
    block: Block,
    watch: Watch | None = None,
) -> BlockResult:
    """Train and classify `block` on one BLAS thread: more would change the rounding."""
    with one_thread():
        begin = time.perf_counter()
        with watch or nullcontext():
            run = train_block(problem, config, block, recorders=[] if watch is None else [watch])
        middle = time.perf_counter()
        outcomes = classify(problem, run, config.thresholds)
        held_out = problem.validation_loss(run.weights)
        end = time.perf_counter()
    none = np.full(len(run), np.nan)
    texts = {
        name: np.array([str(value or "") for value in getattr(outcomes, name)])
        for name in ("dynamics", "motion", "fall", "point", "reason")
    }
    columns = {
        field.name: getattr(outcomes, field.name)
        for field in fields(Restarts)
        if field.name not in texts and field.name != "validation_loss"
    }
    table = Restarts(
        **texts,
        **columns,
        validation_loss=none if held_out is None else np.where(run.diverged, np.nan, held_out),
    )
    seconds = middle - begin, end - middle, time.time()
    return BlockResult(block, table, curves_of(run), *seconds, sharpness_of(run))


def curves_of(run: Trajectories) -> Curves:
    """The losses of `run` at the checkpoints, or at the last step recorded before each."""
    steps = checkpoints(run.steps)
    rows = np.searchsorted(run.recorded, steps, side="right") - 1
    lowest = np.fmin.accumulate(run.losses, axis=0)
    with np.errstate(over="ignore"):  # a loss beyond float32 is as good as infinite
        return Curves(steps, run.losses[rows].astype(np.float32), lowest[rows].astype(np.float32))


def sharpness_of(run: Trajectories) -> SharpnessHistory | None:
    """The sharpness along `run`, if it was asked for."""
    if run.sharpness is None or run.sharpness_steps is None:
        return None
    with np.errstate(over="ignore"):
        values = run.sharpness.astype(np.float32)
    return SharpnessHistory(run.sharpness_steps.astype(np.int64), values)


def sharpness_limit(setting: Setting, spec: JobSpec) -> float:
    """The sharpness above which the optimizer of `setting` leaves a quadratic at its rate."""
    return spec.search.rules[setting.optimizer].stability_limit / setting.learning_rate
