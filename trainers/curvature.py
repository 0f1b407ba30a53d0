"""Curvature of the loss, by differences of its gradient."""

from __future__ import annotations

import numpy as np

from trainers.engine import Evaluate
from trainers.problem import FloatArray

__all__ = ["hessians", "largest_curvature"]

_STEP = 1e-5  # near eps^(1/3), which balances rounding and truncation of a central difference
_ROWS = 4096  # parameter vectors in one call


def hessians(evaluate: Evaluate, w: FloatArray) -> FloatArray:
    """Symmetric Hessians (R, P, P) at `w` (R, P), by central differences: 2 P gradients each."""
    restarts, parameters = w.shape
    out = np.empty((restarts, parameters, parameters))
    group = max(1, _ROWS // (2 * parameters))
    for a in range(0, restarts, group):
        here = w[a : a + group]
        h = _STEP * (1.0 + np.abs(here))
        shift = np.eye(parameters) * h[:, None, :]  # (r, P, P): row i moves parameter i
        points = np.stack([here[:, None] + shift, here[:, None] - shift], axis=1)
        gradients = evaluate(points.reshape(-1, parameters))[1].reshape(points.shape)
        block = (gradients[:, 0] - gradients[:, 1]) / (2.0 * h[:, :, None])
        out[a : a + group] = 0.5 * (block + block.transpose(0, 2, 1))
    return out


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
    (R, P). One central difference, two gradients, an iteration.
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
