"""The search for the cliff as the coordinator carries it out: one answer, whatever happens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.made_results import same
from tests.support.thresholds import Starts, carry_out
from trainers.errors import InvalidInput
from tuning.analysis.running_labels import RunningLabels
from tuning.spec.job import JobSpec, read_spec
from tuning.trial.result import Bought, SettingResult, bought_of, of_role
from tuning.trial.setting import Role


def spec_of(*optimizers: str, high: float = 10.0, **budget: float) -> JobSpec:
    return read_spec(
        {
            "problem": {"name": "single-weight"},
            "search": {
                "sampler": "cliff",
                "optimizers": list(optimizers or ("gd", "momentum")),
                "learning_rate": {"low": high / 1e4, "high": high},
            },
            "budget": budget,
            "stability": {"margin": 1.5, "confirm": 128},
        }
    )


def equal(a: Sequence[SettingResult], b: Sequence[SettingResult]) -> bool:
    """But for when time ended the search, which no budget in restarts knows."""
    timeless = [[replace(r, bought=None) for r in results] for results in (a, b)]
    return len(a) == len(b) and all(map(same, *timeless))


STARTS = Starts("logistic", 1)
WHOLE = carry_out(spec_of(), STARTS)


def test_each_round_has_blocks_of_two_starts_and_more_and_no_training_is_made_twice() -> None:
    searched = [r.setting for r in WHOLE if r.setting.role.is_search]
    assert {Role.SEARCH, Role.PROBE} == {s.role for s in searched}
    pairs = [(s.optimizer, s.learning_rate, start) for s in searched for start in s.starts]
    assert len(set(pairs)) == len(pairs)
    assert min(len(s.starts) for s in searched) >= 2
    assert sum(len(s.starts) for s in searched) <= 2 * 384
    # Rates that people can type again.
    assert all(float(f"{s.learning_rate:.4g}") == s.learning_rate for s in searched)
    # Fresh starts are of no use to the search.
    fresh = [r.setting for r in WHOLE if not r.setting.role.is_search]
    assert fresh
    assert min(min(s.starts) for s in fresh) > max(max(s.starts) for s in searched)


def test_what_was_told_is_labelled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """`RunningLabels` begins anew where a result is another object than before."""
    begun: list[RunningLabels] = []
    begin = RunningLabels._begin

    def count(labels: RunningLabels) -> None:
        begun.append(labels)
        begin(labels)

    monkeypatch.setattr(RunningLabels, "_begin", count)
    carry_out(spec_of(minutes=5.0), STARTS, affordable=1_000)
    assert len(begun) == 2  # when it was made, and when the last one was told what time had bought


@pytest.mark.parametrize("told", [0, 1, 5, 17, 40, 63, 81, len(WHOLE) - 1])
def test_a_crash_changes_nothing(told: int) -> None:
    before = carry_out(spec_of(), STARTS, until=told) if told else []
    assert equal(before, WHOLE[:told])
    assert equal(carry_out(spec_of(), STARTS, before), WHOLE)


@pytest.mark.parametrize("seed", range(4))
def test_nor_does_the_order_in_which_tasks_end(seed: int) -> None:
    assert equal(carry_out(spec_of(), STARTS, order=random.Random(seed)), WHOLE)


def by_restarts(bought: Bought, high: float = 10.0) -> JobSpec:
    return spec_of(high=high, restarts=bought.restarts + 2 * bought.fresh, fresh=bought.fresh)


@pytest.mark.parametrize("when", [3, 24, 60])
def test_what_time_bought_is_bought_by_as_many_restarts(when: int) -> None:
    """And a search that time ended goes on after a crash as if it had not."""
    by_time = carry_out(spec_of(minutes=5.0), STARTS, out_of_time_at=when)
    bought = bought_of(by_time)
    assert bought is not None
    assert equal(carry_out(by_restarts(bought), STARTS), by_time)
    searched = sum(len(r.restarts) for r in by_time if r.setting.role.is_search)
    assert searched <= bought.restarts
    for told in (len(by_time) - 1, len(by_time) // 2):
        if any(result.bought for result in by_time[:told]):
            assert equal(carry_out(spec_of(minutes=5.0), STARTS, by_time[:told]), by_time)


@pytest.mark.parametrize(
    ("affordable", "bought"),
    [
        (100, Bought(270, 0)),  # the least search there is
        (400, Bought(400, 0)),
        # 63 fresh starts at least, at two rates, and 64 of the other optimizer's best, beside the
        # default search of 768.
        (768 + 189, Bought(957, 0)),
        (768 + 191, Bought(768, 63)),
        (768 + 264, Bought(768, 100)),
        (768 + 320, Bought(768, 128)),
        (1_100, Bought(780, 128)),
        (3_000, Bought(2_680, 128)),
        (20_000, None),  # it ends before
    ],
)
def test_time_is_used_and_not_overrun(affordable: int, bought: Bought | None) -> None:
    by_time = carry_out(spec_of(minutes=5.0), STARTS, affordable=affordable)
    assert bought_of(by_time) == bought
    trained = sum(len(r.restarts) for r in by_time)
    if bought is None:
        return
    assert trained <= max(affordable, 270)
    if affordable >= 270:
        assert trained > 0.8 * affordable  # what is kept back for the ends is not used up
    assert equal(carry_out(by_restarts(bought), STARTS), by_time)
    confirmed = of_role(by_time, Role.CONFIRMATION)
    assert sum(len(r.restarts) for r in confirmed) <= 2 * bought.fresh


def test_a_search_that_ends_by_itself_leaves_time_for_some_fresh_starts() -> None:
    """All rates are stable: that takes 240 restarts or so."""
    spec = spec_of(high=1e-3, minutes=5.0)
    found = {n: carry_out(spec, STARTS, affordable=n) for n in (520, 10_000)}
    some, all_of_them = bought_of(found[520]), bought_of(found[10_000])
    assert all_of_them is None
    assert some is not None
    assert some.restarts == spec.default_restarts
    assert 63 <= some.fresh < 128
    assert sum(len(r.restarts) for r in found[520]) <= 520
    assert equal(carry_out(by_restarts(some, high=1e-3), STARTS), found[520])
    assert any(r.setting.role is Role.CONFIRMATION for r in found[520])


def test_time_that_ends_after_the_search_changes_nothing() -> None:
    searched = sum(r.setting.role.is_search for r in WHOLE)
    late = carry_out(spec_of(restarts=1152), STARTS, out_of_time_at=searched)
    assert equal(late, carry_out(spec_of(restarts=1152), STARTS))
    assert bought_of(late) is None


def test_a_study_of_another_job_is_refused() -> None:
    with pytest.raises(
        InvalidInput, match=r"trial \d of the study is not what this job tries there"
    ):
        carry_out(spec_of("gd", "adam", "rmsprop"), STARTS, list(reversed(WHOLE[:3])))
