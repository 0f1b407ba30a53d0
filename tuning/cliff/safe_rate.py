"""The highest rate that will probably be confirmed, or, where nothing can be, the highest safe one.

Where starts have thresholds, both are order statistics of them. Where the audit says that they have
none, a logistic curve takes their place (`model`).
"""

from __future__ import annotations

from collections.abc import Sequence

from tuning.cliff.audit import audit_of
from tuning.cliff.model import Model, telling_trainings
from tuning.cliff.observations import Trained, brackets
from tuning.cliff.rates import RateRange
from tuning.statistics.order_statistics import binomial_quantile, candidate_rank
from tuning.statistics.sequential import SequentialTest

__all__ = ["safe_rank", "safe_rate"]

#: Confirmations cost what is seldom left twice, so the first should hold: in nine of ten.
CHANCE = 0.9


def safe_rank(
    starts: int, max_unstable: float, confidence: float, test: SequentialTest | None
) -> int:
    """Below which of the ordered thresholds of so many starts a rate is safe; 0: below none.

    With a test: the rate passes it with probability 0.9 at least. Without: the threshold is at most
    the cliff with the confidence asked for. A rate just below the k-th smallest threshold has k - 1
    falls.
    """
    if not starts:
        return 0
    if test is not None:
        return min(candidate_rank(starts, test, CHANCE) + 1, starts)
    return binomial_quantile(1 - confidence, starts, max_unstable)


def safe_rate(
    blocks: Sequence[Trained],
    within: RateRange,
    max_unstable: float,
    confidence: float,
    test: SequentialTest | None,
) -> float | None:
    """The highest rate that is safe in the sense of `safe_rank`, or, where starts are too few or
    too little known for that, the highest at which some were tried and below which nobody fell;
    None without one.
    """
    known = brackets(blocks)
    if not len(known):
        return None
    if audit_of(blocks).alarm:
        model = Model.of(telling_trainings(blocks), within, max_unstable)
        rate = model.safe_rate(confidence, test, CHANCE)
    else:
        rank = safe_rank(len(known), max_unstable, confidence, test)
        rate = known.rank(max(rank, 1))[0]
    if rate is not None and rate >= within.low:
        return rate
    lowest_fall = float(known.high.min())
    return max((b.rate for b in blocks if b.fresh and b.rate < lowest_fall), default=None)
