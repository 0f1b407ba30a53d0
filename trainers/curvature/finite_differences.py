"""Curvature of the loss, by differences of its gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trainers.problem import Evaluate, FloatArray

__all__ = ["differences", "hessians", "hessians_and_jumps", "largest_curvature"]

# Below eps^(1/3), which balances rounding and truncation of a central difference: a loss with kinks
# (ReLU) has fewer of them within a shorter step, and the rounding left, 1e-10, is far below every
# threshold.
_STEP = 1e-6
_EPS = float(np.finfo(float).eps)
_ROWS = 4096  # parameter vectors in one call
# Of the curvature: two one-sided differences further apart than this have a kink between them.
_KINK = 1e-2


def differences(
    evaluate: Evaluate, w: FloatArray, step: float
) -> Iterator[tuple[slice, FloatArray, FloatArray, FloatArray]]:
    """For some of the restarts at a time: which, the gradient there (r, P), and its one-sided
    difference quotients above and below (r, P, P), row i along parameter i. 2 P + 1 gradients
    each; `step` is relative to 1 + |w|."""
    parameters = w.shape[1]
    group = max(1, _ROWS // (2 * parameters))
    for a in range(0, len(w), group):
        here = w[a : a + group]
        h = step * (1.0 + np.abs(here))
        shift = np.eye(parameters) * h[:, None, :]  # (r, P, P): row i moves parameter i
        points = np.concatenate(
            [here[:, None], here[:, None] + shift, here[:, None] - shift], axis=1
        )
        gradients = evaluate(points.reshape(-1, parameters))[1].reshape(points.shape)
        middle = gradients[:, :1]
        above = (gradients[:, 1 : parameters + 1] - middle) / h[:, :, None]
        below = (middle - gradients[:, parameters + 1 :]) / h[:, :, None]
        yield slice(a, a + group), middle[:, 0], above, below


def hessians(evaluate: Evaluate, w: FloatArray) -> FloatArray:
    """The Hessians alone of `hessians_and_jumps`."""
    return hessians_and_jumps(evaluate, w)[0]


def hessians_and_jumps(evaluate: Evaluate, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Symmetric Hessians (R, P, P) at `w` (R, P), by central differences: 2 P gradients each, and
    how much the gradient jumps within a step of `w` (R,), 0 where it is smooth.

    Where it jumps, the column is the difference on the side that has no kink, so that the curvature
    is that of the smooth piece.
    """
    restarts, parameters = w.shape
    out = np.empty((restarts, parameters, parameters))
    jump = np.zeros(restarts)
    for part, middle, above, below in differences(evaluate, w, _STEP):
        up, down = np.abs(above).max(axis=2), np.abs(below).max(axis=2)
        scale = np.minimum(up, down).max(axis=1, keepdims=True)
        noise = 1e3 * _EPS / _STEP * np.abs(middle).max(axis=1, keepdims=True)
        apart = np.abs(above - below).max(axis=2)
        jumps = apart > _KINK * scale + noise
        block = 0.5 * (above + below)
        if jumps.any():
            jump[part] = np.where(jumps, apart * _STEP * (1.0 + np.abs(w[part])), 0.0).max(axis=1)
            smooth = np.where((up < down)[:, :, None], above, below)
            block = np.where(jumps[:, :, None], smooth, block)
        out[part] = 0.5 * (block + block.transpose(0, 2, 1))
    return out, jump


def largest_curvature(
    evaluate: Evaluate,
    w: FloatArray,
    direction: FloatArray,
    iterations: int,
    scaling: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Largest |eigenvalue| of S H S by power iteration, with S = diag(scaling) (R, P) or the
    identity.

    Starts from `direction` (R, P). Returns the estimates (R,), from below, and the directions
    (R, P). One central difference, two gradients, an iteration, also where the problem offers exact
    products: steps of this length cross kinks, and those who step by the estimate cross them too.
    """
    scale = np.ones_like(w) if scaling is None else scaling
    v = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    estimate = np.zeros(len(w))
    for _ in range(iterations):
        move = scale * v
        h = _STEP * (1.0 + np.linalg.norm(w, axis=1)) / np.linalg.norm(move, axis=1)
        points = np.concatenate([w + h[:, None] * move, w - h[:, None] * move])
        gradients = evaluate(points)[1]
        product = scale * (gradients[: len(w)] - gradients[len(w) :]) / (2.0 * h[:, None])
        estimate = np.linalg.norm(product, axis=1)
        v = np.where(
            estimate[:, None] > 0, product / np.where(estimate > 0, estimate, 1.0)[:, None], v
        )
    return estimate, v
