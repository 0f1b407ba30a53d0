"""The verdict on results with a known truth: who qualifies, who is cheapest, who is confirmed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.made_results import (
    DIVERGED,
    GOOD,
    OSCILLATING,
    STEPS,
    TRAPPED,
    Row,
    answer,
    job,
    result,
    setting,
    slow,
)
from tuning.analysis.basin_labels import Labels
from tuning.analysis.cost import expected_running_time
from tuning.analysis.recommendation import Verdict, find_target, judge
from tuning.analysis.stability import is_stable, upper_bound
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role, Setting

Truth = Callable[[Setting], Sequence[Row]]


def good(number: int, rate: float, steps: int = 10, optimizer: int = 0) -> SettingResult:
    """64 restarts that reach the minimum at checkpoint `steps`."""
    return result(number, rate, [slow(steps)] * 64, optimizer=optimizer)


def bad(number: int, rate: float, unstable: int = 64, optimizer: int = 0) -> SettingResult:
    rows = [DIVERGED] * unstable + [GOOD] * (64 - unstable)
    return result(number, rate, rows, optimizer=optimizer)


def labels_of(search: Sequence[SettingResult], spec: JobSpec, known: float | None = 0.0) -> Labels:
    return Labels.of(search, known, spec.thresholds)


def play(
    search: list[SettingResult], spec: JobSpec, truth: Truth = lambda _: [GOOD]
) -> tuple[Verdict, list[Setting]]:
    """Confirm, one setting at a time, until the verdict is final; and what was asked for."""
    results, asked = list(search), list[Setting]()
    while (verdict := judge(results, labels_of(search, spec), spec)).next:
        assert [s.number for s in verdict.next] == [
            len(results) + i for i in range(len(verdict.next))
        ]
        asked.append(verdict.next[0])
        results.append(answer(verdict.next[0], truth(verdict.next[0])))
    return verdict, asked


def winner(verdict: Verdict) -> int | None:
    return None if verdict.best is None else verdict.best.setting.number


# --------------------------------------------------------------------------------------- stability


def test_what_64_restarts_can_show() -> None:
    """0 of 64 bounds P(unstable) by 1 - 0.05^(1/64) = 4.57 %; 1 of 64 does not reach 5 %."""
    spec = job()
    none = good(0, 0.1)
    assert upper_bound(none, spec) == pytest.approx(1 - 0.05 ** (1 / 64), rel=1e-12)
    assert is_stable(none, spec)
    assert not is_stable(bad(0, 0.1, unstable=1), spec)
    assert not is_stable(result(0, 0.1, [OSCILLATING] + 63 * [GOOD]), spec)
    assert is_stable(bad(0, 0.1, unstable=1), job(stability={"max_unstable": 0.1}))


# -------------------------------------------------------------------------------------------- cost


@given(
    st.lists(st.tuples(st.integers(0, len(STEPS)), st.integers(-1, 999)), min_size=1, max_size=20)
)
@settings(max_examples=60)
def test_cost_is_steps_spent_for_each_success(kinds: list[tuple[int, int]]) -> None:
    """Reference: add up restart by restart. `kinds`: checkpoint of success (beyond: none), and step
    of divergence (-1: none)."""
    rows, spent, reached = [], 0, 0
    for at, left in kinds:
        path = tuple(0.0 if k >= at else 1.0 for k in range(1, len(STEPS)))
        kind = "diverged" if left >= 0 else "descending"
        start = 0.0 if at == 0 else 1.0
        rows.append(Row(start=start, dynamics=kind, diverged_at=left, path=path))
        if at < len(STEPS):
            reached += 1
            spent += STEPS[at]
        else:
            spent += left if left >= 0 else STEPS[-1]
    wanted = spent / reached if reached else math.inf
    assert expected_running_time(result(0, 0.1, rows), 0.5) == (wanted, reached)


def test_the_winner_is_the_cheapest_stable_setting() -> None:
    search = [good(0, 0.01, 1000), good(1, 0.1, 100), bad(2, 1.0), bad(3, 3.0)]
    verdict, asked = play(search, job())
    assert winner(verdict) == 1
    assert verdict.candidates == 2
    assert verdict.refused == ()
    assert asked == [
        setting(4, 0.1, role=Role.CONFIRMATION, first=64, restarts=64),
        setting(5, 0.2, role=Role.CONFIRMATION, first=64, restarts=64),
    ]
    assert [r.setting.number for r in verdict.confirmed] == [4, 5]


def test_fast_but_trapped_loses_to_slow_but_right() -> None:
    """A rate at which every restart is trapped has infinite cost, however stable it is."""
    trapped = result(0, 0.1, [TRAPPED] * 64)
    some = result(1, 0.05, [slow(100)] * 16 + [TRAPPED] * 48)
    verdict, _ = play([trapped, some], job(2))
    assert winner(verdict) == 1
    # 16 spent 100 steps each and 48 all 1000, for 16 successes.
    assert expected_running_time(some, verdict.target.loss) == ((16 * 100 + 48 * 1000) / 16, 16)
    assert expected_running_time(trapped, verdict.target.loss) == (math.inf, 0)


def test_equal_costs_go_to_the_lower_rate() -> None:
    assert winner(play([good(0, 0.2), good(1, 0.1)], job(2))[0]) == 1


# ------------------------------------------------------------------------------------------ margin


@pytest.mark.parametrize(
    ("failing", "optimizer", "candidates"),
    [(0.15, 0, 0), (0.2, 0, 0), (0.1, 0, 0), (0.21, 0, 1), (0.09, 0, 1), (0.15, 1, 1)],
)
def test_a_rate_is_refused_where_its_margin_is_known_to_fail(
    failing: float, optimizer: int, candidates: int
) -> None:
    """The margin is 2: from 0.1 to 0.2, by the same optimizer."""
    spec = job(2, search={"optimizers": ["gd", "adam"]})
    search = [good(0, 0.1), bad(1, failing, optimizer=optimizer)]
    assert judge(search, labels_of(search, spec), spec).candidates == candidates


def test_a_few_unstable_restarts_above_are_no_known_failure() -> None:
    """5 of 64 has a lower bound of 3 %: it may well be stable, and the confirmation will tell."""
    search = [good(0, 0.1), bad(1, 0.2, unstable=5)]
    assert winner(play(search, job(2))[0]) == 0


def test_without_margin_one_confirmation_is_enough() -> None:
    spec = job(2, stability={"margin": 1})
    verdict, asked = play([good(0, 0.1), bad(1, 0.15)], spec)
    assert winner(verdict) == 0
    assert [(s.number, s.learning_rate) for s in asked] == [(2, 0.1)]
    assert len(verdict.confirmed) == 1


# ------------------------------------------------------------------------------------ confirmation


def test_after_a_failed_confirmation_the_next_candidate_is_tried() -> None:
    """0.4 fails at twice its rate. 0.5, the next cheapest, is no safer; 0.45 of adam may be."""
    spec = job(4, search={"optimizers": ["gd", "adam"]})
    search = [
        good(0, 0.4, 10),
        good(1, 0.5, 100, optimizer=0),
        good(2, 0.45, 1000, optimizer=1),
        good(3, 0.2, 1000),
    ]
    verdict, asked = play(search, spec, lambda s: [DIVERGED] if s.learning_rate > 0.7 else [GOOD])
    rates = [(s.optimizer, s.learning_rate) for s in asked if s.role is Role.CONFIRMATION]
    assert rates == [(0, 0.4), (0, 0.8), (0, 0.2), (0, 0.4)]
    assert winner(verdict) == 3
    ((refused, trials),) = verdict.refused
    assert refused.setting.number == 0
    assert [r.setting.learning_rate for r in trials] == [0.4, 0.8]


def test_what_two_candidates_need_is_trained_once() -> None:
    """300 restarts are enough for both, and 0.4 is margin times 0.2."""
    spec = job(2, training={"restarts": 300})
    search = [result(0, 0.4, [slow(10)] * 300), result(1, 0.2, [slow(1000)] * 300)]
    verdict, asked = play(search, spec, lambda s: [DIVERGED] if s.learning_rate > 0.7 else [GOOD])
    assert [s.learning_rate for s in asked] == [0.4, 0.8, 0.2]
    assert winner(verdict) == 1
    assert [r.setting.number for r in verdict.confirmed] == [4, 2]


def test_a_study_that_an_earlier_version_finished_is_judged_by_the_new_rule() -> None:
    """It tried each of two candidates at the whole level, on 59 starts; now the first needs 63."""
    spec = job(2, training={"restarts": 8}, search={"optimizers": ["gd", "adam"]})
    search = [result(i, 0.1, [slow(10**i)] * 8, optimizer=i) for i in range(2)]
    trials = [
        setting(2 + i, r, role=Role.CONFIRMATION, first=8, restarts=59)
        for i, r in enumerate((0.1, 0.2))
    ]
    results = [*search, *(answer(s, [GOOD]) for s in trials)]
    back = [SettingResult.from_json(r.to_json()) for r in results]
    verdict = judge(back, labels_of(search, spec), spec)
    assert winner(verdict) is None
    assert [s.number for s in verdict.next] == [4, 5]
    assert {len(s.starts) for s in verdict.next} == {63}


def test_none_may_hold() -> None:
    search = [good(0, 0.1), good(1, 0.01)]
    verdict, asked = play(search, job(2), lambda _: [OSCILLATING])
    assert winner(verdict) is None
    assert [r.setting.number for r, _ in verdict.refused] == [1]
    assert [s.learning_rate for s in asked] == [0.01, 0.02]


def test_none_may_qualify() -> None:
    verdict, asked = play([bad(0, 0.1), bad(1, 0.01, unstable=9)], job(2))
    assert (winner(verdict), verdict.candidates, asked) == (None, 0, [])


def test_with_too_few_restarts_the_confirmation_decides() -> None:
    """8 restarts cannot show 5 %; 59 can: 0 of 59 is bounded by 4.95 %."""
    spec = job(2, training={"restarts": 8})
    search = [result(0, 0.1, [GOOD] * 8), result(1, 0.01, [OSCILLATING] + [GOOD] * 7)]
    verdict, asked = play(search, spec)
    assert winner(verdict) == 0
    assert verdict.candidates == 1
    assert [s.starts for s in asked] == [tuple(range(8, 8 + 59))] * 2
    assert winner(play(search, spec, lambda _: [OSCILLATING] + [GOOD] * 58)[0]) is None


# ------------------------------------------------------------------------------------------ target


def test_the_users_target_comes_first() -> None:
    spec = job(2, stability={"target_loss": 0.6})
    search = [result(0, 0.1, [slow(10, TRAPPED)] * 64), good(1, 0.2, 100)]
    verdict, _ = play(search, spec)
    assert verdict.target.loss == 0.6
    assert "target_loss" in verdict.target.origin
    assert winner(verdict) == 0


@pytest.mark.parametrize(
    ("known", "origin"), [(0.0, "the known global minimum"), (None, "the lowest minimum")]
)
def test_the_target_is_the_global_minimum_with_its_tolerance(
    known: float | None, origin: str
) -> None:
    spec, search = job(1), [good(0, 0.1)]
    target = find_target(search, labels_of(search, spec, known), spec)
    assert target.loss == pytest.approx(1e-2 if known is None else 1e-3, rel=1e-9)
    assert target.origin.startswith(origin)


def test_where_nobody_comes_there_in_time_the_best_tenth_of_the_losses_is_the_target() -> None:
    spec = job(2)
    losses = np.linspace(0.2, 0.9, 128)
    rows = [replace(GOOD, loss=float(loss)) for loss in losses]
    search = [result(0, 0.1, rows[:64]), result(1, 0.01, rows[64:])]
    verdict, _ = play(search, spec)
    assert verdict.target.loss == np.quantile(losses, 0.1, method="higher")
    assert verdict.target.origin.startswith("the best tenth")
    assert expected_running_time(search[0], verdict.target.loss)[1] == 14  # ceil(0.1 * 127) + 1
    assert winner(verdict) == 0


@pytest.mark.parametrize("loss", [0.1, 1 / 3, 0.7, 1e-7])
def test_a_target_that_is_a_loss_is_reached_by_it(loss: float) -> None:
    """Losses are kept as float32: half of all doubles round up."""
    search = [result(0, 0.1, [replace(GOOD, loss=loss, basin_loss=-1.0)] * 64)]
    verdict, _ = play(search, job(1, stability={"target_loss": loss}))
    assert winner(verdict) == 0


def test_a_choice_by_validation() -> None:
    def seen(number: int, rate: float, losses: list[float], steps: int) -> SettingResult:
        row = slow(steps)
        rows = [replace(row, validation=losses[i % len(losses)]) for i in range(64)]
        return result(number, rate, rows)

    search = [
        seen(0, 0.1, [0.9], steps=10),
        seen(1, 0.05, [0.2, 0.3, math.nan], steps=1000),  # median 0.25, of those that have one
        seen(2, 0.02, [math.nan], steps=10),
    ]
    assert winner(play(search, job(3, stability={"choose_by": "validation"}))[0]) == 1
    assert winner(play(search, job(3))[0]) == 2  # as cheap as 0, at a lower rate
