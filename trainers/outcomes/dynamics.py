"""What a restart was doing when its training ended, and what its tail looked like."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainers._rows import filled
from trainers.basins.endpoints import BasinEndpoints
from trainers.curvature.lanczos import extreme_curvatures
from trainers.outcomes.stability import TailFacts
from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.thresholds import Thresholds
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trajectories import Trajectories

__all__ = ["LEAST_FALL", "Behaviour", "Dynamics", "find_behaviour", "progress", "sharpness"]

_BLOCKS = 10
# Standard deviations of 99.9 %: chaos passes for progress in one restart of thousands. At 95 % it
# did in 3 %. Motion along the edge of stability, which falls, loses nothing by so wide an interval.
_WIDTH = 3.29
LEAST_FALL = 1e-7  #: Of what is left, by block: less is rounding.
_LEAST = 8  # losses: fewer say nothing of a tail
_LEVEL = 0.9  # quantile of the tail's losses: the last alone is a matter of luck
_SPIKE = 10.0  # of J90 over the bottom


class Dynamics(StrEnum):
    """What a restart was doing when it ended."""

    SETTLED = "settled"
    DESCENDING = "descending"
    HOVERING = "hovering"
    OSCILLATING = "oscillating"
    DIVERGED = "diverged"


def progress(series: FloatArray) -> tuple[FloatArray, FloatArray]:
    """99.9 % interval (R,), (R,) of the slope of each column of `series` (K, R), in block medians.

    Theil-Sen over at most ten block medians, with the interval of Kendall's tau (Sen 1968): neither
    an outlier nor an oscillation faster than a block moves it.
    """
    blocks = np.array_split(series, min(_BLOCKS, len(series)))
    medians = np.array([np.median(block, axis=0) for block in blocks])
    count = len(medians)
    if count < 2:
        return np.full(series.shape[1], -np.inf), np.full(series.shape[1], np.inf)
    early, late = np.triu_indices(count, 1)
    slopes = np.sort((medians[late] - medians[early]) / (late - early)[:, None], axis=0)
    spread = _WIDTH * np.sqrt(count * (count - 1) * (2 * count + 5) / 18.0)
    cut = max(0, int(np.floor((len(slopes) - spread) / 2)))
    return slopes[cut], slopes[len(slopes) - 1 - cut]


_SHARPNESS_ITERATIONS = 16  # on breast-cancer they leave 1e-3, from an arbitrary direction


def sharpness(evaluate: Evaluate, run: Trajectories, w: FloatArray, rows: IntArray) -> FloatArray:
    """lr * lambda_max(P^-1 H) (r,) of the restarts `rows` at `w` (r, P), with the preconditioner P
    of their last step; to be held against the optimizer's limit (Cohen et al. 2021, 2022)."""
    if not rows.size:
        return np.empty(0)
    scaling = None if run.preconditioner is None else 1.0 / np.sqrt(run.preconditioner[rows])
    found = extreme_curvatures(evaluate, w, _SHARPNESS_ITERATIONS, scaling)
    return np.asarray(run.last_rate[rows] * found.largest)


@dataclass(frozen=True)
class Behaviour:
    """What R restarts were doing, each (R,).

    Attributes:
        motion: of `Dynamics`, as if none had settled; whether one has depends on the scale of all.
        tail: what is known of their last steps. spikes: how many losses of the tail are more than
            ten times as high over the bottom as J90. middle: the median of the tail's losses.
        trend: upper end of the interval for the slope of log(J - J_bottom), by block of the tail or
            of the second half of the steps, whichever is less.
        sharpest: lr * lambda_max(P^-1 H) where training ended, or at the bottom below where that is
            more and was asked for.
        swing: how much of the gap is the swing: the tail's J90 over its lowest loss, or its mean
            loss against the loss at its mean weights, lower or (across a barrier) higher.
        reason: of the motion, one sentence.
    """

    motion: NDArray[np.object_]
    tail: TailFacts
    spikes: IntArray
    middle: FloatArray
    trend: FloatArray
    sharpest: FloatArray
    swing: FloatArray
    reason: NDArray[np.object_]


