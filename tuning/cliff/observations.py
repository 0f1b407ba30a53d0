"""Who was trained at which rate and fell, and what follows for the starts' thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "Brackets", "FloatArray", "IntArray", "Trained", "brackets"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Trained:
    """What became of one block.

    Attributes:
        rate: its learning rate. starts: (R,) numbers. fell: (R,), which of them did.
        round: blocks of one round were chosen before any of them was told.
        fresh: the starts were chosen by their numbers alone, so that they stand for all.
    """

    rate: float
    starts: IntArray
    fell: BoolArray
    round: int = 0
    fresh: bool = True


@dataclass(frozen=True)
class Brackets:
    """Start i holds at `low[i]` and falls at `high[i]`; (n,) rates, 0 and infinity where unknown.

    The lowest fall counts: a start that holds at a higher rate is taken to be lucky there.
    """

    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return len(self.low)

    def rank(self, r: int) -> tuple[float, float]:
        """The r-th smallest threshold, r from 1 to n: where it holds, and where it falls."""
        return float(np.sort(self.low)[r - 1]), float(np.sort(self.high)[r - 1])

    def undecided(self, rate: float) -> BoolArray:
        """(n,): of whom it is not known whether they hold at `rate`."""
        return (self.low < rate) & (rate < self.high)

    def fallen(self, rate: float) -> tuple[int, int]:
        """How many are known to fall at `rate`, and of how many that is not known."""
        return int((self.high <= rate).sum()), int(self.undecided(rate).sum())


def brackets(blocks: Sequence[Trained]) -> Brackets:
    """Of the starts 0 to the highest that was trained."""
    if not blocks:
        return Brackets(np.zeros(0), np.zeros(0))
    starts = np.concatenate([b.starts for b in blocks])
    rates = np.repeat([b.rate for b in blocks], [len(b.starts) for b in blocks])
    fell = np.concatenate([b.fell for b in blocks])
    count = int(starts.max()) + 1
    low, high = np.zeros(count), np.full(count, np.inf)
    np.minimum.at(high, starts[fell], rates[fell])
    held = ~fell & (rates < high[starts])
    np.maximum.at(low, starts[held], rates[held])
    return Brackets(low, high)
