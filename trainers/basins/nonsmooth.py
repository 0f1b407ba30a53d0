"""Bottoms where the gradient jumps, as at the kinks of a ReLU network.

Gradient flow comes to rest there though no gradient vanishes, and so do steps that follow it: they
are refused, shorter and shorter. Seen from a little further off the kinks are one more curvature
(as many examples make them: their jumps are of the size 1 / examples), and that is where these
bottoms can be told.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.basins.perturbations import lower_nearby
from trainers.basins.quadratic_model import Quadratic
from trainers.problem import Evaluate, FloatArray
from trainers.thresholds import Thresholds

__all__ = ["Settled", "settle"]

_FINE = 0.03  # of the radius over which the gradient is averaged: to end closer
_ROUNDS = 40
_LEAST = 1e-3  # of what is enough: a step that gains less ends a polish
# Between two radii, one this part of the other, a smooth gradient bends by the square of it, and
# jumps by it where there are many kinks, by as much where there is one.
_KINKED = 0.2 * _FINE
_PUSHES = 12
_SOFT = 1e-2  # of the largest curvature: as much may be the error of the average
_ALIKE = 10.0  # of the smallest: so soft is what must be pushed at least
_LONGEST = 0.01  # of 1 + |w|: a step of this polish must not leave the basin
_SHARES = np.array([1.0, 0.3, 0.1, 0.03])


class Settled(NamedTuple):
    """Where (R, P) and at which losses (R,) a polish ended, the averaged model there, whether it is
    at rest (R,), and whether the gradient jumps there at all (R,)."""

    w: FloatArray
    loss: FloatArray
    model: Quadratic
    rest: NDArray[np.bool_]
    kinked: NDArray[np.bool_]


def settle(
    evaluate: Evaluate,
    w: FloatArray,
    loss: FloatArray,
    enough: FloatArray,
    limits: Thresholds,
) -> Settled:
    """Short damped Newton steps on the averaged loss from `w` (R, P), until 20 pushes along
    the soft directions find nothing that is lower by `enough` (R,)."""
    w, loss, least = w.copy(), loss.copy(), _LEAST * enough
    rest, kinked = np.zeros(len(w), dtype=bool), np.ones(len(w), dtype=bool)
    wide = Quadratic.averaged(evaluate, w, limits.kink)
    for push in range(_PUSHES):
        at = np.flatnonzero(~rest & kinked)
        if not at.size:
            break
        w[at], loss[at] = _polish(evaluate, wide.rows(at), loss[at], least[at], limits.strict)
        fine = Quadratic.averaged(evaluate, w[at], _FINE * limits.kink)
        if not push:
            kinked = fine.jump > _KINKED * wide.jump
        w[at], loss[at] = _polish(evaluate, fine, loss[at], least[at], limits.strict)
        model = Quadratic.averaged(evaluate, w[at], limits.kink)
        wide.put(at, model)
        soft = model.soft(_SOFT, _ALIKE)
        lowest, height = lower_nearby(evaluate, model, loss[at], soft, limits.push)
        lower = height < loss[at] - enough[at]
        rest[at[~lower]] = True
        w[at[lower]], loss[at[lower]] = lowest[lower], height[lower]
        wide.w[at[lower]] = lowest[lower]
    return Settled(w, loss, wide, rest & kinked, kinked)


def _polish(
    evaluate: Evaluate, model: Quadratic, loss: FloatArray, least: FloatArray, strict: float
) -> tuple[FloatArray, FloatArray]:
    """Steps with one Hessian, the first along the averaged slope, each to the best of four shares
    of Newton's step."""
    w, loss, slope = model.w.copy(), loss.copy(), model.slope.copy()
    floor = strict * model.largest[:, None] + 1e-300
    inverse = 1.0 / np.maximum(np.abs(model.values), floor)
    longest = _LONGEST * (1.0 + np.linalg.norm(w, axis=1))
    at = np.arange(len(w))
    for _ in range(_ROUNDS):
        if not at.size:
            break
        step = -slope[at] * inverse[at]
        length = np.linalg.norm(step, axis=1)
        step *= np.minimum(1.0, longest[at] / np.maximum(length, 1e-300))[:, None]
        direction = np.matmul(model.vectors[at], step[:, :, None])[:, None, :, 0]
        points = w[at][:, None] + _SHARES[:, None] * direction
        heights, gradients = evaluate(points.reshape(-1, w.shape[1]))
        heights = np.where(np.isfinite(heights), heights, np.inf).reshape(points.shape[:2])
        best, rows = heights.argmin(axis=1), np.arange(len(at))
        better = heights[rows, best] < loss[at] - least[at]
        gradient = gradients.reshape(points.shape)[rows, best][better]
        went = at[better]
        w[went], loss[went] = points[rows, best][better], heights[rows, best][better]
        slope[went] = np.matmul(gradient[:, None, :], model.vectors[went])[:, 0]
        at = went
    return w, loss
