"""What gradient flow does, found slowly and plainly: what the classifier's labels are held against.

The flow dw/dt = -dJ/dw is integrated by scipy (DOP853, rtol 1e-9: the error of a step is a
thousandth of what the basins here are wide, times 1e-6), until Newton's method can take over; the
bottom is then found, and its Hessian's spectrum taken, in extended precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from trainers.problem import FloatArray, Problem

__all__ = ["Bottom", "Formula", "flow_to_bottoms", "integrate", "spectrum"]

Extended = NDArray[np.longdouble]


class Formula(Problem):
    """A loss given by a formula that works in any precision; `evaluate` gives both parts.

    Args:
        evaluate: loss (R,) and gradient (R, P) at w (R, P), in the precision of w.
        low, high: starts are uniform between these, in every coordinate.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], tuple[Any, Any]],
        parameters: int,
        low: float,
        high: float,
        known_minimum: float | None = None,
    ) -> None:
        self.evaluate, self.parameters = evaluate, parameters
        self.low, self.high, self.known_minimum = low, high, known_minimum

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(self.low, self.high, self.parameters)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        loss, gradient = self.evaluate(w)
        return np.asarray(loss, dtype=np.float64), np.asarray(gradient, dtype=np.float64)


@dataclass(frozen=True)
class Bottom:
    """Where the flow of each of R restarts ends: weights (R, P), loss (R,), and the smallest and
    the largest curvature there (R,); NaN where it did not come to rest."""

    weights: FloatArray
    loss: FloatArray
    smallest: FloatArray
    largest: FloatArray


def integrate(problem: Formula, w: FloatArray, time: float) -> FloatArray:
    """Where the flow from `w` (R, P) is after `time`, each restart by itself within 1e-9."""

    def slope(_: float, y: FloatArray) -> FloatArray:
        return -problem.loss_and_gradient(y.reshape(w.shape))[1].ravel()

    # The norm of the error is a mean over all: times the root of R P bounds that of each.
    tolerance = 1e-9 / np.sqrt(w.size)
    done = solve_ivp(
        slope, (0.0, time), w.ravel(), method="DOP853", rtol=max(tolerance, 3e-14), atol=tolerance
    )
    assert done.success
    return np.asarray(done.y[:, -1].reshape(w.shape))


def spectrum(problem: Formula, w: FloatArray) -> Extended:
    """Hessians' eigenvalues (R, P) at `w` (R, P), by differences in extended precision."""
    values, _ = np.linalg.eigh(_hessians(problem, w.astype(np.longdouble)).astype(np.float64))
    return np.asarray(values)


def _hessians(problem: Formula, w: Extended) -> Extended:
    """(R, P, P). With eps = 1e-19 and a step of 1e-6 the differences are right to 1e-12."""
    h, count = np.longdouble(1e-6), w.shape[1]
    out = np.empty((len(w), count, count), dtype=np.longdouble)
    for i in range(count):
        step = np.zeros(count, dtype=np.longdouble)
        step[i] = h
        out[:, i] = (problem.evaluate(w + step)[1] - problem.evaluate(w - step)[1]) / (2 * h)
    return 0.5 * (out + out.transpose(0, 2, 1))


def flow_to_bottoms(
    problem: Formula, w: FloatArray, *, time: float = 3.0, rounds: int = 9
) -> Bottom:
    """Follow the flow for `time`, three times as long in each further round, until Newton's method
    in extended precision finds rest within 1e-3 of where the flow is, there where the curvature is
    positive everywhere. What has not come to rest after all rounds is NaN."""
    there, going = w.copy(), np.arange(len(w))
    out = Bottom(w.copy(), *(np.full(len(w), np.nan) for _ in range(3)))
    for _ in range(rounds):
        there[going] = integrate(problem, there[going], time)
        at = there[going].astype(np.longdouble)
        for _ in range(5):
            H = _hessians(problem, at).astype(np.float64)
            H += 1e-300 * np.eye(w.shape[1])  # exactly singular: an endless step, refused below
            gradient = np.asarray(problem.evaluate(at)[1], dtype=np.float64)
            step = np.linalg.solve(H, gradient[:, :, None])[:, :, 0]
            at = at - np.clip(np.nan_to_num(step), -1.0, 1.0)
        loss, gradient = (np.asarray(x, dtype=np.float64) for x in problem.evaluate(at))
        end = np.asarray(at, dtype=np.float64)
        values = spectrum(problem, end)
        rest = np.linalg.norm(end - there[going], axis=1) < 1e-3
        rest &= (np.linalg.norm(gradient, axis=1) < 1e-13) & (values[:, 0] > 1e-6)
        found = going[rest]
        out.weights[found], out.loss[found] = end[rest], loss[rest]
        out.smallest[found], out.largest[found] = values[rest, 0], values[rest, -1]
        going, time = going[~rest], 3.0 * time
        if not going.size:
            break
    out.weights[going] = there[going]
    return out
