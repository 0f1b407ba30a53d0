"""What losses alone tell of each training: whether it diverged, and what its tail looked like.

The rules are those of jobs (`trainers.outcomes`), as far as they need nothing but losses. No
weights are known, so neither the bottom below a restart is, nor whether its steps oppose each
other, nor its curvature. What follows: nobody is trapped or has reached a minimum but a known one;
who hovers high without progress may have fallen or be noisy; and who still makes progress hovers at
a height that is not known, over a bottom further down.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers import Dynamics, Fall, Point
from trainers.outcomes.dynamics import LEAST_FALL, progress
from trainers.training.tail_statistics import TailStatistics
from tuning.own_results.table import Trainings
from tuning.trial.result import Restarts

__all__ = ["LEAST_POINTS", "restarts_of"]

FloatArray = NDArray[np.float64]

#: Losses of a curve: of fewer the tail, ten at least, is more than half of the way.
LEAST_POINTS = 20
_LEVEL = 0.9  # quantile of the tail's losses, as `trainers.outcomes.dynamics` has it
_SPIKE = 10.0  # of J90 over the bottom, likewise


def restarts_of(given: Trainings, steps: NDArray[np.int64]) -> Restarts:
    """A row for each of the N trainings, at whose `steps` (K,) its losses were."""
    losses, diverged = given.losses, given.diverged
    count = losses.shape[1]
    nothing, no = np.full(count, np.nan), np.zeros(count, dtype=bool)
    level, gap, trend, middle = (nothing.copy() for _ in range(4))
    still, spikes = no.copy(), np.zeros(count, dtype=np.int64)
    motion = np.full(count, Dynamics.DESCENDING.value, dtype="<U16")
    reason = np.full(count, "did not diverge; of more its losses do not tell", dtype="<U120")
    bottom = np.where(diverged, np.nan, losses[-1])
    if len(losses) >= LEAST_POINTS and not diverged.all():
        live = np.flatnonzero(~diverged)
        tail = _Tail(losses[:, live])
        level[live], middle[live], trend[live] = tail.level, tail.middle, tail.trend
        still[live], bottom[live] = tail.still, tail.lowest
        gap[live] = np.where(tail.still, tail.level - tail.lowest, np.nan)
        spikes[live] = np.where(tail.still, tail.spikes, 0)
        motion[live[tail.still]] = Dynamics.HOVERING.value
        reason[live] = "the loss was still falling when the steps ended"
        reason[live[tail.still]] = "no progress; by swings or by noise, its losses do not tell"
    motion[diverged] = Dynamics.DIVERGED.value
    reason[diverged] = "diverged, as the table says or as its last loss, which is not finite"
    return Restarts(
        dynamics=motion,
        motion=motion,
        fall=np.where(diverged, Fall.DIVERGED.value, "").astype("<U16"),
        hover=nothing,
        point=np.where(diverged, Point.NONE.value, Point.UNDETERMINED.value),
        start_loss=given.start_loss,
        loss=_last_finite(losses),
        tail_loss=level,
        basin_loss=bottom,
        lower_bound=np.full(count, -np.inf),
        tail_gap=gap,
        tail_excess=nothing,
        still=still,
        held=no,
        spikes=spikes,
        cosine=nothing,
        displacement=nothing,
        trend=trend,
        tail_middle=middle,
        sharpest=nothing,
        swing=nothing,
        smallest_curvature=nothing,
        largest_curvature=nothing,
        lr_sharpness=nothing,
        diverged_at=np.where(diverged, _end(losses, steps), -1),
        validation_loss=given.validation_loss,
        reason=reason,
    )


class _Tail:
    """Of R curves (K, R) of finite losses: J90, the median and the lowest of the tail; the upper
    end of the slope of log(J - lowest), over the tail or over the second half of the way; whether
    that says no progress; how many spikes. Each (R,)."""

    def __init__(self, losses: FloatArray) -> None:
        at, last = np.arange(len(losses)), len(losses) - 1
        late = losses[last - TailStatistics.length(last) :]
        self.lowest, self.middle = late.min(axis=0), np.median(late, axis=0)
        self.level = np.quantile(late, _LEVEL, axis=0, method="higher")
        scale = np.maximum(np.abs(losses[0]), np.abs(self.lowest))
        rounding = np.maximum(64.0 * np.finfo(float).eps * scale, 1e-300)
        height = np.log(np.maximum(losses - self.lowest, rounding))
        self.trend = np.minimum(
            progress(height[len(losses) - len(late) :])[1], progress(height[at >= last // 2])[1]
        )
        self.still = ~(self.trend < -LEAST_FALL)
        above = _SPIKE * np.maximum(self.level - self.lowest, rounding)
        self.spikes = (late - self.lowest > above).sum(axis=0)


def _last_finite(losses: FloatArray) -> FloatArray:
    """(R,): NaN where there is none."""
    finite = np.isfinite(losses)
    last = len(losses) - 1 - finite[::-1].argmax(axis=0)
    return np.where(finite.any(axis=0), losses[last, np.arange(losses.shape[1])], np.nan)


def _end(losses: FloatArray, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """(R,): the step of the first loss that is not finite; the last step where there is none, or
    no loss is finite at all, so that the step is not known."""
    finite = np.isfinite(losses)
    known = ~finite.all(axis=0) & finite.any(axis=0)
    return np.asarray(np.where(known, steps[finite.argmin(axis=0)], steps[-1]))
