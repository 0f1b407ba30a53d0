"""What a campaign looks for, and when more starts would hardly change the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuning.cliff.estimate import interval
from tuning.cliff.observations import Brackets, Trained
from tuning.cliff.rates import RateRange, decades
from tuning.cliff.safe_rate import safe_rate
from tuning.statistics.order_statistics import quantile_ranks
from tuning.statistics.sequential import SequentialTest

__all__ = ["Goal"]

_CLOSE = 0.02  # decades
# Their interval is a few hundredths of a decade wide, and four times as many would halve it.
MOST_STARTS = 3000


@dataclass(frozen=True)
class Goal:
    """What is looked for.

    Attributes:
        within: the range that is searched. try_first: rates that are tried whatever comes.
        max_unstable, confidence: as in `[stability]`. margin: likewise.
        test: by which the rate will be confirmed; None where it will not be.
    """

    within: RateRange
    max_unstable: float
    confidence: float
    margin: float = 1.0
    try_first: tuple[float, ...] = ()
    test: SequentialTest | None = None

    def safe_rate(self, blocks: Sequence[Trained]) -> float | None:
        """The highest rate that may be recommended by what is known; margin times it is safe."""
        rate = safe_rate(blocks, self.within, self.max_unstable, self.confidence, self.test)
        if rate is None or rate / self.margin < self.within.low:
            return None
        # Rounded down: rounded up, margin times it would be above what was found safe.
        return self.within.at(decades(rate / self.margin) - 2e-4) if self.margin > 1 else rate

    def nothing_stable(self, known: Brackets) -> bool:
        """Whether the cliff is below the range, at the confidence asked for."""
        if not len(known):
            return False
        _, last = quantile_ranks(len(known), self.max_unstable, 1 - self.confidence)
        return last <= len(known) and known.rank(last)[1] <= self.within.low

    def settled(self, known: Brackets) -> str | None:
        """Why more starts would hardly change the answer, in words; None if they might."""
        if self.nothing_stable(known):
            return f"nothing is stable down to {self.within.low:g}"
        low, _, high = interval(known, self.max_unstable, 1 - self.confidence)
        if low is not None and low >= self.within.high:
            return f"everything is stable up to {self.within.high:g}"
        if low and high and decades(high / low) <= _CLOSE:
            return f"the cliff is known within {_CLOSE:g} decades"
        if len(known) >= MOST_STARTS:
            return f"{len(known)} starts place the cliff well enough"
        return None
