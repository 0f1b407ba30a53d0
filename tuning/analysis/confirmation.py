"""One candidate on fresh starts: at its rate and at margin times it, each with its own test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.statistics.sequential import Outcome, SequentialTest
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult
from tuning.trial.setting import Block

__all__ = ["AtRate", "Trial", "try_candidate"]


@dataclass(frozen=True)
class AtRate:
    """A rate on fresh starts, until its test stopped, or the other one's refused.

    Attributes:
        test: what it is held to. result: of all its looks.
        failures: at each look, the unstable restarts until then.
    """

    test: SequentialTest
    result: SettingResult
    failures: tuple[int, ...]

    @property
    def outcome(self) -> Outcome:
        """What its own test says."""
        return self.test.decide(self.failures).outcome

    @property
    def bound(self) -> float:
        """On P(unstable), at the confidence of the test (`SequentialTest.upper_bound`)."""
        return self.test.upper_bound(self.failures)

    def belongs_to(self, result: SettingResult) -> bool:
        """Whether `result`, which may have joined several, has these restarts."""
        here, there = self.result.setting, result.setting
        return here.resembles(there) and set(here.starts) <= set(there.starts)


@dataclass(frozen=True)
class Trial:
    """What became of one candidate.

    Attributes:
        candidate: its result in the search.
        rates: it at its rate and, with a margin, at margin times it; empty before the first look.
        missing: what is still to be trained for the next look; empty once it is decided.
    """

    candidate: SettingResult
    rates: tuple[AtRate, ...]
    missing: tuple[Block, ...]

    @property
    def accepted(self) -> bool:
        """Whether every test has accepted (an intersection-union test; Berger 1982): a candidate is
        unstable if it is at either rate, so each has the whole error of the try."""
        done = bool(self.rates) and not self.missing
        return done and all(one.outcome is Outcome.ACCEPTED for one in self.rates)

    @property
    def starts(self) -> int:
        """How many fresh starts it has used."""
        return max((len(one.result.restarts) for one in self.rates), default=0)

    @property
    def look(self) -> int:
        """The look at which it stopped."""
        return max((len(one.failures) for one in self.rates), default=0)


def try_candidate(
    candidate: SettingResult,
    test: SequentialTest,
    first: int,
    fresh: Mapping[tuple[Block, ...], SettingResult],
    spec: JobSpec,
) -> Trial:
    """How far the candidate came, by the results that there are.

    Its rates go on side by side, on the same starts: each until its test has accepted, both only
    until one is refused. Nothing is decided before all of a look are there, so that what is asked
    for next does not depend on which of them came first.

    Args:
        first: the number of its first fresh start.
        fresh: the results on fresh starts, by their blocks.
    """
    here, margin = candidate.setting, spec.stability.margin
    factors = (1.0,) if margin == 1 else (1.0, margin)
    made: list[list[SettingResult]] = [[] for _ in factors]
    done = 0
    for until in test.looks:
        rates = tuple(_at_rate(test, results) for results in made if results)
        going_on = [i for i in range(len(made)) if not rates or rates[i].outcome is Outcome.OPEN]
        if not going_on or any(one.outcome is Outcome.REFUSED for one in rates):
            break
        starts = tuple(range(first + done, first + until))
        blocks = {
            i: Block(
                here.optimizer,
                {**here.hyperparameters, LEARNING_RATE: factors[i] * here.learning_rate},
                starts,
            )
            for i in going_on
        }
        if missing := tuple(block for block in blocks.values() if (block,) not in fresh):
            return Trial(candidate, rates, missing)
        for i, block in blocks.items():
            made[i].append(fresh[(block,)])
        done = until
    return Trial(candidate, tuple(_at_rate(test, results) for results in made), ())


def _at_rate(test: SequentialTest, results: list[SettingResult]) -> AtRate:
    counts = [int(result.restarts.unstable.sum()) for result in results]
    failures = tuple(sum(counts[: i + 1]) for i in range(len(counts)))
    (joined,) = gathered(results)
    return AtRate(test, joined, failures)
