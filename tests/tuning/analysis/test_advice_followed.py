"""Advice is right: followed, it makes go away what it was given for; and none contradicts another.

A world says what becomes of a restart at a rate. A job searches it, its advice is done to the job,
and the job searches again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from tests.support.made_results import DIVERGED, GOOD, OSCILLATING, Row, answer, job, result, slow
from tuning.analysis.build import build_report, next_confirmations
from tuning.report.model import Report, RunFacts, Status
from tuning.spec.job import JobSpec, read_spec
from tuning.trial.result import SettingResult

RUN = RunFacts("job-1", "today", 1.0, 1.0, 1.0, 1, {})
KNOWN: dict[str, Any] = {"name": "made by hand", "parameters": 1, "known_minimum": 0.0}
UNKNOWN: dict[str, Any] = {**KNOWN, "known_minimum": None}

IDLE = replace(GOOD, loss=1.0, basin_loss=1.0, path=(1.0,) * 3)
UNDECIDED = replace(GOOD, point="undetermined", basin_loss=0.7)
FARTHER = replace(GOOD, basin_loss=-0.005)
STEEP = replace(GOOD, largest=200.0, path=(0.0,) * 3)
SOME_FALL = [OSCILLATING, *[GOOD] * 3]


@dataclass(frozen=True)
class Try:
    """Of a rate: by the job, on fresh starts or in the search."""

    rate: float
    spec: JobSpec
    fresh: bool

    @property
    def long(self) -> bool:
        return self.spec.training.steps > 4000

    @property
    def many(self) -> bool:
        return self.spec.training.restarts > 64


#: What became of the restarts.
World = Callable[[Try], Sequence[Row]]
ADVICE = re.compile(r"\b([a-z_]+\.[a-z_]+) = ([\d.e+-]*\d)")


def report(world: World, spec: JobSpec, problem: dict[str, Any]) -> Report:
    """Of the job whose four rates are evenly spaced over its range."""
    limits, restarts = spec.search.learning_rate, spec.training.restarts
    results: list[SettingResult] = []
    for number, rate in enumerate(np.geomspace(limits.low, limits.high, 4).tolist()):
        rows = world(Try(rate, spec, False))
        results.append(result(number, rate, [rows[i % len(rows)] for i in range(restarts)]))
    while more := next_confirmations(spec, problem["known_minimum"], results):
        results += [answer(s, world(Try(s.learning_rate, spec, True))) for s in more]
    return build_report(spec, problem, results, RUN)


def told(found: Report) -> str:
    return "\n".join([found.explanation, found.advice, *found.warnings])


def follow(text: str, spec: JobSpec) -> JobSpec:
    """The job with the first thing that `text` says to set."""
    advised = ADVICE.search(text)
    assert advised is not None, text
    table, key = advised[1].split(".")
    tables = spec.model_dump(exclude_unset=True)
    inner = tables.setdefault("search" if table == "learning_rate" else table, {})
    if table == "learning_rate":
        limits = spec.search.learning_rate
        inner["learning_rate"] = {"low": limits.low, "high": limits.high, key: float(advised[2])}
    else:
        inner[key] = type(getattr(getattr(spec, table), key) or 1)(float(advised[2]))
    return read_spec(tables)


def stable_below(cliff: float) -> World:
    """The higher the faster: in steps to the target that a curve can show."""

    def world(at: Try) -> Sequence[Row]:
        if at.rate > cliff:
            return [DIVERGED]
        return [slow(10 if at.rate > cliff / 10 else 100 if at.rate > cliff / 100 else 1000)]

    return world


def lowest_is_best(at: Try) -> Sequence[Row]:
    return [DIVERGED] if at.rate > 2 else [slow(1000 if at.rate > 0.1 or at.rate < 1e-3 else 10)]


def ragged(at: Try) -> Sequence[Row]:
    if 0.008 < at.rate < 0.02 or at.rate > 0.5:
        return [DIVERGED, GOOD]
    return [slow(100 if at.rate < 0.02 else 10)]


def too_low(at: Try) -> Sequence[Row]:
    return [GOOD if 0.5 < at.rate < 5 else DIVERGED if at.rate > 5 else IDLE]


def too_short(at: Try) -> Sequence[Row]:
    return [DIVERGED if at.rate > 0.5 else GOOD if at.long else IDLE]


def swings_above(at: Try) -> Sequence[Row]:
    return [GOOD] if at.rate < 0.01 else SOME_FALL if at.rate < 1 else [OSCILLATING]


def falls_when_fresh(at: Try) -> Sequence[Row]:
    return SOME_FALL if at.fresh and at.rate > 0.01 else [GOOD]


def second_is_right(at: Try) -> Sequence[Row]:
    if at.rate > 0.5:
        return SOME_FALL if at.fresh else [slow(10)]
    return [slow(100)]


def few_cannot_fall(at: Try) -> Sequence[Row]:
    """By few restarts rates look stable that are not, two of them the fastest."""
    if at.rate > 0.05 and (at.fresh or at.many):
        return SOME_FALL
    return [slow(10 if at.rate > 0.5 else 100 if at.rate > 0.05 else 1000)]


def not_judged(at: Try) -> Sequence[Row]:
    return [DIVERGED if at.rate > 0.5 else GOOD if at.long else UNDECIDED, GOOD]


def one_went_lower(at: Try) -> Sequence[Row]:
    if at.rate > 0.5:
        return [DIVERGED]
    return [FARTHER] if at.many else [FARTHER, *[GOOD] * 63]


def far_off(at: Try) -> Sequence[Row]:
    return [DIVERGED if at.rate > 0.01 and at.long else STEEP]


@dataclass(frozen=True)
class Case:
    """Attributes:
    what: words of the explanation or warning that must come, and go.
    """

    what: str
    world: World
    low: float
    high: float
    tables: dict[str, Any]
    problem: dict[str, Any]

    def spec(self) -> JobSpec:
        tables = {k: dict(v) for k, v in self.tables.items()}
        search = {"learning_rate": {"low": self.low, "high": self.high}}
        return job(4, search={**search, **tables.pop("search", {})}, **tables)


def case(
    what: str,
    world: World,
    low: float = 1e-3,
    high: float = 1.0,
    problem: dict[str, Any] = KNOWN,
    **tables: Any,
) -> Case:
    return Case(what, world, low, high, tables, problem)


CASES = {
    "highest": case("is the highest that was tried", stable_below(0.5), high=0.01),
    "lowest": case("is the lowest that was tried", lowest_is_best, low=0.05),
    "ragged": case("boundary of stability is ragged", ragged),
    "mostly unstable": case("most restarts were unstable", stable_below(0.05), high=1000.0),
    "few restarts": case(
        "8 restarts cannot show", stable_below(0.05), training={"restarts": 8, "steps": 1000}
    ),
    "few fresh starts": case(
        "fresh starts cannot show", stable_below(0.05), stability={"confirm": 40}
    ),
    "too high to learn": case(
        "so no rate is recommended", stable_below(2e-3), low=0.1, high=10.0, problem=UNKNOWN
    ),
    "too low to learn": case("so no rate is recommended", too_low, high=0.01, problem=UNKNOWN),
    "too short to learn": case(
        "so no rate is recommended", too_short, training={"steps": 2000}, problem=UNKNOWN
    ),
    "none stable": case("is stable with a margin of 2", swings_above, low=0.1, high=10.0),
    "none held": case("but none held on fresh starts", falls_when_fresh, low=0.1),
    "no budget": case(
        "holds too few fresh starts", stable_below(0.05), budget={"restarts": 4 * 64}
    ),
    "no fresh starts": case("holds too few fresh starts", stable_below(0.05), budget={"fresh": 0}),
    "few for a second": case("are too few for another", second_is_right, stability={"confirm": 80}),
    "two failed": case("no more than 2 are tried", few_cannot_fall),
    "not judged": case("are not judged", not_judged),
    "J* may fall": case(
        "more of them may find a lower one",
        one_went_lower,
        problem=UNKNOWN,
    ),
    "far from any minimum": case("restarts may be far from any minimum still", far_off, low=1e-4),
}


@pytest.mark.parametrize("which", CASES.values(), ids=CASES)
def test_advice_followed_makes_go_away_what_it_was_given_for(which: Case) -> None:
    spec = which.spec()
    before = report(which.world, spec, which.problem)
    assert which.what in told(before)
    given = next(line for line in told(before).splitlines() if which.what in line)
    advice = given if ADVICE.search(given) else before.advice
    after = report(which.world, follow(advice, spec), which.problem)
    assert which.what not in told(after)


@pytest.mark.parametrize("which", CASES.values(), ids=CASES)
def test_what_to_do_next_leads_to_a_confirmed_rate(which: Case) -> None:
    """Within three jobs, each of which does what the one before said."""
    spec = which.spec()
    for _ in range(4):
        found = report(which.world, spec, which.problem)
        if found.best_stable is not None and found.best_stable.status is Status.CONFIRMED:
            return
        spec = follow(found.advice, spec)
    pytest.fail(f"no rate is confirmed: {told(found)}")


def contradictions(text: str) -> list[str]:
    """Keys that `text` wants to have two values."""
    values: dict[str, set[str]] = {}
    for key, value in ADVICE.findall(text):
        values.setdefault(key, set()).add(value)
    return [key for key, wanted in values.items() if len(wanted) > 1]


@pytest.mark.parametrize("which", CASES.values(), ids=CASES)
def test_no_report_contradicts_itself(which: Case) -> None:
    assert contradictions(told(report(which.world, which.spec(), which.problem))) == []


@pytest.mark.parametrize("seed", range(60))
def test_no_report_of_a_random_world_contradicts_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [GOOD, slow(10), slow(1000), DIVERGED, OSCILLATING, IDLE, UNDECIDED, STEEP]
    kinds = rng.integers(len(rows), size=(12, 2))

    def world(at: Try) -> Sequence[Row]:
        first, second = kinds[int(np.clip(np.log10(at.rate) * 2 + 8, 0, 11))]
        return [rows[first]] * 5 + [rows[second]]

    confirm = int(rng.choice([40, 80, 512]))
    spec = case(
        "", world, high=float(rng.choice([0.1, 10.0])), stability={"confirm": confirm}
    ).spec()
    found = report(world, spec, [KNOWN, UNKNOWN][seed % 2])
    assert contradictions(told(found)) == []
    low, high = (f"learning_rate.{end}" for end in ("low", "high"))
    advised = dict(ADVICE.findall(told(found)))
    if found.best_stable is None:  # wider at one end, and never narrower at the other
        assert not {low, high} <= set(advised)


def test_the_example_of_exit_code_3_is_told_one_thing() -> None:
    """It was told to lower both ends of the range."""
    which = CASES["none stable"]
    found = report(which.world, which.spec(), which.problem)
    assert found.best_stable is None
    assert found.advice == "set learning_rate.low = 0.001"
    assert set(ADVICE.findall(told(found))) == {("learning_rate.low", "0.001")}
