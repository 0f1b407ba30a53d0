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
from tuning.analysis.build import next_confirmations
from tuning.analysis.confirmation import Trial
from tuning.analysis.cost import expected_running_time
from tuning.analysis.recommendation import Verdict, judge, starts_needed
from tuning.analysis.stability import Counts
from tuning.analysis.target import find_target
from tuning.spec.job import JobSpec
from tuning.statistics.sequential import sequential_test
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
    """Of those that were confirmed."""
    if verdict.confirmed is None:
        return None
    assert verdict.best is verdict.confirmed.candidate
    return verdict.best.setting.number


def numbers(trial: Trial | None) -> list[int]:
    """Of its results on fresh starts, one a rate."""
    return [] if trial is None else [one.result.setting.number for one in trial.rates]


# --------------------------------------------------------------------------------------- stability


def test_what_64_restarts_can_show() -> None:
    """0 of 64 bounds P(unstable) by 1 - 0.05^(1/64) = 4.57 %; 1 of 64 does not reach 5 %."""
    spec = job()
    none = good(0, 0.1)
    assert Counts.of(none).upper(0.95) == pytest.approx(1 - 0.05 ** (1 / 64), rel=1e-12)
    assert Counts.of(none).looks_stable(spec)
    assert not Counts.of(bad(0, 0.1, unstable=1)).looks_stable(spec)
    assert not Counts.of(result(0, 0.1, [OSCILLATING] + 63 * [GOOD])).looks_stable(spec)
    lenient = job(stability={"max_unstable": 0.1})
    assert Counts.of(bad(0, 0.1, unstable=1)).looks_stable(lenient)


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
        setting(4, 0.1, role=Role.CONFIRMATION, first=64, restarts=128),
        setting(5, 0.2, role=Role.CONFIRMATION, first=64, restarts=128),
    ]
    assert numbers(verdict.confirmed) == [4, 5]


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
    assert numbers(verdict.confirmed) == [2]


# ------------------------------------------------------------------------------------ confirmation


def looks(asked: Sequence[Setting]) -> list[tuple[float, int, int]]:
    """Of each setting that was asked for: its rate, its first start and how many."""
    return [(s.learning_rate, s.starts[0], len(s.starts)) for s in asked]


def one_in(count: int, row: Row = OSCILLATING) -> list[Row]:
    """The last of `count` restarts is unstable, over and over again."""
    return [GOOD] * (count - 1) + [row]


def test_each_rate_goes_on_until_it_is_accepted() -> None:
    """2 of 128, 4 of 256: none may be unstable of 128, but 5 of 256. The rate itself needs 128."""
    truth = {0.1: [GOOD], 0.2: one_in(64)}
    verdict, asked = play([good(0, 0.1)], job(1), lambda s: truth[s.learning_rate])
    assert looks(asked) == [(0.1, 64, 128), (0.2, 64, 128), (0.2, 192, 128)]
    assert winner(verdict) == 0
    assert verdict.confirmed is not None
    assert [one.failures for one in verdict.confirmed.rates] == [(0,), (2, 4)]
    assert (verdict.confirmed.look, verdict.confirmed.starts) == (2, 256)
    at, above = (one.bound for one in verdict.confirmed.rates)
    assert at == pytest.approx(1 - 0.04 ** (1 / 128), rel=1e-9)  # as Clopper and Pearson at 96 %
    assert at < above <= 0.05


def test_it_is_heard_out_to_the_last_look_and_refused_above_its_number() -> None:
    """1 of 32 is 16 of 512, which is as many as may be; 1 of 30 is 17."""
    spec = job(1, stability={"margin": 1})
    verdict, asked = play([good(0, 0.1)], spec, lambda _: one_in(32))
    assert winner(verdict) == 0
    assert looks(asked) == [(0.1, 64 + 128 * i, 128) for i in range(4)]
    # Asked look by look, each begins anew: 4 of 128.
    verdict, asked = play([good(0, 0.1)], spec, lambda s: one_in(32 - (s.starts[0] == 448) * 7))
    assert winner(verdict) is None
    (refused,) = verdict.refused
    assert [one.failures for one in refused.rates] == [(4, 8, 12, 17)]


def test_after_a_failed_confirmation_the_next_candidate_is_tried() -> None:
    """0.4 fails at twice its rate. 0.5, the next cheapest, is no safer; 0.2 may be. It has starts
    of its own, what is left of the 512 and what is left of the error."""
    spec = job(4, search={"optimizers": ["gd", "adam"]})
    search = [
        good(0, 0.4, 10),
        good(1, 0.5, 100, optimizer=0),
        good(2, 0.45, 1000, optimizer=1),
        good(3, 0.2, 1000),
    ]
    verdict, asked = play(search, spec, lambda s: [DIVERGED] if s.learning_rate > 0.7 else [GOOD])
    assert looks([s for s in asked if s.role is Role.CONFIRMATION]) == [
        (0.4, 64, 128),
        (0.8, 64, 128),
        (0.2, 192, 96),
        (0.4, 192, 96),
        (0.2, 288, 96),
        (0.4, 288, 96),
    ]
    assert winner(verdict) == 3
    assert verdict.confirmed is not None
    test = verdict.confirmed.rates[0].test
    first = sequential_test(512, 0.05, 0.8 * (1 - 0.95))
    assert test == sequential_test(384, 0.05, (1 - 0.95) - first.size)
    (refused,) = verdict.refused
    assert refused.candidate.setting.number == 0
    assert [one.test for one in refused.rates] == [first] * 2
    assert [one.failures for one in refused.rates] == [(0,), (128,)]
    # 0.4 had more fresh starts for the second one, which are joined with those of the first.
    assert numbers(verdict.confirmed) == [6, 7]


