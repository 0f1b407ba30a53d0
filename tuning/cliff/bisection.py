"""Bisecting the thresholds whose ranks are wanted, and no others."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set

import numpy as np

from tuning.cliff.observations import Brackets, FloatArray
from tuning.cliff.rates import RateRange
from tuning.cliff.rounds import Probe

__all__ = ["Bisection"]

# So few starts are cheap to train at three rates at once, which saves a round.
_FEW, _AT_ONCE = 6, 3
# First steps into what is unknown above and below, in decades; each is twice the one before.
_UP, _DOWN = 0.06, 0.08
_WIDE, _CLEAR = 0.08, 0.02  # decades: where a guess is worth a try, and how far from both ends
_BEYOND = 0.005  # decades: how far outside the range an unknown end is taken to be
_LONGEST = 1.0  # decades: of one step down


class Bisection:
    """Rounds that bring each of `ranks` (from 1) within `resolution` decades.

    Args:
        guess: (m,) thresholds of other starts, in decades: where to look first. None: nowhere.
    """

    def __init__(
        self,
        ranks: Sequence[int],
        resolution: float,
        within: RateRange,
        guess: FloatArray | None,
    ) -> None:
        self._ranks, self._resolution, self._within, self._guess = ranks, resolution, within, guess
        self._unguessed = set() if guess is None else set(ranks)
        self._up, self._down = _UP, _DOWN
        self._bottom, self._top = math.log10(within.low), math.log10(within.high)

    def next(self, known: Brackets, trained: Set[tuple[int, float]]) -> list[Probe]:
        """The next round; nothing when all is known.

        Args:
            trained: which start was trained at which rate.
        """
        with np.errstate(divide="ignore"):
            low, high = np.sort(np.log10(known.low)), np.sort(np.log10(known.high))
        busy = np.zeros(len(known), dtype=np.int64)
        wanted: dict[float, list[int]] = {}
        for rank in self._ranks:
            below, above = float(low[rank - 1]), float(high[rank - 1])
            if above <= self._bottom or below >= self._top:
                continue
            # Starts whose brackets meet it: all but those wholly below it or above it.
            few = len(known) - int((high <= below).sum() + (low >= above).sum()) <= _FEW
            for exponent in self._points(rank, below, above, known, few=few):
                rate = self._within.at(exponent)
                free = (busy == 0) | (few & (busy < _AT_ONCE))
                starts = np.flatnonzero(known.undecided(rate) & free)
                busy[starts] += 1
                listed = wanted.setdefault(rate, [])
                listed += [s for s in starts.tolist() if s not in listed]
        return [
            Probe(rate, _two_or_more(rate, starts, known, trained), fresh=False)
            for rate, starts in wanted.items()
            if starts
        ]

    def _points(
        self, rank: int, below: float, above: float, known: Brackets, *, few: bool
    ) -> list[float]:
        """Where to look for the threshold of `rank`, which lies between `below` and `above`."""
        top_unknown, bottom_unknown = above > self._top, below < self._bottom
        below, above = max(below, self._bottom - _BEYOND), min(above, self._top + _BEYOND)
        width = above - below
        near_an_end = width <= 4 * self._resolution
        if bottom_unknown and (near_an_end or not known.low.any()):
            return [self._bottom]
        if top_unknown and (near_an_end or not np.isfinite(known.high).any()):
            return [self._top]
        if width <= self._resolution:
            return []
        if rank in self._unguessed and self._guess is not None and width > _WIDE:
            self._unguessed.discard(rank)
            guess = float(np.quantile(self._guess, rank / len(known)))
            inside = below + _CLEAR < guess < above - _CLEAR
            return [guess if inside else above - 0.5 * min(width, _LONGEST)]
        if top_unknown and not few:
            step, self._up = self._up, 2 * self._up
            return [below + step]
        if bottom_unknown and not few:
            step, self._down = self._down, 2 * self._down
            return [above - min(step, width / 2)]
        if few and width > 2 * self._resolution:
            return [above - min(width, _LONGEST) * part for part in (0.25, 0.5, 0.75)]
        return [(below + above) / 2]


def _two_or_more(
    rate: float, starts: list[int], known: Brackets, trained: Set[tuple[int, float]]
) -> tuple[int, ...]:
    """One start alone is rounded in another way than with others. The second is one of which
    little is taken for granted there, so that it is an audit too."""
    if len(starts) > 1:
        return tuple(starts)
    with np.errstate(divide="ignore", invalid="ignore"):
        taken = np.minimum(
            np.abs(np.log(known.low) - math.log(rate)), np.abs(np.log(known.high) - math.log(rate))
        )
    others = (i for i in np.argsort(taken, kind="stable").tolist() if i != starts[0])
    return (starts[0], next((i for i in others if (i, rate) not in trained), len(known)))
