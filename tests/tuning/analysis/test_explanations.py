"""What the report says in words: a case for each explanation and each warning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.support.made_results import (
    DIVERGED,
    GOOD,
    OSCILLATING,
    TRAPPED,
    Row,
    answer,
    job,
    result,
    slow,
)
from tuning.analysis.build import build_report, next_confirmations
from tuning.report.model import Report, RunFacts, Status
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult

RUN = RunFacts("job-1", "today", 1.0, 1.0, 1.0, 1, {})
UNKNOWN: dict[str, Any] = {"name": "made by hand", "parameters": 1, "known_minimum": None}
KNOWN: dict[str, Any] = {**UNKNOWN, "known_minimum": 0.0}


def report(
    search: list[SettingResult],
    spec: JobSpec,
    fresh: Sequence[Row] = (GOOD,),
    problem: dict[str, Any] = KNOWN,
) -> Report:
    results = list(search)
    while more := next_confirmations(spec, problem["known_minimum"], results):
        results += [answer(setting, fresh) for setting in more]
    return build_report(spec, problem, results, RUN)


def rates(*rows: tuple[float, Sequence[Row]]) -> list[SettingResult]:
    return [result(i, rate, (list(r) * 64)[:64]) for i, (rate, r) in enumerate(rows)]


STABLE = rates((0.01, [slow(1000)]), (0.1, [GOOD]), (0.5, [slow(100)]), (1.5, [DIVERGED]))


def test_a_winner_is_explained() -> None:
    found = report(STABLE, job(4))
    assert found.explanation == (
        "Of 3 settings that looked stable, without a failure up to 2 times their rate, this one "
        "has the least expected cost. Unstable on fresh starts were 0 of 128 at this rate, 0 of "
        "128 at 2 times it: P(unstable) is at most 5 % at 95 % confidence at the rate and at 2 "
        "times it."
    )
    assert found.warnings == ()


def test_a_winner_without_margin_by_validation() -> None:
    seen = [
        replace(r, restarts=replace(r.restarts, validation_loss=r.restarts.start_loss / (1 + i)))
        for i, r in enumerate(STABLE)
    ]
    found = report(seen, job(4, stability={"margin": 1, "choose_by": "validation"}))
    assert found.explanation == (
        "Of 3 settings that looked stable this one has the lowest validation loss. Unstable on "
        "fresh starts were 0 of 128 at this rate: P(unstable) is at most 5 % at 95 % confidence at "
        "the rate."
    )


def test_a_winner_after_others_is_explained() -> None:
    spec = job(4)
    results = list(STABLE)
    results += [answer(s, [OSCILLATING]) for s in next_confirmations(spec, 0.0, results)]
    while more := next_confirmations(spec, 0.0, results):
        results += [answer(s, [GOOD]) for s in more]
    found = build_report(spec, KNOWN, results, RUN)
    assert found.best_stable is not None
    assert found.best_stable.learning_rate == 0.01
    assert found.explanation.endswith(
        " 1 better candidate failed on fresh starts, which the confidence allows for."
    )


@pytest.mark.parametrize(
    ("search", "fresh", "explanation"),
    [
        (
            rates((0.1, [OSCILLATING, GOOD]), (0.2, [OSCILLATING])),
            GOOD,
            "No setting from 0.0001 to 10 is stable with a margin of 2: P(unstable) must be at "
            "most 5 % at 95 % confidence. The least unstable was gd at 0.1 with 32 of 64 restarts "
            "unstable. Set learning_rate.low = 1e-06, or allow more in [stability].",
        ),
        (
            rates((0.1, [GOOD]), (0.2, [GOOD])),
            OSCILLATING,
            "2 settings looked stable, but none held on fresh starts (1 tried). "
            "Set learning_rate.low = 1e-06, or allow more in [stability].",
        ),
    ],
)
def test_no_winner_is_explained(search: list[SettingResult], fresh: Row, explanation: str) -> None:
    found = report(search, job(2, stability={"target_loss": 0.1}), [fresh])
    assert found.best_stable is None
    assert found.explanation == explanation


def test_a_stable_rate_is_found_where_none_reached_the_target() -> None:
    worse = replace(TRAPPED, loss=2 * TRAPPED.loss)
    found = report(
        rates((0.1, [worse]), (0.2, [TRAPPED])),
        job(2, stability={"target_loss": 1e-3}),
        [TRAPPED],
    )
    assert found.best_stable is not None
    assert found.best_stable.learning_rate == 0.2  # the lower mean loss
    assert found.best_stable.cost is None
    assert "none that held reached the target loss in time" in found.explanation


UNDECIDED = replace(GOOD, point="undetermined", basin_loss=0.7)
STEEP = replace(GOOD, largest=200.0)


@pytest.mark.parametrize(
    ("search", "problem", "warning"),
    [
        (
            [*STABLE[2::-1], result(3, 0.05, [slow(1000)] * 64)],
            KNOWN | {"task_was_guessed": True, "task": "classification", "guess_reason": "text"},
            "The task was guessed: classification, text. "
            'Set problem.task = "classification" if it is right.',
        ),
        (
            rates((0.01, [slow(100)]), (0.1, [GOOD]), (0.05, [slow(100)]), (0.02, [slow(100)])),
            KNOWN,
            "The best rate is the highest that was tried: set learning_rate.high = 1e+03.",
        ),
        (
            rates((0.01, [GOOD]), (0.1, [slow(100)]), (0.05, [slow(100)]), (0.02, [slow(100)])),
            KNOWN,
            "The best rate is the lowest that was tried: set learning_rate.low = 1e-06.",
        ),
        (
            rates((0.01, [DIVERGED, GOOD]), (0.1, [GOOD]), (0.5, [slow(100)]), (1.5, [DIVERGED])),
            KNOWN,
            "A lower rate than the best one failed: 0.01. "
            "The boundary of stability is ragged here: set learning_rate.high = 0.01 to stay below "
            "it.",
        ),
        (
            rates((0.01, [GOOD]), (1.0, [DIVERGED]), (2.0, [OSCILLATING]), (3.0, [DIVERGED])),
            KNOWN,
            "In 3 of 4 settings most restarts were unstable: set learning_rate.high = 1.",
        ),
        (
            [*STABLE[:3], result(3, 0.3, [UNDECIDED] * 32 + [slow(100)] * 32)],
            KNOWN,
            "32 of 256 restarts are not judged: the bottom below them is known too little to tell "
            "trapped from not. Set training.steps = 8000, or outcomes.polish_budget = 4.",
        ),
        (
            [result(0, 0.01, [replace(GOOD, basin_loss=-0.005), *[GOOD] * 63]), *STABLE[1:]],
            UNKNOWN,
            # Start 0 alone found -0.005, and 0 is within 0.01 of it.
            "J* is the best that was found, and half of the starts did not find it: more of them "
            "may find a lower one. If it fell by the tolerance, 100 % of the labels would change. "
            "Compare the trapped rates by tolerance, or set training.restarts = 128.",
        ),
        (
            STABLE,
            UNKNOWN,
            "The global minimum is not known: labels are relative to the best one found by this "
            "job. If it is known, let the problem say its known_minimum.",
        ),
        (
            STABLE,
            KNOWN | {"known_minimum": 5.0},
            "The problem's known_minimum, 5, is not its minimum: lower losses were found. "
            "Labels are relative to the best one found by this job. Correct it, or make it None.",
        ),
        (
            [
                result(i, rate, [replace(STEEP, path=(0.0,) * 3)] * 64)
                for i, rate in enumerate((0.005, 0.02, 0.1, 0.3))
            ],
            KNOWN,
            # gd on a bowl of curvature 200 is unstable from 2 / 200 on.
            "gd seems stable up to 0.3, though the flattest minimum found allows only 0.01: "
            "restarts may be far from any minimum still. Set training.steps = 8000.",
        ),
    ],
)
def test_each_warning_has_its_case(
    search: list[SettingResult], problem: dict[str, Any], warning: str
) -> None:
    renumbered = [replace(r, setting=replace(r.setting, number=i)) for i, r in enumerate(search)]
    assert warning in report(renumbered, job(4), [STEEP], problem).warnings
    assert warning not in report(STABLE, job(4)).warnings


def test_theory_forbids_nothing_where_a_minimum_is_flat() -> None:
    """How sharp it is in the other directions changes along the flat ones."""
    flat = replace(STEEP, path=(0.0,) * 3, point="flat")
    search = [result(i, rate, [flat] * 64) for i, rate in enumerate((0.005, 0.02, 0.1, 0.3))]
    warnings = report(search, job(4), [STEEP], KNOWN).warnings
    assert not [warning for warning in warnings if "seems stable" in warning]


def test_few_restarts_are_warned_of() -> None:
    spec = job(1, training={"restarts": 8})
    found = report([result(0, 0.1, [GOOD] * 8)], spec)
    assert found.best_stable is not None
    assert found.best_stable.unstable.total == 128
    assert found.warnings[0] == (
        "8 restarts cannot show P(unstable) <= 5 %; 59 can: set training.restarts = 59. "
        "Candidates were those without one unstable restart, and fresh starts decide."
    )


def test_a_confirmation_that_cannot_be_is_warned_of() -> None:
    """ln(0.04) / ln(0.999) = 3,217.3."""
    spec = job(3, stability={"max_unstable": 0.001})
    found = report(STABLE[:3], spec)
    assert found.confirmations == ()
    assert found.warnings[1] == (
        "512 fresh starts cannot show P(unstable) <= 0.1 %, so nothing is confirmed; 3218 can: set "
        "stability.confirm = 3218."
    )
    assert found.explanation == (
        "Not confirmed: of 3 settings that looked stable, without a failure up to 2 times their "
        "rate, this one has the least expected cost. 512 fresh starts are too few to confirm any. "
        "By its own 64 restarts P(unstable) is at most 4.6 % at 95 % confidence, which does not "
        "allow for its having been chosen."
    )


@pytest.mark.parametrize(
    ("confirm", "why"),
    [
        (512, "2 better candidates failed on fresh starts, and no more than 2 are tried."),
        (80, "1 better candidate failed on fresh starts, and 60 more are too few for another."),
    ],
)
def test_a_rate_that_only_looks_stable_is_said_to(confirm: int, why: str) -> None:
    spec = job(4, stability={"confirm": confirm})
    search = rates((0.01, [slow(1000)]), (0.1, [slow(100)]), (0.5, [GOOD]), (1.5, [DIVERGED]))
    found = report(search, spec, [OSCILLATING])
    assert found.best_stable is not None
    assert found.best_stable.status is Status.LOOKS_STABLE
    assert found.best_stable.learning_rate == (0.01 if confirm == 512 else 0.1)
    assert found.explanation.startswith("Not confirmed: of 3 settings that looked stable")
    assert f"the least expected cost of those left. {why} By its own 64" in found.explanation


def test_a_report_of_a_job_that_has_only_begun() -> None:
    """Two optimizers, and so far a result of one."""
    spec = job(4, search={"optimizers": ["gd", "adam"]})
    found = build_report(spec, KNOWN, STABLE[:1], RUN)
    assert len(found.settings) == 1
    assert set(found.cliffs) == {"gd"}
    assert found.best_stable is None


def test_where_nothing_is_learned_no_rate_is_recommended() -> None:
    idle = replace(GOOD, loss=1.0, basin_loss=1.0, path=(1.0,) * 3)  # where it began
    search = [result(i, 0.1 * (i + 1), [idle] * 64) for i in range(4)]
    found = report(search, job(4), [idle], UNKNOWN)
    assert found.best_stable is None
    assert found.explanation.startswith("No restart came materially below the median loss")
