"""Group-sequential tests that a rate is at most a limit: exact, and over early where all is clear.

Trials come in groups. After each group, a look: with few enough failures the test accepts, with too
many it refuses, else it goes on. An error of alpha is spent linearly in the trials, so that the
first looks may accept, yet most of alpha is left for the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise

import numpy as np
import scipy  # its parts are imported when they are used: stats takes half a second
from numpy.typing import ArrayLike, NDArray

from trainers.errors import InvalidInput

__all__ = ["Decision", "Outcome", "SequentialTest", "sequential_test"]

_LOOKS = 4  # more would save little, and each is a round in which all else waits
_LEAST_GROUP = 16  # fewer trials than that are not worth a round of their own

_Floats = NDArray[np.float64]


class Outcome(StrEnum):
    """What a test says at a look."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    OPEN = "open"


@dataclass(frozen=True)
class Decision:
    """The outcome, after `looks` looks, and the trials that are still to be made until the next
    one: 0 unless it is open."""

    outcome: Outcome
    looks: int
    trials: int


@dataclass(frozen=True)
class SequentialTest:
    """A test of P(failure) <= max_rate that accepts a higher rate with probability `size` at most.

    Attributes:
        max_rate: the limit. alpha: the error that may be made.
        looks: trials made in all at each look, ascending.
        accept: the most failures at each look with which it accepts there, never descending; -1:
            never at this look. Above the last of them it refuses, for it cannot accept any more.
        size: P(accept | P(failure) = max_rate), exactly; at most alpha.
    """

    max_rate: float
    alpha: float
    looks: tuple[int, ...]
    accept: tuple[int, ...]
    size: float

    @property
    def can_accept(self) -> bool:
        """Whether any number of failures leads to acceptance."""
        return self.accept[-1] >= 0

    def decide(self, failures: Sequence[int]) -> Decision:
        """What it says after these looks; those after the one that decided count no more.

        Args:
            failures: at each look made so far, the failures until then; empty before the first.

        Raises:
            InvalidInput: they descend, or are more than the looks, or than the trials at them.
        """
        self._check(failures)
        if not self.can_accept:
            return Decision(Outcome.REFUSED, 0, 0)
        for look, (count, allowed) in enumerate(zip(failures, self.accept, strict=False), 1):
            if count <= allowed:
                return Decision(Outcome.ACCEPTED, look, 0)
            if count > self.accept[-1]:
                return Decision(Outcome.REFUSED, look, 0)
        made = len(failures)
        done = self.looks[made - 1] if made else 0
        return Decision(Outcome.OPEN, made, self.looks[made] - done)

    def pass_probability(self, rates: ArrayLike) -> _Floats:
        """P(accept) at each of these failure probabilities, exactly; of the same shape."""
        rate = np.asarray(rates, dtype=np.float64)
        passed = [
            sum(
                come.up_to(most)
                for come, most in zip(self._looked(float(p)), self.accept, strict=True)
            )
            for p in rate.flat
        ]
        return np.array(passed, dtype=np.float64).reshape(rate.shape)

    def upper_bound(self, failures: Sequence[int]) -> float:
        """An upper bound on P(failure), with confidence 1 - alpha, where the test stopped.

        By the stagewise ordering (Jennison & Turnbull 2000, ch. 8 and 12): accepting
        earlier is better evidence than accepting later, and at one look fewer failures are better
        than more. The bound is the p at which what is at least as good, accepting at an earlier
        look or coming to this one with no more failures, has probability alpha. Where the test
        accepted, that is a part of accepting, so the bound is at most `max_rate`. Where it is still
        open, the bound is that of a test which was to end at this look.

        Args:
            failures: as for `decide`; one look at least, and none after the one that decided.

        Raises:
            InvalidInput: as `decide`; or no look was made.
        """
        self._check(failures)
        if not failures:
            raise InvalidInput("upper_bound: no look was made; give the failures at one or more")

        def as_good(rate: float) -> float:
            most = (*self.accept[: len(failures) - 1], failures[-1])
            # Those who come to a look were not accepted before.
            return sum(come.up_to(k) for come, k in zip(self._looked(rate), most, strict=False))

        if as_good(1.0) > self.alpha:
            return 1.0
        return float(scipy.optimize.brentq(lambda p: as_good(p) - self.alpha, 0.0, 1.0))

    def _looked(self, rate: float) -> Iterator[_Failures]:
        """Look by look, the failures of those who come to it: neither accepted nor refused."""
        come, done = _NONE_YET, 0
        for look, most in zip(self.looks, self.accept, strict=True):
            come = come.after(look - done, rate)
            yield come
            come, done = come.between(most + 1, self.accept[-1]), look

    def _check(self, failures: Sequence[int]) -> None:
        made = list(failures)
        rising = all(
            a <= b <= a + n for a, b, n in zip((0, *made), made, self._groups(), strict=False)
        )
        if len(made) > len(self.looks) or not rising:
            raise InvalidInput(
                f"failures {made} at looks {list(self.looks)}: give those until each look made, "
                "which never descend and rise by no more than the trials between"
            )

    def _groups(self) -> list[int]:
        return [after - before for before, after in pairwise((0, *self.looks))]