def test_asked_after_any_result_it_asks_for_the_rest() -> None:
    """A coordinator that was killed asks with the study's prefix: through refusal, a second try and
    looks at which only one of the two rates goes on."""
    # 2, 4 of 128, 256 are accepted, 6, 12, 18 refused; of the 128 that are left, 96 decide.
    truth = {0.4: one_in(64), 0.8: one_in(20), 0.2: one_in(100), 0.1: [GOOD]}
    spec = job(2, search={"optimizers": ["gd", "adam"]})
    results = [good(0, 0.4, 10), good(1, 0.1, 100)]
    while more := next_confirmations(spec, 0.0, results):
        results += [answer(s, truth[s.learning_rate]) for s in more]
    verdict = judge(results, labels_of(results[:2], spec), spec)
    assert winner(verdict) == 1
    assert [trial.look for trial in (*verdict.refused, verdict.confirmed) if trial] == [3, 3]
    back = [SettingResult.from_json(r.to_json()) for r in results]
    for told in range(2, len(results)):
        wanted = next_confirmations(spec, 0.0, back[:told])
        assert wanted == [r.setting for r in results[told : told + len(wanted)]]
        assert wanted
        unfinished = judge(back[:told], labels_of(back[:2], spec), spec)
        assert unfinished.best is None


def test_a_study_that_an_earlier_version_finished_is_judged_by_the_new_rule() -> None:
    """It tried each of two candidates on 59 starts, once; now the first look is at 128."""
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
    assert {len(s.starts) for s in verdict.next} == {128}


def test_none_may_hold() -> None:
    search = [good(0, 0.1), good(1, 0.01)]
    verdict, asked = play(search, job(2), lambda _: [OSCILLATING])
    assert verdict.best is None
    assert [trial.candidate.setting.number for trial in verdict.refused] == [1]
    assert [s.learning_rate for s in asked] == [0.01, 0.02]


def test_a_third_is_not_tried_and_told_without_it() -> None:
    search = [good(0, 0.4, 10), good(1, 0.2, 100), good(2, 0.1, 1000)]
    verdict, asked = play(search, job(3), lambda _: [DIVERGED])
    assert [trial.candidate.setting.number for trial in verdict.refused] == [0, 1]
    assert [s.learning_rate for s in asked] == [0.4, 0.8, 0.2, 0.4]
    assert verdict.confirmed is None
    assert verdict.best is search[2]


def test_where_fresh_starts_cannot_confirm_the_best_is_told_without() -> None:
    """62 can show 5 % to nobody at 96 %, 63 can."""
    search = [good(0, 0.1, 10), good(1, 0.01, 100)]
    spec = job(2, stability={"confirm": 62})
    assert starts_needed(spec) == 63
    verdict, asked = play(search, spec)
    assert asked == []
    assert (verdict.best, verdict.confirmed, verdict.refused) == (search[0], None, ())
    assert winner(play(search, job(2, stability={"confirm": 63}))[0]) == 0


def test_a_single_fresh_start_is_not_asked_for() -> None:
    """One could confirm P(unstable) <= 97 %, but two are trained together."""
    spec = job(1, stability={"confirm": 1, "max_unstable": 0.97})
    assert starts_needed(spec) == 2
    assert play([good(0, 0.1)], spec)[1] == []


def test_no_second_try_where_too_few_are_left() -> None:
    """Of 80, 20 are gone at the first look. 60 could show 5 % at an error of 4.6 %; what the first
    test of 80 leaves is 0.05 - 0.95^80 = 3.3 %."""
    search = [good(0, 0.4, 10), good(1, 0.1, 100)]
    spec = job(2, stability={"confirm": 80, "margin": 1})
    verdict, asked = play(search, spec, lambda _: [DIVERGED])
    assert looks(asked) == [(0.4, 64, 20)]
    assert verdict.best is search[1]
    # Of 90 there are 67 left after the first look, which 0.05 - 0.95^90 = 4 % would allow.
    more, asked = play(search, job(2, stability={"confirm": 90, "margin": 1}), lambda _: [DIVERGED])
    assert len(more.refused) == 2


def test_trials_of_one_setting_are_judged_as_one() -> None:
    """Its fresh starts are numbered after all those that any setting of the search has."""
    first = result(0, 0.1, [slow(10)] * 32)
    second = result(1, 0.1, [slow(10)] * 31 + [DIVERGED], first=40)
    other = result(2, 0.01, [slow(100)] * 64)
    verdict, asked = play([first, second, other], job(3))
    assert verdict.candidates == 1  # 1 of 64 is too many for a bound of 5 %
    assert winner(verdict) == 2
    assert asked[0].starts[0] == 72


def test_with_too_few_restarts_the_confirmation_decides() -> None:
    """8 restarts cannot show 5 %; 128 can."""
    spec = job(2, training={"restarts": 8})
    search = [result(0, 0.1, [GOOD] * 8), result(1, 0.01, [OSCILLATING] + [GOOD] * 7)]
    verdict, asked = play(search, spec)
    assert winner(verdict) == 0
    assert verdict.candidates == 1
    assert [s.starts for s in asked] == [tuple(range(8, 8 + 128))] * 2
    assert winner(play(search, spec, lambda _: one_in(8))[0]) is None


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
