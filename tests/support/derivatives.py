"""Derivatives by plain differences, as the slow and obvious reference."""

from __future__ import annotations

import numpy as np

from trainers.problem import FloatArray, Problem

__all__ = ["hessian", "slope"]


def slope(problem: Problem, w: FloatArray, h: float = 1e-5) -> FloatArray:
    """The gradient (P,) at `w` (P,)."""
    step = h * np.eye(len(w))
    up = np.array(problem.loss_and_gradient(w + step)[0])
    return np.asarray((up - problem.loss_and_gradient(w - step)[0]) / (2 * h))


def hessian(problem: Problem, w: FloatArray) -> FloatArray:
    """The Hessian (P, P) at `w` (P,), from the gradient."""
    step = 1e-5 * np.eye(len(w))
    up = np.array(problem.loss_and_gradient(w + step)[1])
    return np.asarray((up - problem.loss_and_gradient(w - step)[1]) / 2e-5)
