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

__all__ = ["SWEEP", "Lbfgs"]

SWEEP = 1.4  #: Gradients that take as long as a sweep, which has to aim as well.

_PAIRS = 10  # remembered, of a step and the change of the gradient along it
_MEMORY = 2**25  # numbers in all pairs: 256 MB; the largest problems remember fewer
_LEAST_PAIRS = 4
_LONGEST = 1e-2  # step, of 1 + |w|
_ENOUGH = 1e-4  # of the fall that the slope promises: Armijo's rule
_CURVED = 1e-8  # cosine of a step with the change of the gradient, from which a pair counts
_VANISHING = 1e-200  # products of a step this small have no inverse
_ROUNDING = 8.0 * np.finfo(float).eps
_AT_REST = 5  # steps in a row that gained no more than rounding
_SHORTENED = 12  # times in a row: no step along this direction goes down


@dataclass
class Lbfgs(Rows):
    """R restarts on their way down; every array has a row for each.

    Attributes:
        w (R, P), loss (R,), gradient (R, P): where they are.
        used (R,): time spent, in gradients. rest (R,): whether no step goes down any more.
        pairs (R, 2 m, P): m steps, and then m changes of the gradient, in a ring whose latest is
            `newest` (R,); 0 where there are none yet. count (R,): how many there are.
        inverse (R, m, m): of the paper's upper triangular matrix, products of each step with the
            changes that are no older. bends (R, m, m): products of changes. curves (R, m): of each
            step with its change. scale (R,): of the first guess of H^-1.
        direction (R, P), slope (R,), step (R,): what is tried next, and the slope along it.
        shortened (R,), idle (R,): how often in a row a step was refused, or gained only rounding.
    """

    w: FloatArray
    loss: FloatArray
    gradient: FloatArray
    used: FloatArray
    rest: NDArray[np.bool_]
    pairs: FloatArray
    inverse: FloatArray
    bends: FloatArray
    curves: FloatArray
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
            inverse=np.zeros((restarts, m, m)),
            bends=np.zeros((restarts, m, m)),
            curves=np.zeros((restarts, m)),
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
        self.used += SWEEP
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
        m = self.bends.shape[1]
        curve = np.einsum("rp,rp->r", step, change)
        bend = np.einsum("rp,rp->r", change, change)
        length = np.einsum("rp,rp->r", step, step)
        curved = curve > np.maximum(_CURVED * np.sqrt(length * bend), _VANISHING)
        # Straight or curving down: go further next time, by what is known of elsewhere.
        self.scale[rows[~curved]] *= 2.0
        at = rows[curved]
        if not at.size:
            return
        step, change, curve, bend = step[curved], change[curved], curve[curved], bend[curved]
        slot = (self.newest[at] + 1) % m
        self.pairs[at, slot], self.pairs[at, m + slot] = step, change
        latest = np.zeros_like(self.w)
        latest[at] = change
        with_all = self._along(latest)[at]
        # Of a triangular matrix without its first row and column, and with a last one more.
        self.inverse[at, slot] = self.inverse[at, :, slot] = 0.0
        column = np.matmul(self.inverse[at], with_all[:, :m, None])[:, :, 0] / -curve[:, None]
        self.inverse[at, :, slot] = column
        self.inverse[at, slot, slot] = 1.0 / curve
        self.bends[at, slot] = self.bends[at, :, slot] = with_all[:, m:]
        self.curves[at, slot] = curve
        self.scale[at] = curve / bend
        self.newest[at], self.count[at] = slot, np.minimum(self.count[at] + 1, m)

    def _along(self, vectors: FloatArray) -> FloatArray:
        """Products (R, 2 m) of all pairs with `vectors` (R, P). Some rows would be a copy first."""
        return np.asarray(np.matmul(self.pairs, vectors[:, :, None])[:, :, 0])

    def _aim(self, rows: IntArray) -> None:
        """Choose the direction of `rows`, and how long a step is tried first."""
        gradient, scale = self.gradient[rows], self.scale[rows, None]
        m = self.bends.shape[1]
        inverse, along = self.inverse[rows], self._along(self.gradient)[rows]
        first = np.matmul(inverse, along[:, :m, None])
        bend = np.matmul(self.bends[rows], first)[:, :, 0]
        first = first[:, :, 0]
        inside = self.curves[rows] * first + scale * (bend - along[:, m:])
        second = np.matmul(inside[:, None], inverse)[:, 0]
        weights = np.zeros((len(self.w), 1, 2 * m))
        weights[rows, 0, :m], weights[rows, 0, m:] = second, -scale * first
        direction = -(np.matmul(weights, self.pairs)[rows, 0] + scale * gradient)
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
        for memory in (self.pairs, self.inverse, self.bends, self.curves, self.count):
            memory[rows] = 0

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
