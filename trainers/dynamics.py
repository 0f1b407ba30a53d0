"""What a restart was doing when its training ended."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainers.basins import Bottoms, Point
from trainers.curvature import largest_curvature
from trainers.engine import Evaluate, Trajectories
from trainers.problem import FloatArray
from trainers.tail import Tail
from trainers.thresholds import Thresholds

__all__ = ["Dynamics", "find_dynamics", "progress"]

_BLOCKS = 10
# Standard deviations of 99.9 %: chaos passes for progress in one restart of thousands. At 95 % it
# did in 3 %. Motion along the edge of stability, which falls, loses nothing by so wide an interval.
_WIDTH = 3.29
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


def find_dynamics(
    evaluate: Evaluate, run: Trajectories, bottoms: Bottoms, thresholds: Thresholds
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Dynamics (R,) and the reason of each in one sentence (R,).

    *settled*: what is left to gain, J - J_bottom, is negligible beside the descent so far.
    *oscillating*: no progress, while successive steps point against each other or the path leads
    nowhere. Else *descending*: the budget ended first. With mini-batches a restart that makes no
    progress but whose curvature is below the optimizer's limit hovers over its minimum by noise
    alone, and has settled as far as it can.
    """
    restarts = len(run)
    labels = np.full(restarts, Dynamics.DESCENDING, dtype=object)
    reasons = np.full(restarts, "the loss was still falling when the steps ended", dtype=object)
    live = np.flatnonzero(~run.diverged)
    labels[run.diverged] = Dynamics.DIVERGED
    for row in np.flatnonzero(run.diverged):
        reasons[row] = f"diverged at step {run.diverged_at[row]}"
    if not live.size:
        return labels, reasons
    late = run.recorded >= run.steps - Tail.length(run.steps)
    losses, start = run.losses[late][:, live], run.losses[0, live]
    bottom = np.minimum(bottoms.loss[live], losses.min(axis=0))
    rounding = 64.0 * np.finfo(float).eps * np.maximum(np.abs(start), np.abs(bottom))
    gap = losses - bottom
    decided = bottoms.point[live] != Point.UNDETERMINED
    enough = thresholds.settled * (start - bottom) + rounding
    settled = decided & (gap[-_LAST:] <= enough).all(axis=0)
    _, upper = progress(np.log(np.maximum(gap, np.maximum(rounding, 1e-300))))
    bouncing = run.cosine[live] < thresholds.opposed
    stuck = ~settled & ~(upper < 0) & (bouncing | (run.displacement[live] < thresholds.confined))
    hovering = np.zeros(len(live), dtype=bool)
    if run.batch_size is not None and stuck.any():
        hovering[stuck] = _below_limit(evaluate, run, live[stuck])
    for row in live[settled]:
        labels[row], reasons[row] = Dynamics.SETTLED, "what is left to gain is negligible"
    for row in live[stuck & hovering]:
        labels[row], reasons[row] = (
            Dynamics.SETTLED,
            "hovers over its minimum by the noise of the mini-batches",
        )
    for row in live[stuck & ~hovering]:
        how = (
            "successive steps oppose each other"
            if run.cosine[row] < thresholds.opposed
            else "the path leads nowhere"
        )
        labels[row], reasons[row] = Dynamics.OSCILLATING, f"no progress, and {how}"
    for row in live[~settled & ~stuck & bouncing]:
        reasons[row] = "the loss was still falling, along the edge of stability"
    return labels, reasons


def _below_limit(
    evaluate: Evaluate, run: Trajectories, rows: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Whether lr * lambda_max(P^-1 H) of `rows`, on all examples, is below the limit."""
    w = run.weights[rows]
    scaling = None if run.preconditioner is None else 1.0 / np.sqrt(run.preconditioner[rows])
    sharpness, _ = largest_curvature(evaluate, w, evaluate(w)[1] + 1e-12, 20, scaling)
    return np.asarray(run.learning_rate[rows] * sharpness < run.optimizer.stability_limit)
