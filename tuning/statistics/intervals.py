"""Rates with their intervals, and the other numbers a report rests on.

Pure functions of counts and arrays. Wilson intervals are for display, Clopper-Pearson bounds for
promises, McNemar's test for comparing two settings that were trained from the same starts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import scipy  # its parts are imported when they are used: stats takes half a second
from numpy.typing import ArrayLike, NDArray

from trainers.errors import InvalidInput

__all__ = [
    "Comparison",
    "Rate",
    "UnseenMass",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "learning_rate_sensitivity",
    "mcnemar",
    "restarts_needed",
    "unseen_mass",
    "wilson",
]


_MOST_UNDECIDED = 0.1  # of those to be judged: above, no rate is given


@dataclass(frozen=True)
class Rate:
    """`count` of `total` restarts, with an interval; all rates are fractions in [0, 1].

    `undecided` of the `total` could not be judged; they are not in `count`, and the interval has
    room for them. `absent` of the `total` there was nothing to judge of: who diverged has no basin.
    `most_undecided` of those to be judged there may be for an estimate to be given: none where only
    one verdict can be told, for it would be all of those.
    """

    count: int
    total: int
    low: float
    high: float
    undecided: int = 0
    absent: int = 0
    most_undecided: float = _MOST_UNDECIDED

    @property
    def estimate(self) -> float | None:
        """The rate among the judged; None when there was nothing to judge, or more than a tenth of
        that (`most_undecided`) could not be judged."""
        present = self.total - self.absent
        if not present or self.undecided > self.most_undecided * present:
            return None
        return self.count / (self.total - self.undecided)

    def to_dict(self) -> dict[str, int | float | None]:
        """Every field and the estimate, ready for JSON."""
        return {
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "total": self.total,
            "undecided": self.undecided,
            "absent": self.absent,
        }

    def __str__(self) -> str:
        if self.estimate is None and self.undecided:
            return f"not judged ({self.undecided} of {self.total})"
        estimate = "unknown" if self.estimate is None else f"{100 * self.estimate:.1f} %"
        undecided = f", {self.undecided} not judged" if self.undecided else ""
        interval = f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"
        return f"{estimate} {interval} ({self.count}/{self.total}{undecided})"


@dataclass(frozen=True)
class Comparison:
    """How two settings differ over the same starts.

    `first_only` and `second_only` count the discordant starts; `p_value` is two-sided.
    """

    first_only: int
    second_only: int
    p_value: float


@dataclass(frozen=True)
class UnseenMass:
    """How much of what random starts lead to was never seen in `total` restarts.

    `estimate` is the probability that one more restart finds a minimum not among the `distinct`
    ones (None when there were no restarts). `better_high` bounds, with 95 % confidence, the
    probability of landing in a basin better than every one seen.
    """

    total: int
    distinct: int
    singletons: int
    estimate: float | None
    better_high: float


def wilson(
    count: int, total: int, *, undecided: int = 0, absent: int = 0, confidence: float = 0.95
) -> Rate:
    """Rate with the two-sided score interval of Wilson (1927), without continuity correction.

    Undecided restarts widen it: `low` is the bound if none of the `undecided` counts, `high` if
    all of them do; the `absent` never count. With nothing to judge the interval is [0, 1].

    Raises:
        InvalidInput: unless all counts are at least 0 and count + undecided + absent <= total, and
            0 < confidence < 1.
    """
    _check_counts(count, total - absent, undecided)
    _check_fraction("confidence", confidence)
    if total == absent:
        return Rate(count, total, 0.0, 1.0, undecided, absent)
    low, _ = _score_interval(count, total, confidence)
    _, high = _score_interval(count + undecided, total, confidence)
    return Rate(count, total, low, high, undecided, absent)


@lru_cache(maxsize=4096)  # binomtest works out a p-value first; a job asks of few counts
def _score_interval(successes: int, total: int, confidence: float) -> tuple[float, float]:
    test = scipy.stats.binomtest(successes, total)
    bounds = test.proportion_ci(confidence_level=confidence, method="wilson")
    return float(bounds.low), float(bounds.high)


def clopper_pearson_upper(count: int, total: int, confidence: float = 0.95) -> float:
    """One-sided exact upper bound on a rate (Clopper and Pearson 1934): the largest p with
    P(X <= count | total, p) >= 1 - confidence, a quantile of Beta(count + 1, total - count).

    0 of 64 gives 0.0457 at 95 %. A two-sided interval at level c takes both bounds at (1 + c) / 2.

    Raises:
        InvalidInput: unless 0 <= count <= total and 0 < confidence < 1.
    """
    _check_counts(count, total)
    _check_fraction("confidence", confidence)
    if count == total:
        return 1.0
    return float(scipy.stats.beta.ppf(confidence, count + 1, total - count))


def clopper_pearson_lower(count: int, total: int, confidence: float = 0.95) -> float:
    """One-sided exact lower bound on a rate (Clopper and Pearson 1934): the smallest p with
    P(X >= count | total, p) >= 1 - confidence, a quantile of Beta(count, total - count + 1).

    Raises:
        InvalidInput: unless 0 <= count <= total and 0 < confidence < 1.
    """
    _check_counts(count, total)
    _check_fraction("confidence", confidence)
    if count == 0:
        return 0.0
    return float(scipy.stats.beta.ppf(1 - confidence, count, total - count + 1))


@cache  # asked of every setting, with the same two numbers
def restarts_needed(max_rate: float, confidence: float) -> int:
    """The least n such that 0 of n promises a rate of at most `max_rate`: 59 for 0.05 at 95 %.

    Raises:
        InvalidInput: unless 0 < max_rate < 1 and 0 < confidence < 1.
    """
    _check_fraction("max_rate", max_rate)
    _check_fraction("confidence", confidence)
    # The bound is 1 - (1 - confidence)^(1/n). Starting one below its inverse and stepping up makes
    # the answer agree with clopper_pearson_upper where rounding would move the logarithms.
    needed = max(1, math.floor(math.log1p(-confidence) / math.log1p(-max_rate)) - 1)
    while clopper_pearson_upper(0, needed, confidence) > max_rate:
        needed += 1
    return needed


def mcnemar(a: ArrayLike, b: ArrayLike) -> Comparison:
    """Exact test of McNemar (1947) whether something befalls two settings equally often.

    Starts are shared between settings, so only the restarts on which the two disagree tell them
    apart: given their number, either side is Binomial(n, 1/2) when the settings are equal.

    Args:
        a: (R,) bool, whether it befell restart i under the first setting.
        b: (R,) bool, the same under the second.

    Raises:
        InvalidInput: unless both are boolean, one-dimensional and equally long.
    """
    first, second = np.asarray(a), np.asarray(b)
    boolean = first.dtype == bool and second.dtype == bool
    if not boolean or first.ndim != 1 or first.shape != second.shape:
        raise InvalidInput(
            f"mcnemar: got {first.dtype} {first.shape} and {second.dtype} {second.shape}; "
            "pass two boolean arrays of the same shape (R,), one entry per shared start"
        )
    first_only = int(np.sum(first & ~second))
    second_only = int(np.sum(second & ~first))
    discordant = first_only + second_only
    p_value = float(scipy.stats.binomtest(first_only, discordant).pvalue) if discordant else 1.0
    return Comparison(first_only, second_only, p_value)


def unseen_mass(counts: Sequence[int]) -> UnseenMass:
    """Mass of the outcomes never seen: singletons / N (Turing's estimate, Good 1953), and the
    bound 1 - 0.05^(1/N) on the mass of any better basin, into which none of N restarts fell.

    Args:
        counts: how many restarts ended in each distinct minimum; zeros are ignored.

    Raises:
        InvalidInput: if a count is negative.
    """
    if any(count < 0 for count in counts):
        raise InvalidInput(f"unseen_mass: counts has {min(counts)}; every count must be at least 0")
    total = sum(counts)
    singletons = sum(count == 1 for count in counts)
    return UnseenMass(
        total=total,
        distinct=sum(count > 0 for count in counts),
        singletons=singletons,
        estimate=singletons / total if total else None,
        better_high=clopper_pearson_upper(0, total),
    )


def learning_rate_sensitivity(
    rates: ArrayLike, losses: ArrayLike, start_loss: float, best_loss: float
) -> float:
    """What choosing the rate blindly costs: the mean over log rate of min(J, J0) - J_best
    (Wortsman et al. 2023, arXiv 2309.14322), in units of the loss.

    The mean is trapezoidal, so unevenly spaced rates weigh by the range they stand for. A loss
    that is not finite counts as J0. Losses at the same rate are averaged first.

    Args:
        rates: (S,) learning rates, in any order.
        losses: (S,) loss reached at each; may hold NaN and infinity.
        start_loss: J0, the loss before training.
        best_loss: J_best, the best loss at any rate.

    Raises:
        InvalidInput: if there are no rates, the shapes differ, a rate is not positive and finite,
            or `start_loss` or `best_loss` is not finite.
    """
    rate, loss = np.asarray(rates, dtype=float), np.asarray(losses, dtype=float)
    if rate.ndim != 1 or rate.size == 0 or rate.shape != loss.shape:
        raise InvalidInput(
            f"learning_rate_sensitivity: rates {rate.shape} and losses {loss.shape}; "
            "pass two arrays of the same shape (S,) with at least one setting"
        )
    if not (np.isfinite(rate).all() and (rate > 0).all()):
        raise InvalidInput("learning_rate_sensitivity: rates must all be positive and finite")
    if not (math.isfinite(start_loss) and math.isfinite(best_loss)):
        raise InvalidInput(
            f"learning_rate_sensitivity: start_loss {start_loss}, best_loss {best_loss}; "
            "both must be finite"
        )
    reached = np.where(np.isfinite(loss), np.minimum(loss, start_loss), start_loss)
    distinct, setting = np.unique(rate, return_inverse=True)
    excess = np.bincount(setting, weights=reached) / np.bincount(setting) - best_loss
    if distinct.size == 1:
        return float(excess[0])
    position: NDArray[np.float64] = np.log(distinct)
    return float(np.trapezoid(excess, position) / (position[-1] - position[0]))


def _check_counts(count: int, total: int, undecided: int = 0) -> None:
    if count < 0 or undecided < 0 or count + undecided > total:
        raise InvalidInput(
            f"rate of {count} in {total} with {undecided} undecided: "
            "counts must be at least 0 and add up to at most the total"
        )


def _check_fraction(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InvalidInput(f"{name} is {value}; it must lie strictly between 0 and 1, such as 0.95")