def find_behaviour(
    evaluate: Evaluate,
    products: Evaluate,
    run: Trajectories,
    endpoints: BasinEndpoints,
    lr_sharpness: FloatArray,
    limits: Thresholds,
) -> Behaviour:
    """What each restart was doing.

    *oscillating*: no progress, while successive steps point against each other, or the path leads
    nowhere at a curvature that the rate is too large for. *hovering*: no progress, held off by the
    noise of mini-batches. Else *descending*: the budget ended first.

    Args:
        products: by which the sharpness is found.
        lr_sharpness (R,): of `sharpness`, where the restarts ended.
    """
    count = len(run)
    motion = filled(count, Dynamics.DESCENDING)
    reasons = np.full(count, "the loss was still falling when the steps ended", dtype=object)
    nothing, no = np.full(count, np.nan), np.zeros(count, dtype=bool)
    tail = TailFacts(
        diverged=run.diverged,
        start=run.losses[0],
        level=nothing.copy(),
        gap=nothing.copy(),
        still=no.copy(),
        held=no.copy(),
        excess=nothing.copy(),
    )
    spikes = np.zeros(count, dtype=np.intp)
    found = Behaviour(
        motion,
        tail,
        spikes,
        nothing.copy(),
        nothing.copy(),
        lr_sharpness.copy(),
        nothing.copy(),
        reasons,
    )
    motion[run.diverged] = Dynamics.DIVERGED
    for row in np.flatnonzero(run.diverged):
        reasons[row] = f"diverged at step {run.diverged_at[row]}"
    live = np.flatnonzero(~run.diverged)
    late = run.recorded >= run.steps - TailStatistics.length(run.steps)
    if not live.size or late.sum() < _LEAST:
        return found
    losses, start = run.losses[:, live], run.losses[0, live]
    bottom = np.minimum(endpoints.loss[live], losses[late].min(axis=0))
    rounding = 64.0 * np.finfo(float).eps * np.maximum(np.abs(start), np.abs(bottom))
    above = losses - bottom
    level = np.quantile(losses[late], _LEVEL, axis=0, method="higher")
    gap = level - bottom
    height = np.log(np.maximum(above, np.maximum(rounding, 1e-300)))
    # The bumps along the edge of stability may be longer than the tail, but not than half the way.
    trend = np.minimum(
        progress(height[late])[1], progress(height[run.recorded >= run.steps // 2])[1]
    )
    falls = trend < -LEAST_FALL
    bouncing = run.cosine[live] < limits.opposed
    still = ~falls
    confined = still & (run.displacement[live] < limits.confined)
    # The bottom may be sharper than the point where a wide swing happens to end.
    sharpest = lr_sharpness[live]
    wide = gap > limits.max_hover * (start - bottom)
    doubtful = still & ~bouncing & (confined | wide)
    at = live[doubtful]
    sharpest[doubtful] = np.fmax(
        lr_sharpness[at], sharpness(products, run, endpoints.weights[at], at)
    )
    share = sharpest / run.optimizer.stability_limit
    middle = np.median(losses[late], axis=0)
    too_sharp = ~(share < limits.edge) | (middle > start)
    # At a rate small enough for the curvature it is noise that holds a restart off.
    noise = np.bool_(run.batch_size is not None) & (share < 1.0)
    oscillating = still & (bouncing | confined & too_sharp) & ~noise
    hovering = still & noise
    swinging = confined & ~oscillating & ~hovering
    tail.level[live], tail.gap[live], tail.still[live] = level, gap, still
    excess = losses[late].mean(axis=0) - evaluate(run.tail_weights[live])[0]
    swing = np.maximum(level - losses[late].min(axis=0), np.abs(excess))
    swings = swing > limits.swing * gap
    tail.held[live] = still & (bouncing | ~(share < limits.edge)) & swings
    tail.excess[live], found.swing[live] = excess, swing
    found.middle[live], found.trend[live], found.sharpest[live] = middle, trend, sharpest
    spikes[live] = (above[late] > _SPIKE * np.maximum(gap, rounding)).sum(axis=0)
    for mask, label, reason in (
        (
            oscillating & bouncing,
            Dynamics.OSCILLATING,
            "no progress, and successive steps oppose each other",
        ),
        (
            oscillating & ~bouncing,
            Dynamics.OSCILLATING,
            "no progress, and the path leads nowhere",
        ),
        (hovering, Dynamics.HOVERING, "no progress, but for the noise of the mini-batches"),
        (
            swinging,
            Dynamics.DESCENDING,
            "swings to and fro at a curvature that the rate is small enough for",
        ),
        (
            ~still & bouncing,
            Dynamics.DESCENDING,
            "the loss was still falling, along the edge of stability",
        ),
    ):
        motion[live[mask]] = label
        reasons[live[mask]] = reason
    return found
