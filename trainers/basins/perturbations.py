"""Points at rest that are no strict minimum: is anything lower close by, or only at infinity?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.basins.quadratic_model import Quadratic
from trainers.problem import Evaluate, FloatArray
from trainers.randomness import Purpose, generator

__all__ = ["falls_for_ever", "lower_nearby", "rises_nearby"]

_PERTURBATIONS = 20
# Of 1 + |w|: a loss that rises at none of these distances has no minimum here.
_AROUND = (0.1, 0.3, 1.0)
_RELAXATIONS = 3
_DOUBLINGS = 14


def _directions(restarts: int, parameters: int) -> FloatArray:
    """The same directions (R, 20, P) for every restart, so that no label depends on the others."""
    one = generator(0, Purpose.POLISH, parameters).standard_normal((_PERTURBATIONS, parameters))
    return np.broadcast_to(one, (restarts, *one.shape))


def _losses(evaluate: Evaluate, points: FloatArray) -> FloatArray:
    """Losses (R, K) of points (R, K, P); infinite where they are not finite."""
    loss = evaluate(points.reshape(-1, points.shape[-1]))[0].reshape(points.shape[:-1]).copy()
    return np.asarray(np.where(np.isfinite(loss), loss, np.inf))


def lower_nearby(
    evaluate: Evaluate,
    model: Quadratic,
    loss: FloatArray,
    flat: NDArray[np.bool_],
    distance: float,
) -> tuple[FloatArray, FloatArray]:
    """The lowest points (R, P) and losses (R,) found from 20 perturbations along the `flat`
    directions (R, P) of each restart, by `distance` times 1 + |w| or a tenth of it, each brought
    back to the bottom of the other directions by Newton's method."""
    along = _directions(*model.w.shape) * flat[:, None, :]
    along = along / np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-300)
    size = np.resize([0.1 * distance, distance], _PERTURBATIONS)[:, None]
    size = size * (1.0 + np.linalg.norm(model.w, axis=1))[:, None, None]
    points = model.w[:, None] + np.matmul(along * size, model.vectors.transpose(0, 2, 1))
    back = np.where(flat | (model.values <= 0), 0.0, model.inverse)[:, None]
    rows = np.arange(len(loss))
    lowest, least = model.w.copy(), loss.copy()
    for k in range(_RELAXATIONS + 1):
        if k:
            gradient = evaluate(points.reshape(-1, points.shape[-1]))[1].reshape(points.shape)
            step = np.matmul(gradient, model.vectors) * back
            points = points - np.matmul(step, model.vectors.transpose(0, 2, 1))
        heights = _losses(evaluate, points)
        best = heights.argmin(axis=1)
        lower = heights[rows, best] < least
        lowest[lower] = points[rows, best][lower]
        least[lower] = heights[rows, best][lower]
    return lowest, least


def rises_nearby(
    evaluate: Evaluate, w: FloatArray, loss: FloatArray, by: FloatArray
) -> NDArray[np.bool_]:
    """Whether (R,) the loss is higher than `loss` (R,) `by` (R,) anywhere around `w` (R, P)."""
    along = _directions(*w.shape)
    along = along / np.linalg.norm(along, axis=2, keepdims=True)
    size = np.resize(_AROUND, _PERTURBATIONS)[:, None]
    size = size * (1.0 + np.linalg.norm(w, axis=1))[:, None, None]
    there = _losses(evaluate, w[:, None] + size * along).max(axis=1)
    return np.asarray(there > loss + by)


def falls_for_ever(
    evaluate: Evaluate, w: FloatArray, loss: FloatArray, directions: FloatArray
) -> FloatArray:
    """The loss (R,) at the far end of a ray from `w` (R, P) along which it never rises, as in a
    valley that leads to infinity. NaN where each of the `directions` (R, K, P) meets a rise.

    The ends are some thousand times 1 + |w| away, by way of 14 doublings: a finite minimum that the
    ray passed at a smaller scale would show as a rise behind it.
    """
    norm = np.linalg.norm(directions, axis=2, keepdims=True)
    unit = directions / np.where(norm > 0, norm, 1.0)
    size = 0.1 * (1.0 + np.linalg.norm(w, axis=1))[:, None] * 2.0 ** np.arange(_DOUBLINGS)
    end = np.full(len(w), np.nan)
    rounding = 64.0 * np.finfo(float).eps * np.abs(loss)[:, None]
    for k in range(directions.shape[1]):
        points = w[:, None] + size[:, :, None] * unit[:, None, k]
        heights = np.concatenate([loss[:, None], _losses(evaluate, points)], axis=1)
        falls = (np.diff(heights, axis=1) <= rounding).all(axis=1)
        falls &= (heights[:, 1] < loss - rounding[:, 0]) & (norm[:, k, 0] > 0)
        end = np.where(falls, np.fmin(end, heights[:, -1]), end)
    return end