@dataclass(frozen=True)
class _Failures:
    """P(first + i failures), i = 0, 1, ..., and one of some group of paths: not summing to 1."""

    first: int
    chance: _Floats

    def after(self, trials: int, rate: float) -> _Failures:
        """After as many more trials: the convolution with their binomial distribution.

        Of that, what is far from its mean is left out, or a million trials would take minutes:
        beyond t = 9 sigma + 27 lies less than 2 exp(-t^2 / (2 sigma^2 + 2 t / 3)) < 1e-17, by
        Bernstein's inequality.
        """
        if not self.chance.size:
            return self
        mean = trials * rate
        reach = 9.0 * np.sqrt(mean * (1.0 - rate)) + 27.0
        low, high = max(0, int(mean - reach)), min(trials, int(mean + reach) + 1)
        more = scipy.stats.binom.pmf(np.arange(low, high + 1), trials, rate)
        return _Failures(self.first + low, np.convolve(self.chance, more))

    def up_to(self, most: int) -> float:
        """P(no more than `most`)."""
        return float(self.chance[: max(0, most + 1 - self.first)].sum())

    def between(self, least: int, most: int) -> _Failures:
        """Of them, those of `least` to `most` failures."""
        cut = max(0, least - self.first)
        return _Failures(self.first + cut, self.chance[cut : max(0, most + 1 - self.first)])


_NONE_YET = _Failures(0, np.ones(1))


@cache  # `judge` asks at every prefix of the study, and the recursion takes milliseconds
def sequential_test(most: int, max_rate: float, alpha: float) -> SequentialTest:
    """The test of at most `most` trials that spends alpha linearly: alpha n / most until trial n.

    Up to four equal groups, fewer where they would be smaller than 16. At each look it accepts with
    as many failures as what may be spent by then allows, by the exact recursion over the failures
    of those who came so far (Jennison & Turnbull 2000, ch. 12; error spending: Lan & DeMets 1983).

    Args:
        most: trials, at least 1. max_rate, alpha: strictly between 0 and 1.

    Raises:
        InvalidInput: they are not.
    """
    if most < 1 or not 0 < max_rate < 1 or not 0 < alpha < 1:
        raise InvalidInput(
            f"a test of {most} trials at a rate of {max_rate} with an error of {alpha}: give at "
            "least 1 trial, and a rate and an error strictly between 0 and 1"
        )
    groups = min(_LOOKS, max(1, most // _LEAST_GROUP))
    looks = tuple(round(most * (i + 1) / groups) for i in range(groups))
    # Accepting includes that all trials have no more failures than the last look allows, so that
    # number is no higher than without the other looks.
    highest = int(scipy.stats.binom.ppf(alpha, most, max_rate))
    accept: list[int] = []
    come, done, spent = _NONE_YET, 0, 0.0
    for look in looks:
        come = come.after(look - done, max_rate)
        within = np.cumsum(come.chance) <= alpha * look / most - spent
        count = int(within.sum())
        number = come.first + count - 1 if count else accept[-1] if accept else -1
        spent += come.up_to(number)
        accept.append(number)
        come, done = come.between(number + 1, highest), look
    return SequentialTest(max_rate, alpha, looks, tuple(accept), spent)
