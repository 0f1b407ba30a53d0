"""Studies of anybody's own by `CliffSampler`, against known thresholds and the bare campaign."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import Trial, TrialState

import tuning
from tests.support.thresholds import KINDS, Starts
from trainers import InvalidInput
from tuning.cliff.budget import granted
from tuning.cliff.campaign import Campaign, reserve
from tuning.cliff.goal import Goal
from tuning.cliff.observations import Trained
from tuning.cliff.rates import RateRange
from tuning.search.cliff_sampler import CliffSampler
from tuning.statistics.cliff import Cliff

LOW, HIGH = 1e-3, 10.0
RESTARTS = 160  # a small campaign has all of its phases, and takes a second
Pair = tuple[float, int]
Objective = Callable[[Trial], float]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


class Fallen(Exception):
    pass


def cost(rate: float) -> float:
    """Least at 0.03, a decade and more below most cliffs here."""
    return float(np.log10(rate / 0.03) ** 2)


def by_infinity(_trial: Trial) -> float:
    return math.inf


def by_minus_infinity(_trial: Trial) -> float:
    return -math.inf


def by_nan(_trial: Trial) -> float:
    return math.nan


def by_pruning(_trial: Trial) -> float:
    raise optuna.TrialPruned


def by_raising(_trial: Trial) -> float:
    raise Fallen


def by_constraint(trial: Trial) -> float:
    trial.set_constraint("fell", 0.5)
    return -100.0


def by_all_in_turn(trial: Trial) -> float:
    ways = [by_infinity, by_minus_infinity, by_nan, by_pruning, by_raising, by_constraint]
    return ways[trial.number % len(ways)](trial)


def objective_of(
    starts: Starts, *, fall: Objective = by_infinity, costs: Callable[[float], float] = cost
) -> Objective:
    def objective(trial: Trial) -> float:
        rate = trial.suggest_float("learning_rate", LOW, HIGH, log=True)
        if starts.falls(trial.suggest_int("seed", 0, 2**31 - 1), rate):
            return fall(trial)
        if fall is by_constraint:
            trial.set_constraint("fell", 0.0)
        return costs(rate)

    return objective


def study_of(
    sampler: CliffSampler | None = None,
    storage: BaseStorage | None = None,
    direction: Literal["minimize", "maximize"] = "minimize",
) -> Study:
    return optuna.create_study(
        sampler=sampler or CliffSampler(restarts=RESTARTS),
        storage=storage,
        study_name="mine",
        direction=direction,
        load_if_exists=True,
    )


def pair_of(params: Mapping[str, float]) -> Pair:
    return params["learning_rate"], int(params["seed"])


def pairs_of(study: Study) -> list[Pair]:
    return [pair_of(trial.params) for trial in study.trials]


def run_directly(starts: Starts, restarts: int) -> list[Pair]:
    """The campaign in rounds, each answered as a whole; its trainings in order, none twice."""
    fresh_rates: set[float] = set()
    asked_for: dict[Pair, None] = {}
    held: set[float] = set()

    def costs() -> dict[float, float]:
        return {rate: cost(rate) if rate in held else math.inf for rate in fresh_rates}

    def fits(trainings: int, grown: int) -> bool:
        return spent + trainings + reserve(grown) <= restarts

    campaign, spent, rounds, known = Campaign(_goal(), costs), 0, 0, 0
    steps = campaign.steps()
    try:
        asked = next(steps)
        while True:
            probes = granted(asked, known, fits)
            found = []
            for probe in probes:
                numbers = np.array(probe.starts)
                fell = np.array([starts.falls(s, probe.rate) for s in probe.starts])
                found.append(Trained(probe.rate, numbers, fell, rounds, probe.fresh))
                asked_for |= dict.fromkeys((probe.rate, s) for s in probe.starts)
                if probe.fresh:
                    fresh_rates.add(probe.rate)
                    held |= set() if fell.all() else {probe.rate}
                known = max(known, *(s + 1 for s in probe.starts))
                spent += len(probe.starts) if asked.phase.value != "close" else 0
            rounds += bool(probes)
            asked = steps.send(found)
    except StopIteration:
        return list(asked_for)


def _goal() -> Goal:
    return Goal(RateRange(LOW, HIGH), max_unstable=0.05, confidence=0.95)


@pytest.fixture(scope="module")
def starts() -> Starts:
    return Starts("logistic", 1)


@pytest.fixture(scope="module")
def undisturbed(starts: Starts) -> Study:
    study = study_of()
    study.optimize(objective_of(starts))
    return study


def test_it_tries_what_the_campaign_asks_for(starts: Starts) -> None:
    for restarts in (RESTARTS, 384):
        study = study_of(CliffSampler(restarts=restarts))
        study.optimize(objective_of(starts))
        assert pairs_of(study) == run_directly(starts, restarts)
        assert 0.7 * restarts < len(study.trials) <= restarts


# Of the steep kind 384 trainings reach too few starts for a lower end.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "steep"])
def test_the_cliff_is_found(kind: str) -> None:
    """The interval is at 95 %, so that of these four, always the same, all should cover. Of 120
    starts, which is what 384 trainings are good for, the sixth lowest threshold lies within these
    ranks of the quantile with probability 99.9 %: 1 to 15 of 120, P(fall) 0.6 to 12.5 %.
    """
    starts, sampler = Starts(kind, 12), CliffSampler()
    study = study_of(sampler)
    study.optimize(objective_of(starts))
    cliff, rate = sampler.cliff(study), sampler.recommended(study)
    assert cliff.optimizer == "mine"
    assert cliff.estimate is not None
    assert cliff.high is not None
    assert cliff.low is not None
    assert cliff.low <= starts.cliff() <= cliff.high
    assert 0.006 < starts.unstable(cliff.estimate) < 0.125
    assert rate is not None
    assert starts.unstable(rate) <= 0.05
    # The cheapest is at 0.03, unless it is not safe; a known rate within 0.03 decades will do.
    assert min(0.03, cliff.low) * 0.93 <= rate <= 0.03 * 1.08


def test_a_margin_keeps_away_from_the_cliff(starts: Starts) -> None:
    def rate(margin: float) -> float:
        sampler = CliffSampler(margin=margin)
        study = study_of(sampler)
        study.optimize(objective_of(starts, costs=lambda rate: -rate))
        found = sampler.recommended(study)
        assert found is not None
        return found

    # Rounded down to four digits, and once more.
    assert rate(1.0) / 4 * 0.998 < rate(4.0) <= rate(1.0) / 4


@pytest.mark.parametrize("low", [20.0, 1e-9])
def test_where_nothing_or_everything_is_stable_few_are_tried(low: float) -> None:
    starts, sampler = Starts("narrow", 0), CliffSampler()

    def objective(trial: Trial) -> float:
        rate = trial.suggest_float("learning_rate", low, 100 * low, log=True)
        return by_infinity(trial) if starts.falls(trial.suggest_int("seed", 0, 999), rate) else 1.0

    study = study_of(sampler)
    study.optimize(objective)
    cliff = sampler.cliff(study)
    assert cliff.estimate is None
    assert len(study.trials) <= 200
    assert (sampler.recommended(study) is None) == (low == 20.0)
    assert (cliff.low is None) == (low == 20.0)
    assert (cliff.high is None) == (low == 1e-9)


@pytest.mark.parametrize(
    "fall", [by_minus_infinity, by_nan, by_pruning, by_raising, by_constraint, by_all_in_turn]
)
def test_a_fall_may_be_told_in_many_ways(
    starts: Starts, undisturbed: Study, fall: Objective
) -> None:
    sampler = CliffSampler(restarts=RESTARTS)
    study = study_of(sampler)
    study.optimize(objective_of(starts, fall=fall), catch=(Fallen,))
    assert pairs_of(study) == pairs_of(undisturbed)
    assert sampler.cliff(study) == sampler.cliff(undisturbed)
    assert sampler.recommended(study) == sampler.recommended(undisturbed)


def test_what_is_maximized_is_no_cost(starts: Starts, undisturbed: Study) -> None:
    study = study_of(direction="maximize")
    study.optimize(objective_of(starts, costs=lambda rate: -cost(rate)))
    assert pairs_of(study) == pairs_of(undisturbed)


def test_seeds_may_have_any_range_and_names(starts: Starts, undisturbed: Study) -> None:
    def objective(trial: Trial) -> float:
        number = (trial.suggest_int("start", -70, 7_000, step=7) + 70) // 7
        rate = trial.suggest_float("lr", LOW, HIGH)
        trial.suggest_float("momentum", 0.9, 0.9)  # no choice: Optuna asks no sampler
        return by_infinity(trial) if starts.falls(number, rate) else cost(rate)

    study = study_of(CliffSampler(rate="lr", seed="start", restarts=RESTARTS))
    study.optimize(objective)
    found = [(t.params["lr"], (t.params["start"] + 70) // 7) for t in study.trials]
    assert found == pairs_of(undisturbed)


# ----------------------------------------------------------------------- one prefix, one proposal

SPACE = {
    "learning_rate": FloatDistribution(LOW, HIGH, log=True),
    "seed": IntDistribution(0, 2**31 - 1),
}


@pytest.mark.parametrize("count", [0, 1, 47, 48, 100, 119])
def test_a_proposal_follows_from_what_was_told(undisturbed: Study, count: int) -> None:
    study = study_of(pickle.loads(pickle.dumps(undisturbed.sampler)))
    study.add_trials(undisturbed.trials[:count])
    assert pair_of(study.ask(SPACE).params) == pairs_of(undisturbed)[count]


def test_a_study_in_a_file_is_resumed(starts: Starts, undisturbed: Study, tmp_path: Path) -> None:
    for more in (30, 31, None):
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
        study = study_of(storage=storage)
        study.optimize(objective_of(starts), n_trials=more)
    assert pairs_of(study) == pairs_of(undisturbed)


def test_a_failure_of_the_machine_s_is_tried_again(starts: Starts, undisturbed: Study) -> None:
    pairs, study = pairs_of(undisturbed), study_of()
    held = next(i for i in range(60, 120) if not starts.falls(pairs[i][1], pairs[i][0]))
    study.add_trials(undisturbed.trials[:held])
    broken = study.ask(SPACE)
    study.tell(broken, state=TrialState.FAIL)
    study.enqueue_trial(broken.params)
    study.optimize(objective_of(starts))
    assert pairs_of(study) == [*pairs[: held + 1], *pairs[held:]]


def test_what_was_not_asked_for_does_no_harm(starts: Starts, undisturbed: Study) -> None:
    study = study_of()
    for rate, seed in ((0.0123, 3), (LOW, 9_999), (0.5, 0)):
        study.enqueue_trial({"learning_rate": rate, "seed": seed})
    study.optimize(objective_of(starts))
    assert pairs_of(study)[3:] == pairs_of(undisturbed)


# --------------------------------------------------------------------------- several at one time


@pytest.mark.parametrize("workers", [2, 5, 50])
def test_several_are_tried_at_one_time(starts: Starts, undisturbed: Study, workers: int) -> None:
    """Each tells when `workers` others are in training, the last first of each three."""
    sampler, objective = CliffSampler(restarts=RESTARTS), objective_of(starts)
    study, running = study_of(sampler), list[Trial]()
    while sampler.ended(study) is None:
        while len(running) < workers:
            running.append(study.ask(SPACE))
            chosen = [pair_of(trial.params) for trial in running]
            assert len(set(chosen)) == len(chosen)
        trial = running.pop(-1 if len(study.trials) % 3 == 0 else 0)
        study.tell(trial, objective(trial))
    told = [pair_of(t.params) for t in study.get_trials(states=[TrialState.COMPLETE])]
    assert set(told) >= set(pairs_of(undisturbed))
    assert len(set(told)) == len(told)
    # About 25 rounds have an end each, where guesses are tried.
    assert len(told) < len(undisturbed.trials) + 25 * workers
    assert sampler.cliff(study) == sampler.cliff(undisturbed)


@pytest.mark.parametrize("count", [0, 1, 60])
def test_who_chooses_late_leaves_and_finds_a_choice(undisturbed: Study, count: int) -> None:
    """Two trials begin before either has chosen; the second one chooses first."""
    study = study_of()
    study.add_trials(undisturbed.trials[:count])
    first, second = study.ask(), study.ask()
    for trial in (second, first):
        suggest_seed(trial)
        suggest_rate(trial)
    chosen = [pair_of(trial.params) for trial in (first, second)]
    assert chosen == pairs_of(undisturbed)[count : count + 2]


def test_threads_give_the_same_answer(starts: Starts, undisturbed: Study) -> None:
    sampler = CliffSampler(restarts=RESTARTS)
    study = study_of(sampler)
    study.optimize(objective_of(starts), n_jobs=2)
    assert set(pairs_of(study)) >= set(pairs_of(undisturbed))
    assert sampler.cliff(study) == sampler.cliff(undisturbed)
    assert sampler.recommended(study) == sampler.recommended(undisturbed)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_trial_whose_process_died_is_not_waited_for(
    starts: Starts, undisturbed: Study, chosen: bool
) -> None:
    sampler = CliffSampler(restarts=RESTARTS)
    study = study_of(sampler)
    study.add_trials(undisturbed.trials[:100])
    study.ask(SPACE if chosen else {})
    study.optimize(objective_of(starts), n_trials=len(undisturbed.trials) - 100 + 10)
    assert sampler.ended(study) == sampler.ended(undisturbed) is not None
    assert sampler.cliff(study) == sampler.cliff(undisturbed)


# ---------------------------------------------------------------------------------------- its end


def test_more_than_it_needs_are_starts_at_the_recommended_rate(undisturbed: Study) -> None:
    sampler = CliffSampler(restarts=RESTARTS)
    study = study_of(sampler)
    study.add_trials(undisturbed.trials)
    known = {seed for _, seed in pairs_of(study)}
    for beyond in range(3):
        trial = study.ask(SPACE)
        assert pair_of(trial.params) == (sampler.recommended(study), len(known) + beyond)
        if beyond:  # the first goes on
            study.tell(trial, 0.0)


def test_optimize_ends_at_once_when_all_is_told(starts: Starts, undisturbed: Study) -> None:
    study = study_of()
    study.add_trials(undisturbed.trials)
    study.optimize(objective_of(starts))
    assert len(study.trials) == len(undisturbed.trials) + 1


def test_what_is_known_halfway(undisturbed: Study) -> None:
    """A pool that is not bisected has no estimate, so the one before it is told."""
    sampler, estimates = CliffSampler(restarts=RESTARTS), []
    for count in range(48, len(undisturbed.trials), 10):
        study = study_of()
        study.add_trials(undisturbed.trials[:count])
        estimates.append(sampler.cliff(study).estimate)
    assert None not in estimates[3:]


def test_within_a_pool_the_estimate_is_the_one_before_it(starts: Starts) -> None:
    sampler = CliffSampler()
    study = study_of(sampler)
    study.optimize(objective_of(starts), n_trials=200)
    assert sampler.ended(study) is None
    assert (cliff := sampler.cliff(study)).estimate is not None
    assert cliff.starts < len({seed for _, seed in pairs_of(study)})


def test_a_small_budget_has_an_answer(starts: Starts) -> None:
    sampler = CliffSampler(restarts=240)
    study = study_of(sampler)
    study.optimize(objective_of(starts))
    assert sampler.ended(study) == "the budget is spent"
    assert sampler.cliff(study).estimate is not None
    assert sampler.recommended(study) is not None
    assert len(study.trials) <= 240


# ---------------------------------------------------------------------------------- what is wrong


def message_of(wrong: Callable[[], object]) -> str:
    with pytest.raises(InvalidInput) as raised:
        wrong()
    (line,) = str(raised.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"max_unstable": 0}, "max_unstable = 0 is not valid: it must be above 0 and below 1"),
        (
            {"max_unstable": "5 %"},
            "max_unstable = '5 %' is not valid: it must be above 0 and below 1",
        ),
        ({"confidence": 0.5}, "confidence = 0.5 is not valid: it must be above 0.5 and below 1"),
        (
            {"confidence": math.nan},
            "confidence = nan is not valid: it must be above 0.5 and below 1",
        ),
        ({"margin": 0.9}, "margin = 0.9 is not valid: it must be a number from 1 up"),
        ({"margin": math.inf}, "margin = inf is not valid: it must be a number from 1 up"),
        ({"restarts": 47}, "restarts = 47 is not valid: it must be a whole number from 48 up"),
        ({"restarts": 99.5}, "restarts = 99.5 is not valid: it must be a whole number from 48 up"),
        ({"rate": 3}, "rate = 3 is not valid: it must be a parameter's name"),
        (
            {"rate": "x", "seed": "x"},
            "seed = 'x' is not valid: it must be another name than that of",
        ),
    ],
)
def test_a_wrong_argument_is_told(arguments: dict[str, object], why: str) -> None:
    assert message_of(lambda: CliffSampler(**arguments)).startswith(why)  # type: ignore[arg-type]


def suggest_rate(trial: Trial) -> float:
    return trial.suggest_float("learning_rate", LOW, HIGH, log=True)


def suggest_seed(trial: Trial) -> float:
    return trial.suggest_int("seed", 0, 2**31 - 1)


def suggest_too_much(trial: Trial) -> float:
    return suggest_rate(trial) + suggest_seed(trial) + trial.suggest_float("momentum", 0, 1)


def suggest_another_range(trial: Trial) -> float:
    widened = trial.suggest_float("learning_rate", LOW, HIGH * (1 + trial.number))
    return widened + suggest_seed(trial)


@pytest.mark.parametrize(
    ("objective", "why"),
    [
        (lambda _trial: 1.0, "trial 0 was not asked for learning_rate and seed: "),
        (suggest_rate, "trial 0 was not asked for seed: "),
        (suggest_seed, "trial 0 was not asked for learning_rate: "),
        (suggest_too_much, "CliffSampler searches learning_rate and seed and not momentum: "),
        (suggest_another_range, "learning_rate is searched in FloatDistribution(high=10.0, "),
        (
            lambda trial: trial.suggest_int("learning_rate", 1, 10),
            "learning_rate of IntDistribution(high=10, log=False, low=1, step=1) is no range of ",
        ),
        (
            lambda trial: trial.suggest_float("learning_rate", 0, 1),
            "learning_rate of FloatDistribution(high=1.0, log=False, low=0.0, step=None) is no ",
        ),
        (
            lambda trial: trial.suggest_float("seed", 0, 1),
            "seed of FloatDistribution(high=1.0, log=False, low=0.0, step=None) is no range of ",
        ),
        (
            lambda trial: suggest_rate(trial) + trial.suggest_int("seed", 0, 100),
            "seed from 0 to 100 has fewer numbers than restarts = 160: ",
        ),
    ],
)
def test_a_wrong_space_is_told(objective: Objective, why: str) -> None:
    study = study_of()
    assert message_of(lambda: study.optimize(objective, n_trials=3)).startswith(why)
    assert len(study.trials) <= 2


def test_a_study_with_two_objectives_is_refused() -> None:
    study = optuna.create_study(sampler=CliffSampler(), directions=["minimize", "maximize"])
    assert message_of(lambda: study.ask(SPACE)) == (
        "CliffSampler needs a study with one objective, and this has 2"
    )


def test_an_answer_needs_a_round(starts: Starts) -> None:
    sampler = CliffSampler(restarts=RESTARTS)
    study = study_of(sampler)
    assert sampler.recommended(study) is None
    for tried in (0, 47):
        study.optimize(objective_of(starts), n_trials=tried)
        why = message_of(lambda: sampler.cliff(study))
        assert why == "study 'mine' has not told the first round: try more"
    study.optimize(objective_of(starts), n_trials=1)
    assert isinstance(sampler.cliff(study), Cliff)


def test_it_is_exported_and_optuna_imported_late() -> None:
    assert tuning.CliffSampler is CliffSampler
    code = "import sys, tuning; assert 'optuna' not in sys.modules; tuning.CliffSampler()"
    subprocess.run([sys.executable, "-c", code], check=True)
