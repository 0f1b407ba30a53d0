"""How low the bottom below each restart is: an interval, without coming to rest.

A stretch of gradient flow leads into the basin, L-BFGS goes on down it, and what the last doublings
of the work gained tells how much is left: the loss falls by less with each doubling, and the parts
are summed as a geometric series. The factor by which that is widened, and the rest of the numbers
here, were measured on networks of 100 to 2,500 parameters against descents eight times as long and
against gradient flow alone (`benchmarks/judging.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows
from trainers.basins.gradient_flow import Flow
from trainers.judging.lbfgs import SWEEP, Lbfgs
from trainers.problem import Evaluate, FloatArray, IntArray

__all__ = ["TIGHT", "Bracket", "Intervals", "find_intervals", "leaders"]

_FIRST = 16  # gradients by L-BFGS up to the first rung; each rung has sqrt 2 times as many
_RUNGS = 5  # losses that two doublings span
_FASTEST, _SLOWEST = 0.5, 0.9  # part of a doubling's gain that the next one brings
_WIDER = 3.0  # than the sum of that series
_STRETCH, _LONGEST_STRETCH = 1 / 6, 250  # of the budget by gradient flow; gradients
_MARGIN = 0.75  # of the tolerance: below, a restart stays reached though J* should fall a little
TIGHT = 0.25  #: Of the tolerance: an interval so small decides by itself.
_LEADERS = 3  # at least; and a tenth
_LEADING = 2  # times as many may spend more, for some are slow
_ENDLESS = 1e100  # of max(J0, 1): a loss so far below its start has no bottom


def leaders(restarts: int) -> int:
    """How many of the lowest bottoms must be known well before any restart has reached J*."""
    return max(_LEADERS, restarts // 10)


def _gradients(rung: int) -> int:
    return round(_FIRST * 2 ** (rung / 2)) if rung >= 0 else 0


def _wanted(rung: int) -> int:
    return _gradients(rung) - _gradients(rung - 1)


@dataclass
class Bracket(Rows):
    """R restarts, each with an interval for the bottom below it; every array has a row for each.

    Attributes:
        descent: where they are; `descent.loss` (R,) is the upper end.
        rung (R,): how many rungs of work are done. losses (R, 5): after each of the last five.
        lower, before (R,): the lower end, after the last rung and after the one before; -inf
            before there are any.
    """

    descent: Lbfgs
    rung: IntArray
    losses: FloatArray
    lower: FloatArray
    before: FloatArray

    @classmethod
    def begin(cls, flow: Flow) -> Bracket:
        """Where a stretch of gradient flow has ended."""
        descent = Lbfgs.begin(flow.w, flow.loss, flow.gradient, flow.lipschitz)
        descent.used += flow.used
        restarts = len(flow.w)
        nothing = np.full(restarts, -np.inf)
        losses = np.full((restarts, _RUNGS), np.nan)
        return cls(descent, np.zeros(restarts, dtype=np.intp), losses, nothing, nothing.copy())

    @property
    def safe(self) -> FloatArray:
        """(R,): the lower end that two rungs running agree on, or where it rests."""
        return np.where(self.descent.rest, self.descent.loss, np.minimum(self.lower, self.before))

    def climb(self, evaluate: Evaluate, budget: float) -> None:
        """One rung, for restarts that have done equally many."""
        rung, descent = int(self.rung[0]), self.descent
        wanted = _wanted(rung)
        sweeps = min(wanted, int(np.ceil((budget - descent.used.min()) / SWEEP)))
        for _ in range(sweeps):
            if descent.rest.all():
                break
            descent.sweep(evaluate)
        self.rung = self.rung + 1
        self.losses = np.concatenate([self.losses[:, 1:], descent.loss[:, None]], axis=1)
        self.before = self.lower
        if sweeps == wanted and rung + 1 >= _RUNGS:
            self.lower = self._extrapolated()

    def _extrapolated(self) -> FloatArray:
        latest = self.losses[:, 2] - self.losses[:, 4]
        earlier = self.losses[:, 0] - self.losses[:, 2]
        ratio = np.clip(latest / np.maximum(earlier, 1e-300), _FASTEST, _SLOWEST)
        left = _WIDER * latest * ratio / (1.0 - ratio)
        return np.asarray(self.losses[:, 4] - left)


@dataclass(frozen=True)
class Intervals:
    """Of R restarts: the lowest place reached, weights (R, P) and loss (R,); no bottom below is
    lower than `lower` (R,); time `used` (R,), in gradients; whether the interval is `tight`
    (R,)."""

    weights: FloatArray
    loss: FloatArray
    lower: FloatArray
    used: FloatArray
    tight: NDArray[np.bool_]


def find_intervals(
    evaluate: Evaluate,
    w: FloatArray,
    starts: FloatArray,
    start_loss: FloatArray,
    *,
    middle: float,
    tolerances: FloatArray,
    budget: float,
    leading: float,
    flow_tolerance: float,
    known_minimum: float | None,
) -> Intervals:
    """Follow the descents from `w` (R, P) until each is decided, at rest, or has spent `budget`.

    A restart is decided when its interval is tight, or when it lies on one side of every
    tolerance: well below it, or above it on two rungs running. Tolerances are parts of the way
    from `middle`, the median loss of the starts, down to J*: the known minimum, or the lowest loss
    reached here. As that falls, who was decided may have to go on.

    Args:
        leading: the budget of the lowest where J* is not known, for all others wait on them.
        starts (R, P), start_loss (R,): whence each came, which gives the flow its scale.
        flow_tolerance: error of one step of the flow.
    """
    stretch = min(_LONGEST_STRETCH, _STRETCH * budget)
    flow = Flow.begin(evaluate, w.copy(), starts, start_loss)
    while (flow.used < stretch).any():
        flow.advance(evaluate, flow_tolerance, flow.used < stretch)
    bracket = Bracket.begin(flow)
    descent = bracket.descent
    led = known_minimum is None
    while True:
        best = float(np.nanmin(descent.loss)) if known_minimum is None else known_minimum
        tau = tolerances * max(middle - best, 0.0)
        gap = descent.loss - bracket.safe
        tight = gap <= TIGHT * tau.min()
        most = np.full(len(tight), budget)
        if led:
            most[_lowest(descent.loss, _LEADING * leaders(len(tight)))] = leading
        over = descent.rest | (descent.used >= most)
        decided = tight | _sided(bracket, best, tau, tight | ~over, led=led)
        pending = ~decided & ~over
        if not pending.any():
            endless = descent.loss < start_loss - _ENDLESS * np.maximum(np.abs(start_loss), 1.0)
            lower = np.where(endless, -np.inf, bracket.safe)
            return Intervals(descent.w, descent.loss, lower, descent.used, tight & ~endless)
        part = pending & (bracket.rung == bracket.rung[pending].min())
        # Together while the budget of all allows: parts take longer than the whole.
        if descent.used[part].max() + SWEEP * _wanted(int(bracket.rung[part][0])) > budget:
            part &= most == most[part].min()
        rows = bracket.rows(part)
        rows.climb(evaluate, float(most[part][0]))
        bracket.put(part, rows)


def _sided(
    bracket: Bracket, best: float, tau: FloatArray, able: NDArray[np.bool_], *, led: bool
) -> NDArray[np.bool_]:
    """Who (R,) lies on one side of every tolerance. If `led`, the lowest of those that are `able`
    to make J* known do not: they must be tight."""
    loss = bracket.descent.loss
    reached = loss[:, None] <= best + _MARGIN * tau
    trapped = bracket.safe[:, None] > best + tau
    sided = np.asarray((reached | trapped).all(axis=1))
    if led:
        rows = np.flatnonzero(able)
        sided[rows[_lowest(loss[rows], leaders(len(loss)))]] = False
    return sided


def _lowest(loss: FloatArray, count: int) -> IntArray:
    return np.argsort(loss, kind="stable")[:count]
