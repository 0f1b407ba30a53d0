"""What the trials of anybody's study tell `CliffSampler`: of starts, each at a rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trainers.errors import InvalidInput
from tuning.cliff.rates import RateRange
from tuning.cliff.standing import Pair, Told

__all__ = ["Names", "Space", "Trials", "check_directions", "is_finished"]

# A trial that so many, for each that runs, have begun after and ended before: its process is dead.
_OVERTAKEN = 8


@dataclass(frozen=True)
class Names:
    """Of the two parameters."""

    rate: str
    seed: str

    def rates(self, found: BaseDistribution) -> RateRange:
        """The range of rates.

        Raises:
            InvalidInput: it is none.
        """
        usable = isinstance(found, FloatDistribution) and found.step is None
        if not (isinstance(found, FloatDistribution) and usable and 0 < found.low < found.high):
            raise InvalidInput(
                f"{self.rate} of {found} is no range of learning rates: "
                f'use trial.suggest_float("{self.rate}", low, high, log=True) with 0 < low < high'
            )
        return RateRange(found.low, found.high)

    def seeds(self, found: BaseDistribution, restarts: int) -> range:
        """The seeds, by the starts' numbers.

        Raises:
            InvalidInput: there are none, or fewer than `restarts`.
        """
        if not isinstance(found, IntDistribution):
            raise InvalidInput(
                f"{self.seed} of {found} is no range of seeds: "
                f'use trial.suggest_int("{self.seed}", 0, 2**31 - 1)'
            )
        seeds = range(found.low, found.high + 1, found.step)
        if len(seeds) < restarts:
            raise InvalidInput(
                f"{self.seed} from {found.low} to {found.high} has fewer numbers than "
                f'restarts = {restarts}: use trial.suggest_int("{self.seed}", 0, 2**31 - 1)'
            )
        return seeds

    def distributions(self, trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution] | None:
        """Of both parameters, as `trials` have them; None before one has.

        Raises:
            InvalidInput: two differ.
        """
        first: dict[str, BaseDistribution] | None = None
        for trial in trials:
            if not {self.rate, self.seed} <= trial.distributions.keys():
                continue
            found = {name: trial.distributions[name] for name in (self.rate, self.seed)}
            first = first or found
            for name, distribution in found.items():
                if distribution != first[name]:
                    raise InvalidInput(
                        f"{name} is searched in {first[name]} and, by trial {trial.number}, in "
                        f"{distribution}: one study has one range, so begin another"
                    )
        return first


@dataclass(frozen=True)
class Space:
    """Where to look: `seeds[i]` is that of start number i."""

    names: Names
    rates: RateRange
    seeds: range

    def pair_of(self, trial: FrozenTrial) -> Pair | None:
        """The start and the rate; None where the trial has not come to both."""
        if not {self.names.rate, self.names.seed} <= trial.params.keys():
            return None
        return self.seeds.index(trial.params[self.names.seed]), trial.params[self.names.rate]

    def params(self, pair: Pair) -> dict[str, float]:
        return {self.names.rate: pair[1], self.names.seed: self.seeds[pair[0]]}


class Trials:
    """What is known of starts, and what is in training.

    Args:
        number: of the trial for which this is asked, which is not looked at unless it is finished.

    Attributes:
        told: by start and rate. tried: pairs in training.
        before: how many trials with lower numbers have begun and still have to choose.
    """

    def __init__(self, study: Study, trials: Sequence[FrozenTrial], space: Space, number: int):
        sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
        self.told: dict[Pair, Told] = {}
        # A failure may be the machine's, as when a heartbeat fails a trial whose process has died;
        # so another trial of the same start is believed instead.
        for trial in sorted(filter(is_finished, trials), key=_failed):
            if (pair := space.pair_of(trial)) is not None and pair not in self.told:
                self.told[pair] = _told(trial, sign)
        running = [t for t in trials if t.state is TrialState.RUNNING and t.number != number]
        finished = [t.number for t in trials if is_finished(t)]
        alive = [
            t for t in running if sum(n > t.number for n in finished) < _OVERTAKEN * len(running)
        ]
        pairs = [(t.number, space.pair_of(t)) for t in alive]
        self.tried = {pair for _, pair in pairs if pair is not None}
        self.before = sum(pair is None and n < number for n, pair in pairs)


def is_finished(trial: FrozenTrial) -> bool:
    return trial.state.is_finished()


def check_directions(study: Study) -> None:
    """That there is one.

    Raises:
        InvalidInput: there are several.
    """
    if (count := len(study.directions)) != 1:
        raise InvalidInput(f"CliffSampler needs a study with one objective, and this has {count}")


def _failed(trial: FrozenTrial) -> bool:
    return trial.state is TrialState.FAIL


def _told(trial: FrozenTrial, sign: int) -> Told:
    """It fell unless it is complete, with a finite value and no constraint above 0."""
    if trial.state is not TrialState.COMPLETE or trial.value is None:
        return Told(True, math.nan)
    violated = any(value > 0 for value in trial.constraints.values())
    return Told(violated or not math.isfinite(trial.value), sign * trial.value)
