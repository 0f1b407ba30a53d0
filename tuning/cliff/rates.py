"""The range of rates, and the few that are used of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["RateRange", "decades"]

_DIGITS = 4  # a rate that people can type again; a step of the last is 0.0004 decades at most


def decades(rate: float) -> float:
    """log10, with -inf for 0."""
    return math.log10(rate) if rate > 0 else -math.inf


@dataclass(frozen=True)
class RateRange:
    """From `low` to `high`, both above 0."""

    low: float
    high: float

    def at(self, exponent: float) -> float:
        """The rate 10 ** exponent, to four digits, or the end of the range beyond which it lies."""
        if exponent >= math.log10(self.high):
            return self.high
        if exponent <= math.log10(self.low):
            return self.low
        return min(max(float(f"{10.0**exponent:.{_DIGITS}g}"), self.low), self.high)

    def inside(self, count: int) -> list[float]:
        """`count` rates, evenly spaced in their logarithms, between the ends."""
        ends = math.log10(self.low), math.log10(self.high)
        return [self.at(e) for e in np.linspace(*ends, count + 2)[1:-1].tolist()]
