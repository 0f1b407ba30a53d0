"""Descent by L-BFGS for many restarts at once, each on its own: one gradient a restart and sweep.

The direction is the compact form of limited-memory BFGS (Byrd, Nocedal & Schnabel 1994, Math.
Programming 63, equation 3.1), whose products are matrix products over all restarts. A restart tries
one step a sweep: if the loss does not fall enough it tries a shorter one in the next, so that none
waits for another's line search. Steps are capped at a part of the weights, for L-BFGS from far
away jumps, into basins that gradient flow from there never enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows
from trainers.problem import Evaluate, FloatArray, IntArray

__all__ = ["Lbfgs"]

_PAIRS = 10  # remembered, of a step and the change of the gradient along it
_MEMORY = 2**25  # numbers in all pairs: 256 MB; the largest problems remember fewer
_LEAST_PAIRS = 4
_LONGEST = 1e-2  # step, of 1 + |w|
_ENOUGH = 1e-4  # of the fall that the slope promises: Armijo's rule
_CURVED = 1e-8  # cosine of a step with the change of the gradient, from which a pair counts
_ROUNDING = 8.0 * np.finfo(float).eps
_AT_REST = 5  # steps in a row that gained no more than rounding
_SHORTENED = 12  # times in a row: no step along this direction goes down


@dataclass
class Lbfgs(Rows):
    """R restarts on their way down; every array has a row for each.

    Attributes:
        w (R, P), loss (R,), gradient (R, P): where they are.
        used (R,): gradients spent. rest (R,): whether no step goes down any more.
        pairs (R, 2 m, P): m steps, and then m changes of the gradient, in a ring that grows from
            `newest` (R,); `count` (R,) of them are valid.
        products (R, 2 m, 2 m): of each pair with each. scale (R,): of the first guess of H^-1.
        direction (R, P), slope (R,), step (R,): what is tried next, and the slope along it.
        shortened (R,), idle (R,): how often in a row a step was refused, or gained only rounding.
    """

    w: FloatArray
    loss: FloatArray
    gradient: FloatArray
    used: FloatArray
    rest: NDArray[np.bool_]
    pairs: FloatArray
    products: FloatArray
    newest: IntArray
    count: IntArray
    scale: FloatArray
    direction: FloatArray
    slope: FloatArray
    step: FloatArray
    shortened: IntArray
    idle: IntArray

    @classmethod
    def begin(
        cls, w: FloatArray, loss: FloatArray, gradient: FloatArray, lipschitz: FloatArray
    ) -> Self:
        """At `w` (R, P), where the largest curvature is about `lipschitz` (R,)."""
        restarts, parameters = w.shape
        m = int(np.clip(_MEMORY // (2 * restarts * parameters), _LEAST_PAIRS, _PAIRS))
        nothing, none = np.zeros(restarts), np.zeros(restarts, dtype=np.intp)
        self = cls(
            w=w.copy(),
            loss=loss.copy(),
            gradient=gradient.copy(),
            used=nothing.copy(),
            rest=~np.isfinite(loss),
            pairs=np.zeros((restarts, 2 * m, parameters)),
            products=np.zeros((restarts, 2 * m, 2 * m)),
            newest=none.copy(),
            count=none.copy(),
            scale=1.0 / np.maximum(lipschitz, 1e-12),
            direction=np.zeros_like(w),
            slope=nothing.copy(),
            step=nothing.copy(),
            shortened=none.copy(),
            idle=none.copy(),
        )
        self._aim(np.arange(restarts))
        return self

    def sweep(self, evaluate: Evaluate) -> None:
        """One gradient for each restart: a step down, or a shorter one next time."""
        there = self.w + self.step[:, None] * self.direction
        loss, gradient = evaluate(there)
        self.used += 1
        slack = _ROUNDING * np.abs(self.loss)
        good = loss <= self.loss + _ENOUGH * self.step * self.slope + slack  # False of NaN
        good &= np.isfinite(gradient).all(axis=1) & ~self.rest
        self._shorten(np.flatnonzero(~good & ~self.rest), loss)
        at = np.flatnonzero(good)
        if at.size:
            gained = self.loss[at] - loss[at]
            self.idle[at] = np.where(gained <= slack[at], self.idle[at] + 1, 0)
            self._remember(at, there[at] - self.w[at], gradient[at] - self.gradient[at])
            self.w[at], self.loss[at], self.gradient[at] = there[at], loss[at], gradient[at]
            self._aim(at)
            self.rest[at] |= self.idle[at] >= _AT_REST

    def _remember(self, rows: IntArray, step: FloatArray, change: FloatArray) -> None:
        m = self.pairs.shape[1] // 2
        curve = np.einsum("rp,rp->r", step, change)
        bend = np.einsum("rp,rp->r", change, change)
        length = np.einsum("rp,rp->r", step, step)
        curved = curve > _CURVED * np.sqrt(length * bend)
        # Straight or curving down: go further next time, by what is known of elsewhere.
        self.scale[rows[~curved]] *= 2.0
        at = rows[curved]
        if not at.size:
            return
        slot = (self.newest[at] + 1) % m
        self.pairs[at, slot], self.pairs[at, m + slot] = step[curved], change[curved]
        latest = np.stack([step[curved], change[curved]], axis=2)
        pairs = self.pairs if len(at) == len(self.pairs) else self.pairs[at]
        with_all = np.matmul(pairs, latest)
        for k, place in enumerate((slot, m + slot)):
            self.products[at, place, :] = self.products[at, :, place] = with_all[:, :, k]
        self.scale[at] = curve[curved] / bend[curved]
        self.newest[at], self.count[at] = slot, np.minimum(self.count[at] + 1, m)

    def _aim(self, rows: IntArray) -> None:
        """Choose the direction of `rows`, and how long a step is tried first."""
        pairs = self.pairs if len(rows) == len(self.pairs) else self.pairs[rows]  # no copy of all
        gradient, scale = self.gradient[rows], self.scale[rows, None]
        m = pairs.shape[1] // 2
        # In the ring's order: the paper's with rows and columns permuted alike.
        age = (np.arange(m) - self.newest[rows, None] - 1) % m  # m - 1 is the newest
        valid = age >= m - self.count[rows, None]
        products = self.products[rows]
        upper = products[:, :m, m:] * (age[:, :, None] <= age[:, None, :])
        upper[:, np.arange(m), np.arange(m)] += ~valid
        curve = products[:, np.arange(m), m + np.arange(m)]
        along = np.matmul(pairs, gradient[:, :, None])[:, :, 0]
        first = np.linalg.solve(upper, along[:, :m, None])
        bend = np.matmul(products[:, m:, m:], first)[:, :, 0]
        first = first[:, :, 0]
        inside = curve * first + scale * (bend - along[:, m:])
        second = np.linalg.solve(upper.transpose(0, 2, 1), inside[:, :, None])[:, :, 0]
        weights = np.concatenate([second, -scale * first], axis=1)
        direction = -(np.matmul(weights[:, None, :], pairs)[:, 0] + scale * gradient)
        slope = np.einsum("rp,rp->r", direction, gradient)
        lost = ~(slope < 0)  # to rounding: begin anew
        direction[lost] = -scale[lost] * gradient[lost]
        slope[lost] = np.einsum("rp,rp->r", direction[lost], gradient[lost])
        self._forget(rows[lost])
        self.direction[rows], self.slope[rows] = direction, slope
        longest = _LONGEST * (1.0 + np.linalg.norm(self.w[rows], axis=1))
        length = np.linalg.norm(direction, axis=1)
        self.step[rows] = np.minimum(1.0, longest / np.maximum(length, 1e-300))
        self.shortened[rows] = 0
        self.rest[rows] |= ~(length > 0)

    def _forget(self, rows: IntArray) -> None:
        self.pairs[rows], self.products[rows], self.count[rows] = 0.0, 0.0, 0

    def _shorten(self, rows: IntArray, loss: FloatArray) -> None:
        """To the bottom of the parabola through what is known, a tenth to a half of the step."""
        if not rows.size:
            return
        step, slope = self.step[rows], self.slope[rows]
        with np.errstate(all="ignore"):
            lowest = -0.5 * slope * step**2 / (loss[rows] - self.loss[rows] - step * slope)
        lowest = np.where(np.isfinite(lowest), lowest, 0.0)
        self.step[rows] = np.clip(lowest, 0.1 * step, 0.5 * step)
        self.shortened[rows] += 1
        stuck = rows[self.shortened[rows] > _SHORTENED]
        if stuck.size:
            fresh = self.count[stuck] == 0
            self.rest[stuck[fresh]] = True
            again = stuck[~fresh]
            self._forget(again)
            self.scale[again] *= 0.1
            if again.size:
                self._aim(again)
