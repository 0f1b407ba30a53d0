"""What is kept of a training, and who is let go: the same whoever takes the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows
from trainers.optimizers.base import UpdateRule
from trainers.problem import FloatArray, IntArray, RealArray
from trainers.training.recorder import Moment, Recorder
from trainers.training.stepper import Stepper
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trainer import TrainingPlan
from trainers.training.trajectories import Trajectories, recorded_steps

__all__ = ["keep_books"]

_PIECE = 1 << 16


def keep_books(
    stepper: Stepper, rule: UpdateRule, plan: TrainingPlan, recorders: Sequence[Recorder] = ()
) -> Trajectories:
    """Have `stepper`, which stands at the starts, take the steps of `plan`."""
    books = _Books(stepper, plan, tuple(recorders))
    while books.t <= plan.steps and books.batch.live.size:
        books.turn()
    return books.close(rule)


@dataclass
class _Batch(Rows):
    """The r restarts still in training; an array has a row for each.

    Attributes:
        live (r,): which of all they are. before (r, P): where they were a step ago.
        limit (r,): the loss from which on a growing w has diverged. tail: of the last steps.
    """

    live: IntArray
    before: RealArray
    limit: FloatArray
    tail: TailStatistics


class _Books:
    """A training before step `t`: who is in it still, and what is known of all so far.

    Attributes:
        recorded (K,): the steps whose loss is kept, and the row of each.
        zeros: by which w is multiplied, all at once or in pieces, to see whether it is finite.
        losses (K, R), weights (R, P), diverged_at (R,): as in `Trajectories`.
    """

    def __init__(
        self, stepper: Stepper, plan: TrainingPlan, recorders: tuple[Recorder, ...]
    ) -> None:
        self.stepper, self.plan, self.recorders = stepper, plan, recorders
        self.recorded = recorded_steps(plan.steps, at_no_cost=stepper.loss_is_on_all)
        self.row = dict(zip(self.recorded.tolist(), range(len(self.recorded)), strict=True))
        restarts = len(plan.starts)
        self.t = 0
        self.batch = _Batch(
            live=np.arange(restarts),
            before=stepper.w.copy(),
            limit=np.full(restarts, np.inf),
            tail=TailStatistics.begin(stepper.w, plan.steps),
        )
        self.zeros = np.zeros(min(stepper.w.size, _PIECE), dtype=stepper.w.dtype)
        self.losses = np.full((len(self.recorded), restarts), np.nan)
        self.weights = np.empty_like(plan.starts)  # memory is taken as it is filled
        self.diverged_at = np.full(restarts, -1, dtype=np.intp)

    def turn(self) -> None:
        """See where all are, let go who has diverged, record, and move the others on."""
        t, batch, stepper = self.t, self.batch, self.stepper
        seen = None
        if not stepper.loss_is_on_all and t in self.row:
            seen = stepper.loss_on_all().copy()
        loss = stepper.look()
        if seen is None:
            seen = loss
        if t == 0:
            batch.limit = self.plan.diverged * np.maximum(seen, 1.0)
        # NaN or infinity anywhere makes a product NaN: rows are looked at when something is wrong.
        sound = self._finite(stepper.w) and self._finite(stepper.gradient)
        if seen is not loss:
            sound = sound and bool(np.isfinite(seen).all())
        if not (sound and (np.abs(loss) < batch.limit).all()):
            bad = self._diverged(loss, seen)
            if bad.any():
                self._let_go(bad)
                batch, seen = self.batch, seen[~bad]
        if batch.live.size:
            if t in self.row:
                self._record(self.row[t], seen)
            if self.recorders and (due := [r for r in self.recorders if r.due(t)]):
                stepper.own_gradient()  # recorders ask the problem
                moment = Moment(
                    t,
                    batch.live,
                    stepper.w,
                    stepper.gradient,
                    lambda: stepper.preconditioner(ahead=True),
                    self.recorded,
                    self.losses,
                )
                for recorder in due:
                    recorder.add(moment)
            if t < self.plan.steps:
                np.copyto(batch.before, stepper.w)
                stepper.step()
                batch.tail.add(t, batch.before, stepper.w)
        self.t += 1

    def _finite(self, values: RealArray) -> bool:
        flat, zeros = values.reshape(-1), self.zeros
        size, piece = flat.size, zeros.size
        if size <= piece:
            return bool(flat.dot(zeros[:size]) == 0)
        return all(flat[i : i + piece].dot(zeros[: size - i]) == 0 for i in range(0, size, piece))

    def _diverged(self, loss: RealArray, seen: RealArray) -> NDArray[np.bool_]:
        """Whether (r,) each has: not finite, or at its limit with larger and larger weights."""
        w, before, gradient = self.stepper.w, self.batch.before, self.stepper.gradient
        bad = ~(np.isfinite(loss) & np.isfinite(seen))
        bad |= ~(np.isfinite(w).all(axis=1) & np.isfinite(gradient).all(axis=1))
        return np.asarray(bad | ((loss >= self.batch.limit) & (_squared(w) > _squared(before))))

    def _let_go(self, bad: NDArray[np.bool_]) -> None:
        """Take the restarts `bad` (r,) out of the batch, each where it was last finite."""
        batch, w = self.batch, self.stepper.w
        gone = batch.live[bad]
        finite = np.isfinite(w[bad]).all(axis=1, keepdims=True)
        self.diverged_at[gone] = self.t
        self.weights[gone] = np.where(finite, w[bad], batch.before[bad])
        self.batch = batch.rows(~bad)
        if not bad.all():
            self.stepper.let_go(~bad)

    def _record(self, row: int, loss: RealArray) -> None:
        """Put the losses (r,) of the batch into their row."""
        if len(loss) == len(self.weights):
            self.losses[row] = loss
        else:
            self.losses[row, self.batch.live] = loss

    def close(self, rule: UpdateRule) -> Trajectories:
        """All that is kept."""
        plan, batch, stepper = self.plan, self.batch, self.stepper
        rate, divisor = plan.learning_rate, None
        w = stepper.w if batch.live.size else stepper.w[:0]
        batch.before = w[:0]  # memory, before more is taken
        self.weights[batch.live] = w
        cosine, displacement, mean = batch.tail.summary(batch.live, w, self.weights)
        batch.tail = TailStatistics.begin(w[:0], plan.steps)
        if batch.live.size:
            divisor = stepper.preconditioner(ahead=False)
            last = stepper.last_rate()
            if last is not None:
                rate = rate.copy()
                rate[batch.live] = last
        preconditioner = None
        if divisor is not None and len(divisor) == len(self.weights):
            preconditioner = divisor
        elif divisor is not None:
            preconditioner = np.ones_like(plan.starts)
            preconditioner[batch.live] = divisor
        return Trajectories(
            optimizer=rule,
            learning_rate=plan.learning_rate,
            last_rate=rate,
            starts=plan.starts,
            weights=self.weights,
            steps=plan.steps,
            recorded=self.recorded,
            losses=self.losses,
            diverged_at=self.diverged_at,
            cosine=cosine,
            displacement=displacement,
            tail_weights=mean,
            preconditioner=preconditioner,
            batch_size=plan.batch_size,
        )


def _squared(w: RealArray) -> FloatArray:
    return np.asarray(np.einsum("rp,rp->r", w, w, dtype=np.float64))
