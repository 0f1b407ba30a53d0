"""Training by NumPy: R restarts as one array program, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows
from trainers.errors import InvalidInput
from trainers.optimizers.base import Optimizer, OptimizerState
from trainers.problem import Evaluate, FloatArray, IntArray, Problem, evaluator
from trainers.randomness import batches
from trainers.thresholds import Thresholds
from trainers.training.checks import check_plan, check_returns
from trainers.training.recorder import Moment, PathRecorder, Recorder
from trainers.training.sharpness_recorder import SharpnessRecorder
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trainer import Trainer, TrainingPlan
from trainers.training.trajectories import Trajectories, recorded_steps

__all__ = ["NumPyTrainer", "train"]


def train(
    problem: Problem,
    optimizer: Optimizer,
    *,
    learning_rate: float | FloatArray,
    starts: FloatArray,
    steps: int,
    batch_size: int | None = None,
    seed: int = 0,
    record_path: bool = False,
    sharpness_every: int | None = None,
    diverged: float = Thresholds.diverged,
) -> Trajectories:
    """Train every row of `starts` (R, P) for `steps` steps.

    Args:
        learning_rate: one for all, or (R,).
        batch_size: examples a step, drawn without replacement epoch by epoch, in the same order for
            all restarts; None for full batch.
        seed: seeds the order of the mini-batches, nothing else.
        record_path: keep the parameters of every step.
        sharpness_every: record the sharpness every so many steps; None for never.
        diverged: see `Thresholds`.

    Restarts that have diverged leave the batch and cost nothing more.

    Raises:
        InvalidInput: shapes, rates or sizes that are not valid.
        Whatever the problem's own code raises.
    """
    starts = np.array(starts, dtype=np.float64, ndmin=2)
    rates = np.array(learning_rate, dtype=np.float64)
    if rates.ndim == 0:
        rates = np.full(len(starts), rates)
    plan = TrainingPlan(starts, rates, steps, batch_size, seed, diverged)
    check_plan(problem, plan)
    path = sharpness = None
    if sharpness_every is not None:
        if not 1 <= sharpness_every <= steps:
            raise InvalidInput(
                f"sharpness_every = {sharpness_every} is not valid; from 1 to the {steps} steps"
            )
        sharpness = SharpnessRecorder(evaluator(problem), starts, steps, sharpness_every)
    if record_path:
        path = PathRecorder(starts, steps)
    with np.errstate(all="ignore"):
        check_returns(problem, starts[:2])  # two: a loss summed over restarts shows
    trainer: Trainer[Optimizer] = NumPyTrainer()
    recorders: list[Recorder | None] = [path, sharpness]
    run = trainer.train(problem, optimizer, plan, [r for r in recorders if r is not None])
    return replace(
        run,
        path=None if path is None else path.values,
        sharpness_steps=None if sharpness is None else sharpness.steps,
        sharpness=None if sharpness is None else sharpness.values,
    )


class NumPyTrainer:
    """The `Trainer` for optimizers that are written in NumPy."""

    def train(
        self,
        problem: Problem,
        optimizer: Optimizer,
        plan: TrainingPlan,
        recorders: Sequence[Recorder] = (),
    ) -> Trajectories:
        """See `Trainer`."""
        program = _Program(problem, optimizer, plan, tuple(recorders))
        with np.errstate(all="ignore"):
            state = program.init()
            while state.t <= plan.steps and state.batch.live.size:
                program.step(state)
            return program.result(state)


@dataclass
class _Batch(Rows):
    """The r restarts still in training; an array has a row for each.

    Attributes:
        live (r,): which of all they are.
        w (r, P): where they are. before (r, P): where they were a step ago.
        rate (r, 1). limit (r,): the loss from which on a growing w has diverged.
        memory: what the optimizer remembers. tail: of the last steps.
    """

    live: IntArray
    w: FloatArray
    before: FloatArray
    rate: FloatArray
    limit: FloatArray
    memory: OptimizerState
    tail: TailStatistics

    def diverged(
        self, loss: FloatArray, seen: FloatArray, gradient: FloatArray
    ) -> NDArray[np.bool_]:
        """Whether (r,) each has: not finite, or at its limit with larger and larger weights."""
        w, before = self.w, self.before
        bad = ~(np.isfinite(loss) & np.isfinite(seen))
        bad |= ~(np.isfinite(w).all(axis=1) & np.isfinite(gradient).all(axis=1))
        grew = np.einsum("rp,rp->r", w, w) > np.einsum("rp,rp->r", before, before)
        return np.asarray(bad | ((loss >= self.limit) & grew))


@dataclass
class _State:
    """A training before step `t`: who is in it still, and what is known of all so far.

    Attributes:
        order: the mini-batches to come; None for full batch.
        zeros (r * P,): by which all of w is multiplied, to see whether it is finite.
        losses (K, R), weights (R, P), diverged_at (R,): as in `Trajectories`.
    """

    t: int
    batch: _Batch
    order: Iterator[IntArray] | None
    zeros: FloatArray
    losses: FloatArray
    weights: FloatArray
    diverged_at: IntArray

    def let_go(self, bad: NDArray[np.bool_]) -> None:
        """Take the restarts `bad` (r,) out of the batch, each where it was last finite."""
        batch = self.batch
        gone = batch.live[bad]
        finite = np.isfinite(batch.w[bad]).all(axis=1, keepdims=True)
        self.diverged_at[gone] = self.t
        self.weights[gone] = np.where(finite, batch.w[bad], batch.before[bad])
        self.batch = batch.rows(~bad)
        self.zeros = np.zeros(self.batch.w.size)

    def record(self, row: int, loss: FloatArray) -> None:
        """Put the losses (r,) of the batch into their row."""
        if len(loss) == len(self.weights):
            self.losses[row] = loss
        else:
            self.losses[row, self.batch.live] = loss


@dataclass(frozen=True)
class _Program:
    """What stays the same from step to step."""

    problem: Problem
    optimizer: Optimizer
    plan: TrainingPlan
    recorders: tuple[Recorder, ...]

    @cached_property
    def evaluate(self) -> Evaluate:
        return evaluator(self.problem)

    @cached_property
    def recorded(self) -> IntArray:
        return recorded_steps(self.plan.steps, self.plan.batch_size)

    @cached_property
    def row(self) -> Mapping[int, int]:
        """The row of the losses by step."""
        return dict(zip(self.recorded.tolist(), range(len(self.recorded)), strict=True))

    def init(self) -> _State:
        plan, starts = self.plan, self.plan.starts
        w, restarts = starts.copy(), len(starts)
        batch = _Batch(
            live=np.arange(restarts),
            w=w,
            before=w.copy(),
            rate=plan.learning_rate[:, None],
            limit=np.full(restarts, np.inf),
            memory=self.optimizer.init(w),
            tail=TailStatistics.begin(starts, plan.steps),
        )
        order = None
        if plan.batch_size is not None:
            order = batches(self.problem.examples or 0, plan.batch_size, plan.seed)
        losses = np.full((len(self.recorded), restarts), np.nan)
        diverged_at = np.full(restarts, -1, dtype=np.intp)
        return _State(0, batch, order, np.zeros(w.size), losses, starts.copy(), diverged_at)

    def step(self, state: _State) -> None:
        """See where all are, let go who has diverged, record, and move the others on."""
        t, batch, order = state.t, state.batch, state.order
        if order is None:
            loss, gradient = self.evaluate(batch.w)
            seen = loss
        else:
            on_all = self.evaluate(batch.w)[0].copy() if t in self.row else None
            loss, gradient = self.problem.loss_and_gradient(batch.w, next(order))
            seen = loss if on_all is None else on_all
        if t == 0:
            batch.limit = self.plan.diverged * np.maximum(seen, 1.0)
        # NaN or infinity anywhere makes a product NaN: rows are looked at when something is wrong.
        nothing = state.zeros
        sound = batch.w.reshape(-1).dot(nothing) + gradient.reshape(-1).dot(nothing) == 0.0
        if seen is not loss:
            sound = sound and np.isfinite(seen).all()
        if not (sound and (np.abs(loss) < batch.limit).all()):
            bad = batch.diverged(loss, seen, gradient)
            if bad.any():
                state.let_go(bad)
                # Copies: w is changed in place below, and a gradient may be w itself.
                batch, gradient, seen = state.batch, gradient[~bad], seen[~bad]
        if batch.live.size:
            if t in self.row:
                state.record(self.row[t], seen)
            if self.recorders and (due := [r for r in self.recorders if r.due(t)]):
                gradient = gradient.copy()  # the problem may be asked, and write to its own again
                moment = self._moment(t, batch, gradient)
                for recorder in due:
                    recorder.add(moment)
            if t < self.plan.steps:
                np.copyto(batch.before, batch.w)
                self.optimizer.step(batch.w, gradient, batch.rate, batch.memory)
                batch.tail.add(t, batch.before, batch.w)
        state.t += 1

    def _moment(self, t: int, batch: _Batch, gradient: FloatArray) -> Moment:
        def preconditioner() -> FloatArray | None:
            memory = batch.memory.copy()
            self.optimizer.step(batch.w.copy(), gradient, batch.rate, memory)
            return self.optimizer.preconditioner(memory)

        return Moment(t, batch.live, batch.w, gradient, preconditioner)

    def result(self, state: _State) -> Trajectories:
        plan, batch = self.plan, state.batch
        state.weights[batch.live] = batch.w
        divisor, preconditioner = self.optimizer.preconditioner(batch.memory), None
        if divisor is not None:
            preconditioner = np.ones_like(plan.starts)
            preconditioner[batch.live] = divisor
        cosine, displacement, mean = batch.tail.summary(batch.live, batch.w, state.weights)
        return Trajectories(
            optimizer=self.optimizer,
            learning_rate=plan.learning_rate,
            starts=plan.starts,
            weights=state.weights,
            steps=plan.steps,
            recorded=self.recorded,
            losses=state.losses,
            diverged_at=state.diverged_at,
            cosine=cosine,
            displacement=displacement,
            tail_weights=mean,
            preconditioner=preconditioner,
            batch_size=plan.batch_size,
        )
