"""Whether starts have thresholds at all: outcomes that were taken for granted, looked at."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from tuning.cliff.observations import Brackets, IntArray, Trained, brackets

__all__ = ["Audit", "audit_of", "to_audit"]

# Nearer to a threshold a start may be either way by rounding alone.
_ABOVE, _BELOW = 10**0.02, 10**0.03
_MOST_FALLS = 2  # of those taken to hold
_MOST_HOLDS, _OF_AT_LEAST = 0.25, 4  # of those taken to fall
_SMALL, _SMALL_SIZES, _SIZES = 220, (16, 8), (48, 16)


@dataclass(frozen=True)
class Audit:
    """Trainings whose outcome was taken for granted when they were made, and how many were wrong.

    A start that held at a rate is taken to hold at lower ones, and one that fell to fall at higher
    ones; so one training near the cliff stands for many.
    """

    holds: int
    wrong_holds: int
    falls: int
    wrong_falls: int

    @property
    def alarm(self) -> bool:
        """Whether starts have no threshold of their own, or P(unstable) is not monotone."""
        return self.wrong_holds > _MOST_FALLS or self.wrong_falls > _MOST_HOLDS * max(
            self.falls, _OF_AT_LEAST
        )


def audit_of(blocks: Sequence[Trained]) -> Audit:
    """Over `blocks`, in the order of their rounds."""
    found = np.zeros(4, dtype=np.int64)
    before: list[Trained] = []
    for _, group in groupby(blocks, key=lambda b: b.round):
        together = list(group)
        known = brackets(before)
        for block in together:
            old = block.starts < len(known)
            starts, fell = block.starts[old], block.fell[old]
            holds = known.low[starts] >= block.rate * _ABOVE
            falls = known.high[starts] <= block.rate / _BELOW
            found += [holds.sum(), (holds & fell).sum(), falls.sum(), (falls & ~fell).sum()]
        before += together
    return Audit(*found.tolist())


def sizes(starts: int) -> tuple[int, int]:
    """How many taken to hold, and taken to fall, an audit of so many starts looks at."""
    return _SMALL_SIZES if starts < _SMALL else _SIZES


def to_audit(known: Brackets, rate: float, trained: Set[tuple[int, float]]) -> tuple[int, ...]:
    """Starts whose outcome at `rate` is taken for granted, spread evenly over their numbers."""
    holds, falls = known.low >= rate * _ABOVE, known.high <= rate / _BELOW
    chosen: list[int] = []
    for taken, most in zip((holds, falls), sizes(len(known)), strict=True):
        some = [i for i in np.flatnonzero(taken).tolist() if (i, rate) not in trained]
        if some:
            places: IntArray = np.linspace(0, len(some) - 1, min(most, len(some))).astype(np.int64)
            chosen += [some[place] for place in places.tolist()]
    return tuple(sorted(chosen))
