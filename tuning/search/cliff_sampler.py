"""The search for the cliff in anybody's own Optuna study: one trial is one start at one rate."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import count, islice
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from trainers.errors import InvalidInput
from tuning.cliff.goal import Goal
from tuning.cliff.rates import RateRange
from tuning.cliff.standing import Pair, Standing
from tuning.search.cliff_trials import Names, Space, Trials, check_directions
from tuning.statistics.cliff import Cliff

__all__ = ["CliffSampler"]

_LEAST_RESTARTS = 48  # trials of the first round, which is tried whatever comes


class CliffSampler(BaseSampler):
    """Where P(a start falls) passes `max_unstable`, by each start's own threshold.

        def objective(trial):
            rate = trial.suggest_float("learning_rate", 1e-4, 10, log=True)
            seed = trial.suggest_int("seed", 0, 2**31 - 1)
            return loss_of(train(seed, rate))

        sampler = tuning.CliffSampler()
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective)
        sampler.cliff(study), sampler.recommended(study)

    The objective draws all that is random from `seed`, trains one start and returns its loss, or
    what else the training cost. A start fell if its trial failed or was pruned, if its value is not
    finite, or if a constraint (`trial.set_constraint`) is above 0. That is also said of a trial
    that failed for another reason, such as Ctrl-C: enqueue its parameters again, and the new
    trial is believed instead.

    `optimize` ends by itself. Asked for more, the sampler proposes the recommended rate with seeds
    of starts that are new. Nothing is kept between two calls: every proposal follows from the
    study's trials, so that a study may be resumed by another process and tried by several. What it
    proposes follows from the finished trials, from those that run and from the trial's number.

    Args:
        max_unstable: the part of all starts that may fall, in (0, 1).
        confidence: of the interval, and that the recommended rate is below the cliff, in (0.5, 1).
        margin: this many times the recommended rate is to be safe too, from 1 up.
        restarts: trials that may be spent, from 48 up, which the first round takes; what ends the
            search is tried whatever comes. Trials that run at the same time may add a few of which
            no use is made.
        rate, seed: names of the parameters.

    Raises:
        InvalidInput: the arguments are not such. Also from within Optuna's calls: the study has
            several objectives, or its space is not these two parameters.
    """

    def __init__(
        self,
        *,
        max_unstable: float = 0.05,
        confidence: float = 0.95,
        margin: float = 1.0,
        restarts: int = 384,
        rate: str = "learning_rate",
        seed: str = "seed",
    ) -> None:
        _check("max_unstable", max_unstable, _within(max_unstable, 0, 1), "above 0 and below 1")
        _check("confidence", confidence, _within(confidence, 0.5, 1), "above 0.5 and below 1")
        margin_fits = margin == 1 or _within(margin, 1, math.inf)
        _check("margin", margin, margin_fits, "a number from 1 up")
        enough = _within(restarts, _LEAST_RESTARTS - 1, math.inf) and restarts % 1 == 0
        _check("restarts", restarts, enough, f"a whole number from {_LEAST_RESTARTS} up")
        _check("rate", rate, isinstance(rate, str), "a parameter's name")
        _check("seed", seed, isinstance(seed, str), "a parameter's name")
        _check("seed", seed, seed != rate, "another name than that of the rate")
        self._max_unstable, self._confidence, self._margin = max_unstable, confidence, margin
        self._restarts, self._names = restarts, Names(rate, seed)

    def cliff(self, study: Study) -> Cliff:
        """What is known of the cliff, under the study's name.

        Raises:
            InvalidInput: the first round has not been told.
        """
        standing = self._standing_of(study)
        cliff = standing.cliff(study.study_name) if standing is not None else None
        if cliff is None:
            raise InvalidInput(f"study {study.study_name!r} has not told the first round: try more")
        return cliff

    def recommended(self, study: Study) -> float | None:
        """The cheapest of the rates tried that are safe, by what is known; None: none is."""
        standing = self._standing_of(study)
        return None if standing is None else standing.recommended()

    def ended(self, study: Study) -> str | None:
        """Why the search is over, in words, for who asks and tells; None: it is not."""
        standing = self._standing_of(study)
        return None if standing is None else standing.ended

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Both parameters, once a trial has told their ranges."""
        check_directions(study)
        found = self._names.distributions(study.get_trials(deepcopy=False))
        if found is None:
            return {}
        self._space(found)
        return found

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """One start of the campaign and its rate."""
        if not search_space:
            return {}
        space = self._space(search_space)
        trials = Trials(study, study.get_trials(deepcopy=False), space, trial.number)
        standing = Standing(self._goal(space.rates), self._restarts, trials.told)
        if standing.ended is not None:
            _stop(study)
        wanted = standing.wanted(trials.tried)
        pair = next(islice(wanted, trials.before, None), None)
        return space.params(pair or _beyond(standing, trials, space))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Before the ranges are known: a parameter of the first round, by the trial's number.

        Each is asked for without the other, and other trials may begin at the same time.
        """
        names = self._names
        if param_name not in (names.rate, names.seed):
            raise InvalidInput(
                f"CliffSampler searches {names.rate} and {names.seed} and not {param_name}: "
                "give it a value of its own, or use another sampler"
            )
        check_directions(study)
        known = names.distributions(study.get_trials(deepcopy=False))
        if known is not None and known[param_name] != param_distribution:
            raise InvalidInput(
                f"{param_name} is searched in {known[param_name]} and now in {param_distribution}: "
                "one study has one range, so begin another"
            )
        # Which starts are tried first, and at how many rates, is the same for each range.
        rates = RateRange(0.1, 1.0) if param_name == names.seed else names.rates(param_distribution)
        round_ = Standing(self._goal(rates), self._restarts, {}).round
        pairs = [(start, probe.rate) for probe in round_ for start in probe.starts]
        start, rate = pairs[trial.number % len(pairs)]
        if param_name == names.rate:
            return rate
        return names.seeds(param_distribution, self._restarts)[start]

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """End `optimize` when the campaign is over with this trial."""
        check_directions(study)
        lacking = [n for n in (self._names.rate, self._names.seed) if n not in trial.params]
        if lacking and state is TrialState.COMPLETE:
            raise InvalidInput(
                f"trial {trial.number} was not asked for {' and '.join(lacking)}: "
                f"CliffSampler searches {self._names.rate} and {self._names.seed}"
            )
        finished = copy.copy(trial)  # the study has it without its end so far
        finished.state = state
        finished.values = values
        trials = study.get_trials(deepcopy=False)
        standing = self._standing_of(
            study, [finished if t.number == trial.number else t for t in trials]
        )
        if standing is not None and standing.ended is not None:
            _stop(study)

    def _standing_of(
        self, study: Study, trials: Sequence[FrozenTrial] | None = None
    ) -> Standing | None:
        """None while the ranges are not known."""
        check_directions(study)
        trials = study.get_trials(deepcopy=False) if trials is None else trials
        if (found := self._names.distributions(trials)) is None:
            return None
        space = self._space(found)
        told = Trials(study, trials, space, -1).told
        return Standing(self._goal(space.rates), self._restarts, told)

    def _space(self, found: dict[str, BaseDistribution]) -> Space:
        names = self._names
        rates = names.rates(found[names.rate])
        return Space(names, rates, names.seeds(found[names.seed], self._restarts))

    def _goal(self, rates: RateRange) -> Goal:
        return Goal(rates, self._max_unstable, self._confidence, self._margin)


def _beyond(standing: Standing, trials: Trials, space: Space) -> Pair:
    """Nothing is wanted: more starts at the rate that is recommended, or at the lowest."""
    rate = standing.recommended() or space.rates.low
    taken = trials.told.keys() | trials.tried
    fresh = (start for start in count(standing.starts) if (start, rate) not in taken)
    start = next(islice(fresh, trials.before, None))
    return start % len(space.seeds), rate


def _stop(study: Study) -> None:
    # Who asks and tells, outside of `optimize`, ends by himself.
    with suppress(RuntimeError):
        study.stop()


def _check(name: str, value: object, valid: bool, what: str) -> None:
    if not valid:
        raise InvalidInput(f"{name} = {value!r} is not valid: it must be {what}")


def _within(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low < value < high
