"""How an error that a procedure may make is shared by its tests, tried until one succeeds."""

from __future__ import annotations

from dataclasses import dataclass

import scipy

from tuning.statistics.intervals import clopper_pearson_upper, restarts_needed

__all__ = ["Share", "spend"]

# Mostly the first candidate holds, so it gets most: 4 % of 5, for which 63 starts are enough, and
# a job of 64 restarts needs no more than it had.
_FIRST = 0.8


@dataclass(frozen=True)
class Share:
    """What one test gets: the confidence of its bound, and its trials."""

    confidence: float
    trials: int


def spend(tests: int, max_rate: float, confidence: float, at_least: int) -> list[Share]:
    """Shares of `tests` tests, such that at most 1 - confidence of procedures accept a rate above
    `max_rate`, if the tests are tried in this order until one accepts.

    A test accepts where the upper Clopper-Pearson bound at its confidence is at most `max_rate`.
    The order, and so each share, must be fixed before the trials are made. Then the chance that
    any of them accepts wrongly is at most the sum of their errors, however they hang together
    (they may use the same trials): Bonferroni's inequality with weights, in the order of the
    fallback procedure (Wiens 2003; Wiens & Dmitrienko 2005), which ends here with the first
    success. Of what is left the first test gets four fifths and every later one its equal part. A
    count is a whole number, so a test makes less error than its share allows: only what it can
    make is spent (Westfall & Wolfinger 1997).

    Args:
        at_least: trials that every test makes at least; more where its bound needs more.

    Raises:
        InvalidInput: unless 0 < max_rate < 1 and 0 < confidence < 1.
    """
    left = 1.0 - confidence
    shares: list[Share] = []
    for remaining in range(tests, 0, -1):
        first = not shares and remaining > 1
        share = left * _FIRST if first else left / remaining
        trials = max(at_least, restarts_needed(max_rate, 1.0 - share))
        allowed = 0
        while clopper_pearson_upper(allowed + 1, trials, 1.0 - share) <= max_rate:
            allowed += 1
        left -= float(scipy.stats.binom.cdf(allowed, trials, max_rate))
        shares.append(Share(1.0 - share, trials))
    return shares
