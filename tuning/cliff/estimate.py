"""The cliff as a quantile of the starts' thresholds, with an interval free of any distribution."""

from __future__ import annotations

import math

from tuning.cliff.observations import Brackets
from tuning.statistics.order_statistics import quantile_ranks

__all__ = ["interval", "middle", "middle_rank"]


def middle_rank(starts: int, max_unstable: float) -> int:
    """Of the threshold that estimates the cliff."""
    return max(1, math.ceil(max_unstable * starts))


def middle(known: Brackets, max_unstable: float) -> float | None:
    """Of the bracket of the threshold that estimates the cliff; None where an end is not known."""
    if not len(known):
        return None
    holds, falls = known.rank(middle_rank(len(known), max_unstable))
    return math.sqrt(holds) * math.sqrt(falls) if holds > 0 and falls < math.inf else None


def interval(
    known: Brackets, max_unstable: float, error: float
) -> tuple[float | None, float | None, float | None]:
    """(low, estimate, high): rates between which the cliff lies with probability 1 - `error` at
    least, and the middle of its estimate's bracket. None where it is not known.

    The ends are order statistics (Hahn & Meeker 1991, section 5.2), taken outwards: where the l-th
    smallest threshold still holds, where the u-th falls.
    """
    count = len(known)
    if not count:
        return None, None, None
    first, last = quantile_ranks(count, max_unstable, error)
    low = known.rank(first)[0] if first else 0.0
    high = known.rank(last)[1] if last <= count else math.inf
    return low or None, middle(known, max_unstable), high if high < math.inf else None
