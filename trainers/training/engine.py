"""Training by NumPy: R restarts as one array program, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.errors import InvalidInput
from trainers.optimizers.base import Optimizer, UpdateRule
from trainers.optimizers.registry import get_optimizer
from trainers.problem import FloatArray, IntArray, Problem, evaluator
from trainers.randomness import batches
from trainers.thresholds import Thresholds
from trainers.training.bookkeeping import keep_books
from trainers.training.checks import check_plan, check_returns
from trainers.training.recorder import PathRecorder, Recorder
from trainers.training.sharpness_recorder import SharpnessRecorder
from trainers.training.trainer import Trainer, TrainingPlan
from trainers.training.trajectories import Trajectories

__all__ = ["NumPyTrainer", "train", "trainer_of"]


def train(
    problem: Problem,
    optimizer: UpdateRule,
    *,
    learning_rate: float | FloatArray,
    starts: FloatArray,
    steps: int,
    batch_size: int | None = None,
    seed: int = 0,
    orders: IntArray | None = None,
    record_path: bool = False,
    sharpness_every: int | None = None,
    diverged: float = Thresholds.diverged,
    recorders: Sequence[Recorder] = (),
) -> Trajectories:
    """Train every row of `starts` (R, P) for `steps` steps.

    Args:
        learning_rate: one for all, or (R,).
        batch_size: examples a step, drawn without replacement epoch by epoch, in the same order for
            all restarts; None for full batch.
        seed: seeds the order of the mini-batches, nothing else.
        orders: (R,), see `TrainingPlan`.
        record_path: keep the parameters of every step.
        sharpness_every: record the sharpness every so many steps; None for never.
        diverged: see `Thresholds`.
        recorders: of whatever else.

    Restarts that have diverged leave the batch and cost nothing more.

    Raises:
        InvalidInput: shapes, rates or sizes that are not valid.
        Whatever the problem's own code raises.
    """
    starts = np.array(starts, dtype=np.float64, ndmin=2)
    rates = np.array(learning_rate, dtype=np.float64)
    if rates.ndim == 0:
        rates = np.full(len(starts), rates)
    plan = TrainingPlan(starts, rates, steps, batch_size, seed, orders, diverged)
    check_plan(problem, plan)
    path = sharpness = None
    if sharpness_every is not None:
        if not 1 <= sharpness_every <= steps:
            raise InvalidInput(
                f"sharpness_every = {sharpness_every} is not valid; from 1 to the {steps} steps"
            )
        sharpness = SharpnessRecorder(
            evaluator(problem.in_float64()), starts, steps, sharpness_every
        )
    if record_path:
        path = PathRecorder(starts, steps)
    with np.errstate(all="ignore"):
        check_returns(problem, starts[:2])  # two: a loss summed over restarts shows
    trainer = trainer_of(problem)
    own = [recorder for recorder in (path, sharpness) if recorder is not None]
    run = trainer.train(problem, optimizer, plan, [*own, *recorders])
    return replace(
        run,
        path=None if path is None else path.values,
        sharpness_steps=None if sharpness is None else sharpness.steps,
        sharpness=None if sharpness is None else sharpness.values,
    )


def trainer_of(problem: Problem) -> Trainer:
    """Who trains it."""
    return problem.trainer() or NumPyTrainer()


class NumPyTrainer:
    """The `Trainer` for optimizers that are written in NumPy."""

    def full_name(self, optimizer: str, hyperparameters: Mapping[str, Any]) -> str:
        """See `Trainer`."""
        get_optimizer(optimizer, **hyperparameters)
        return optimizer

    def remarks(
        self, problem: Problem, rules: Sequence[UpdateRule], batch_size: int | None
    ) -> list[str]:
        """See `Trainer`."""
        return []

    def train(
        self,
        problem: Problem,
        optimizer: UpdateRule,
        plan: TrainingPlan,
        recorders: Sequence[Recorder] = (),
    ) -> Trajectories:
        """See `Trainer`.

        Raises:
            InvalidInput: the optimizer is not one of NumPy's.
        """
        if not isinstance(optimizer, Optimizer):
            raise InvalidInput(
                f"optimizer {optimizer}: {type(problem).__name__} is trained by NumPy, and this is "
                "an optimizer of another library"
            )
        with np.errstate(all="ignore"):
            return keep_books(NumPyStepper(problem, optimizer, plan), optimizer, plan, recorders)


class NumPyStepper:
    """The `Stepper` of problems and optimizers that are written in NumPy."""

    gradient: FloatArray

    def __init__(self, problem: Problem, optimizer: Optimizer, plan: TrainingPlan) -> None:
        self._problem, self._optimizer = problem, optimizer
        self._evaluate = evaluator(problem)
        self.w = plan.starts.copy()
        self._rate = plan.learning_rate[:, None]
        self._memory = optimizer.init(self.w)
        self._order = None
        if plan.batch_size is not None:
            self._order = batches(problem.examples or 0, plan.batch_size, plan.seed)
        self.loss_is_on_all = self._order is None

    def look(self) -> FloatArray:
        if self._order is None:
            loss, self.gradient = self._evaluate(self.w)
        else:
            loss, self.gradient = self._problem.loss_and_gradient(self.w, next(self._order))
        return loss

    def loss_on_all(self) -> FloatArray:
        return self._evaluate(self.w)[0]

    def step(self) -> None:
        self._optimizer.step(self.w, self.gradient, self._rate, self._memory)

    def let_go(self, keep: NDArray[np.bool_]) -> None:
        # Copies: w is changed in place, and a gradient may be w itself.
        self.w, self.gradient, self._rate = self.w[keep], self.gradient[keep], self._rate[keep]
        self._memory = self._memory.rows(keep)

    def own_gradient(self) -> None:
        self.gradient = self.gradient.copy()

    def preconditioner(self, *, ahead: bool) -> FloatArray | None:
        memory = self._memory
        if ahead:
            memory = memory.copy()
            self._optimizer.step(self.w.copy(), self.gradient, self._rate, memory)
        return self._optimizer.preconditioner(memory)

    def last_rate(self) -> FloatArray | None:
        return None
