"""Which order statistics tell of a quantile, and which of them is likely to pass a test.

The k-th lowest of n thresholds, those rates above which each start falls, is a rate at which just
under k of n starts fall: so ranks of thresholds stand for P(failure).
"""

from __future__ import annotations

import bisect
import math
from functools import cache

import numpy as np
import scipy  # its parts are imported when they are used: stats takes half a second
from numpy.typing import NDArray

from trainers.errors import InvalidInput
from tuning.statistics.sequential import SequentialTest

__all__ = ["binomial_quantile", "candidate_rank", "quantile_ranks"]

_ONE_SIDED = 0.9  # of the error, where the lower end needs more than its half


@cache
def binomial_quantile(part: float, n: int, p: float) -> int:
    """The least k with P(no more than k of n) >= `part`, where each has probability p."""
    return int(scipy.stats.binom.ppf(part, n, p))


@cache  # a campaign asks at every round, of the same few sizes
def quantile_ranks(n: int, p: float, error: float) -> tuple[int, int]:
    """Ranks (l, u) such that the l-th and the u-th lowest of n cover the p-quantile.

    Free of the distribution (Hahn & Meeker 1991, ch. 5): the l-th is above the quantile if
    fewer than l values are below it, and those are Binomial(n, p). Each end has half of the error,
    and u what l leaves of it. Where l would be 0 for want of a little, the lowest value gets nine
    tenths of the error: an uneven interval is worth more than one without a lower end.

    Args:
        n: values, at least 1. p, error: strictly between 0 and 1.

    Returns:
        1 <= l <= u <= n where both exist; l = 0 stands for no lower end, u = n + 1 for no upper.

    Raises:
        InvalidInput: the arguments are not such.
    """
    _check(n, {"p": p, "error": error})
    low = binomial_quantile(error / 2, n, p)
    if low == 0 and (1.0 - p) ** n <= _ONE_SIDED * error:
        low = 1
    above = float(scipy.stats.binom.cdf(low - 1, n, p)) if low else error / 2
    return low, int(scipy.stats.binom.isf(error - above, n, p)) + 1


@cache  # asked for the same few sizes at every prefix of the study
def candidate_rank(n: int, test: SequentialTest, chance: float) -> int:
    """The largest k such that after k failures of n trials `test` is passed with probability
    `chance` at least; -1 if there is none.

    The probability is the predictive one, the mean of P(pass | p) over Jeffreys' posterior, which
    is Beta(k + 1/2, n - k + 1/2).

    Args:
        n: trials, at least 1. chance: strictly between 0 and 1.

    Raises:
        InvalidInput: the arguments are not such.
    """
    _check(n, {"chance": chance})
    p, passed = _nodes(n, test)
    stays, falls = np.log1p(-p), np.log(p)

    def unlikely(k: int) -> bool:
        log_weight = k * falls + (n - k) * stays
        weight = np.exp(log_weight - log_weight.max())
        return float(weight @ passed / weight.sum()) < chance

    # More failures make a higher p likelier, and so the test harder.
    return bisect.bisect_left(range(n + 1), True, key=unlikely) - 1


def _nodes(n: int, test: SequentialTest) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes p of a quadrature with equal weights, and P(pass | p) there.

    The posterior's density is a polynomial of degree n times Jeffreys' prior, which is the weight
    of Gauss and Chebyshev, and P(pass | p) is a polynomial of the degree of the test's last look:
    half as many nodes as both degrees and one more give the integral exactly (Abramowitz & Stegun
    25.4.38). Fewer are enough: in the angle of p = sin^2 the factors vary over 1 / (2 sqrt(degree))
    at the least, so that m nodes leave a part of exp(-2 m^2 / degree), as equal steps over a bell
    do: with 4 sqrt(degree), exp(-32).
    """
    degree = n + test.looks[-1]
    count = min(degree // 2 + 1, math.ceil(4.0 * math.sqrt(degree)) + 16)
    p = np.sin((2 * np.arange(count) + 1) * np.pi / (4 * count)) ** 2
    return p, test.pass_probability(p)


def _check(n: int, fractions: dict[str, float]) -> None:
    if n < 1:
        raise InvalidInput(f"n is {n}; give at least 1")
    for name, value in fractions.items():
        if not 0 < value < 1:
            raise InvalidInput(f"{name} is {value}; it must lie strictly between 0 and 1")
