"""Gradient flow dw/dt = -dJ/dw, followed faithfully and cheaply.

Runge-Kutta-Chebyshev of order two (Sommeijer, Shampine & Verwer 1998, J. Comp. Appl. Math. 88):
with s gradients it is stable up to h * lambda_max of about 0.65 s^2, where s Euler steps reach 2 s,
and its embedded error estimate keeps it on the path. So a restart ends in the basin that the flow
itself would end in, which an optimiser that takes long steps does not promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows
from trainers.curvature.finite_differences import largest_curvature
from trainers.problem import Evaluate, FloatArray, IntArray

__all__ = ["REACH", "STAGES", "Flow", "coefficients"]

_STAGES = (4, 10, 22, 41)  # a step takes the least of these that is stable
_FIRST_STEPS = 4  # grow to their length, and tell nothing
_SLOWING = 0.5  # e-folds of the gain, by step of full length; measured on breast-cancer
_SMALL = 0.1  # of the way that the training went
_SAFETY = 1.2  # power iteration comes from below


@cache
def coefficients(stages: int) -> tuple[FloatArray, ...]:
    """mu, nu, mu~, gamma~ of each stage (index 1 to s), equations 2.3 to 2.7 of the paper."""
    s = stages
    damped = 1.0 + 2.0 / 13.0 / s**2
    t, d, dd = (np.zeros(s + 1) for _ in range(3))  # Chebyshev T_j, T'_j, T''_j at the damped point
    t[0], t[1], d[1] = 1.0, damped, 1.0
    for j in range(2, s + 1):
        t[j] = 2 * damped * t[j - 1] - t[j - 2]
        d[j] = 2 * damped * d[j - 1] - d[j - 2] + 2 * t[j - 1]
        dd[j] = 2 * damped * dd[j - 1] - dd[j - 2] + 4 * d[j - 1]
    slope = d[s] / dd[s]
    b = np.empty(s + 1)
    b[2:] = dd[2:] / d[2:] ** 2
    b[0] = b[2]
    b[1] = 1.0 / damped
    a = 1.0 - b * t
    mu, nu, mu_t, gamma_t = (np.zeros(s + 1) for _ in range(4))
    mu_t[1] = b[1] * slope
    mu[2:] = 2 * b[2:] * damped / b[1:-1]
    nu[2:] = -b[2:] / b[:-2]
    mu_t[2:] = 2 * b[2:] * slope / b[1:-1]
    gamma_t[2:] = -a[1:-1] * mu_t[2:]
    return mu, nu, mu_t, gamma_t


_STAGES_OF = 1.54  # s stages are stable up to h * lambda_max = (s^2 - 1) / 1.54: equation 2.8
STAGES = _STAGES[-1]
REACH = (STAGES**2 - 1) / _STAGES_OF  # h * lambda_max of the longest step


@dataclass
class Flow(Rows):
    """R restarts on their way down; every array has a row for each.

    Attributes:
        w (R, P), loss (R,), gradient (R, P): where they are.
        h (R,): next step in time. drop (R,): decrease of the loss over the last accepted step.
        used (R,): gradients spent.
        taken (R,): steps. rate (R,): the last drop by gradient spent.
        slack (R,): a rise of the loss that is rounding. size (R,): a length in the space of the
            parameters that is small, beside which errors are judged where w is near 0.
        refused (R,): how many more steps were refused than taken, of late.
        rested (R,): the loss where it came to rest and was pushed on, NaN before that.
        length (R,), steady (R,): of the last step made with a Hessian, and how many in a row have
            been no shorter than the one before, for where they shrink the flow comes to rest.
    """

    w: FloatArray
    loss: FloatArray
    gradient: FloatArray
    h: FloatArray
    drop: FloatArray
    used: FloatArray
    direction: FloatArray
    lipschitz: FloatArray
    taken: FloatArray
    rate: FloatArray
    slack: FloatArray
    size: FloatArray
    refused: FloatArray
    rested: FloatArray
    length: FloatArray
    steady: FloatArray

    @classmethod
    def begin(
        cls,
        evaluate: Evaluate,
        w: FloatArray,
        starts: FloatArray | None = None,
        start_loss: FloatArray | None = None,
    ) -> Flow:
        """At `w` (R, P), with a first estimate of the curvature.

        What is small, a length or a loss, is measured by the way from `starts` (R, P), where the
        loss was `start_loss` (R,).
        """
        loss, gradient = (array.copy() for array in evaluate(w))
        size = np.linalg.norm(gradient, axis=1, keepdims=True)
        direction = np.where(size > 0, gradient, 1.0)
        lipschitz, direction = largest_curvature(evaluate, w, direction, 4)
        h = 1.0 / np.maximum(lipschitz, _reluctance(w, gradient))
        slack = 64.0 * np.finfo(float).eps * np.abs(loss)
        if start_loss is not None:
            slack = np.maximum(slack, 1e-14 * (start_loss - loss))
        way = np.zeros(len(w)) if starts is None else np.linalg.norm(w - starts, axis=1)
        return cls(
            w.copy(),
            loss,
            gradient,
            h,
            np.full(len(w), np.inf),
            np.full(len(w), 9.0),
            direction,
            lipschitz,
            np.zeros(len(w)),
            np.full(len(w), np.nan),
            slack,
            _SMALL * way,
            np.zeros(len(w)),
            np.full(len(w), np.nan),
            np.zeros(len(w)),
            np.zeros(len(w)),
        )

    def hopeless(self, enough: FloatArray, budget: float) -> NDArray[np.bool_]:
        """Whether (R,) a step will still gain more than `enough` (R,) when `budget` gradients are
        spent, though the descent should slow down as fast as it was ever seen to."""
        steps = np.maximum(budget - self.used, 0.0) / STAGES
        later = np.log(self.rate * STAGES / enough) - _SLOWING * steps
        return np.asarray((later > 0) & (self.taken >= _FIRST_STEPS))

    def _step(self, evaluate: Evaluate, rows: IntArray, stages: int) -> FloatArray:
        """Where one step takes `rows`: (r, P). Equation 2.2 of the paper."""
        w, h, first = self.w[rows], self.h[rows, None], self.gradient[rows]
        mu, nu, mu_t, gamma_t = coefficients(stages)
        older, newer = w, w - mu_t[1] * h * first
        for j in range(2, stages + 1):
            slope = evaluate(newer)[1]
            push = h * (mu_t[j] * slope + gamma_t[j] * first)
            older, newer = newer, (1.0 - mu[j] - nu[j]) * w + mu[j] * newer + nu[j] * older - push
        return np.asarray(newer)

    def _look_at_curvature(self, evaluate: Evaluate) -> None:
        """One more power iteration, by a forward difference: the gradient here is known."""
        v = self.direction
        h = 1e-6 * (1.0 + np.linalg.norm(self.w, axis=1, keepdims=True))
        product = (evaluate(self.w + h * v)[1] - self.gradient) / h
        latest = np.linalg.norm(product, axis=1)
        self.lipschitz = np.maximum(latest, 0.7 * self.lipschitz)
        self.direction = np.where(
            latest[:, None] > 0, product / np.where(latest > 0, latest, 1.0)[:, None], v
        )

    def advance(
        self, evaluate: Evaluate, tolerance: float, which: NDArray[np.bool_] | None = None
    ) -> None:
        """One attempted step of every restart, or of `which` (R,) alone; a refused one tries again
        with a shorter step."""
        if which is not None and not which.all():
            if which.any():
                part = self.rows(which)
                part.advance(evaluate, tolerance)
                self.put(which, part)
            return
        self._look_at_curvature(evaluate)
        bound = np.maximum(_SAFETY * self.lipschitz, _reluctance(self.w, self.gradient))
        self.h = np.minimum(self.h, REACH / bound)
        wanted = np.minimum(np.sqrt(1.0 + _STAGES_OF * self.h * bound), STAGES)
        before = self.used.copy()
        newer, gradient, loss = (np.full_like(x, np.nan) for x in (self.w, self.w, self.loss))
        # A few sizes of batch: how many stages a restart takes depends on itself alone.
        for least, stages in pairwise((0, *_STAGES)):
            rows = np.flatnonzero((least < wanted) & (wanted <= stages))
            if rows.size:
                newer[rows] = self._step(evaluate, rows, stages)
                loss[rows], gradient[rows] = evaluate(newer[rows])
                self.used[rows] += stages + 1
        self.used[~np.isfinite(wanted)] = np.inf  # NaN leads nowhere
        h = self.h[:, None]
        error = np.linalg.norm(
            0.8 * (self.w - newer) - 0.4 * h * (self.gradient + gradient), axis=1
        )
        length = np.linalg.norm(newer - self.w, axis=1)
        scale = tolerance * (np.linalg.norm(newer, axis=1) + length + self.size)
        ratio = error / np.maximum(scale, 1e-300)
        # False also where something is NaN.
        good = (ratio <= 1.0) & (loss <= self.loss + self.slack)
        drop = self.loss - loss
        rate = drop / np.maximum(self.used - before, 1.0)
        self.rate = np.where(good, rate, self.rate)
        self.taken = self.taken + good
        self.refused = np.maximum(self.refused + np.where(good, -1, 1), 0)
        self.drop = np.where(good, drop, np.inf)
        self.w = np.where(good[:, None], newer, self.w)
        self.loss = np.where(good, loss, self.loss)
        self.gradient = np.where(good[:, None], gradient, self.gradient)
        growth = np.clip(0.8 / np.cbrt(np.maximum(ratio, 1e-9)), 0.1, 8.0)
        self.h *= np.where(good, growth, np.where(ratio > 1.0, np.minimum(growth, 0.5), 0.5))


def _reluctance(w: FloatArray, gradient: FloatArray) -> FloatArray:
    """The least curvature (R,) to reckon with: where the loss looks straight, as at an inflection,
    a step still goes no further than the parameters are large."""
    force = np.linalg.norm(gradient, axis=1)
    return np.asarray(np.maximum(force / (1.0 + np.linalg.norm(w, axis=1)), 1e-300))
