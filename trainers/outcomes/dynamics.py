"""What a restart was doing when its training ended."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainers.basins.endpoints import BasinEndpoints
from trainers.curvature.lanczos import extreme_curvatures
from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.thresholds import Thresholds
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trajectories import Trajectories

__all__ = ["Dynamics", "find_dynamics", "progress", "sharpness"]

_BLOCKS = 10
# Standard deviations of 99.9 %: chaos passes for progress in one restart of thousands. At 95 % it
# did in 3 %. Motion along the edge of stability, which falls, loses nothing by so wide an interval.
_WIDTH = 3.29
_LEAST_FALL = 1e-7  # of what is left, by block: less is rounding
_LAST = 10  # recorded losses that must all be near the bottom


class Dynamics(StrEnum):
    """What a restart was doing when it ended."""

    SETTLED = "settled"
    DESCENDING = "descending"
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
    return np.asarray(run.learning_rate[rows] * found.largest)


def find_dynamics(
    evaluate: Evaluate,
    run: Trajectories,
    endpoints: BasinEndpoints,
    lr_sharpness: FloatArray,
    limits: Thresholds,
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Dynamics (R,) and the reason of each in one sentence (R,).

    *settled*: what is left to gain, J - J_bottom, is negligible beside the descent so far.
    *oscillating*: no progress, while successive steps point against each other, or the path leads
    nowhere at a curvature that the rate is too large for. Else *descending*: the budget ended
    first.

    Two kinds of hovering have settled as far as they can: by the noise of mini-batches over a
    minimum whose curvature is below the limit, and over a kink of the loss, materially at its
    bottom.

    Args:
        lr_sharpness (R,): of `sharpness`, where the restarts ended.
    """
    labels = np.full(len(run), Dynamics.DESCENDING, dtype=object)
    reasons = np.full(len(run), "the loss was still falling when the steps ended", dtype=object)
    live = np.flatnonzero(~run.diverged)
    labels[run.diverged] = Dynamics.DIVERGED
    for row in np.flatnonzero(run.diverged):
        reasons[row] = f"diverged at step {run.diverged_at[row]}"
    if not live.size:
        return labels, reasons
    late = run.recorded >= run.steps - TailStatistics.length(run.steps)
    losses, start = run.losses[:, live], run.losses[0, live]
    bottom = np.minimum(endpoints.loss[live], losses[late].min(axis=0))
    rounding = 64.0 * np.finfo(float).eps * np.maximum(np.abs(start), np.abs(bottom))
    gap, descent = losses - bottom, start - bottom
    settled = endpoints.rests[live] & (gap[-_LAST:] <= limits.settled * descent + rounding).all(
        axis=0
    )
    height = np.log(np.maximum(gap, np.maximum(rounding, 1e-300)))
    # The bumps along the edge of stability may be longer than the tail, but not than half the way.
    falls = progress(height[late])[1] < -_LEAST_FALL
    falls |= progress(height[run.recorded >= run.steps // 2])[1] < -_LEAST_FALL
    bouncing = run.cosine[live] < limits.opposed
    still = ~settled & ~falls
    confined = still & (run.displacement[live] < limits.confined)
    # The bottom may be sharper than the point where a wide swing happens to end.
    sharpest = lr_sharpness[live]
    at = live[confined & ~bouncing]
    sharpest[confined & ~bouncing] = np.fmax(
        lr_sharpness[at], sharpness(evaluate, run, endpoints.weights[at], at)
    )
    share = sharpest / run.optimizer.stability_limit
    too_sharp = ~(share < limits.edge) | (np.median(losses[late], axis=0) > start)
    near = np.median(gap[late], axis=0) <= limits.material * descent
    kink = endpoints.kinked[live] & near
    noise = np.bool_(run.batch_size is not None) & (share < 1.0)
    hovering = (still & bouncing | confined) & (kink | noise)
    oscillating = (still & bouncing | confined & too_sharp) & ~hovering
    swinging = confined & ~oscillating & ~hovering
    edge = ~settled & ~still & bouncing
    for mask, label, reason in (
        (settled, Dynamics.SETTLED, "what is left to gain is negligible"),
        (
            hovering & noise,
            Dynamics.SETTLED,
            "hovers over its minimum by the noise of the mini-batches",
        ),
        (
            hovering & ~noise,
            Dynamics.SETTLED,
            "hovers over a jump of the gradient, as close as its steps let it",
        ),
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
        (
            swinging,
            Dynamics.DESCENDING,
            "swings to and fro at a curvature that the rate is small enough for",
        ),
        (edge, Dynamics.DESCENDING, "the loss was still falling, along the edge of stability"),
    ):
        labels[live[mask]] = label
        reasons[live[mask]] = reason
    return labels, reasons
