"""A search by whole settings within a budget."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.made_results import same
from tests.support.thresholds import Starts, carry_out
from tuning.spec.job import JobSpec, read_spec
from tuning.trial.result import Bought, SettingResult, bought_of, of_role
from tuning.trial.setting import Role


def spec_of(in_flight: int = 3, **budget: Any) -> JobSpec:
    return read_spec(
        {
            "problem": {"name": "single-weight"},
            "search": {"sampler": "random", "settings": 40, "in_flight": in_flight},
            "training": {"restarts": 16, "steps": 100},
            "budget": budget,
            "stability": {"confirm": 64, "margin": 1.0},
        }
    )


def searched(results: list[SettingResult]) -> int:
    return len(of_role(results, Role.SEARCH))


@pytest.mark.parametrize(
    ("budget", "settings", "confirmed"),
    [
        ({}, 40, True),
        ({"settings": 7}, 7, True),
        ({"restarts": 10**6}, 40, True),
        # 64 of them are kept for the confirmation.
        ({"restarts": 464}, 25, True),
        ({"steps": 46_400}, 25, True),
        ({"restarts": 464, "settings": 9}, 9, True),
        # Less than the default search of the cliff and a confirmation: a search it is, and no more.
        ({"restarts": 160}, 10, False),
        ({"restarts": 1}, 1, False),
    ],
)
def test_the_least_of_what_is_given(budget: dict[str, int], settings: int, confirmed: bool) -> None:
    results = carry_out(spec_of(**budget), Starts("narrow", 0))
    assert searched(results) == settings
    assert bool(of_role(results, Role.CONFIRMATION)) == confirmed


@pytest.mark.parametrize(
    ("when", "left", "fresh"), [(2, 0, 0), (27, 0, 0), (27, 112, 64), (35, 111, 63)]
)
def test_what_time_bought_is_bought_by_as_many_restarts(when: int, left: int, fresh: int) -> None:
    starts = Starts("narrow", 0)
    by_time = carry_out(spec_of(minutes=1.0), starts, out_of_time_at=when, time_left=left)
    bought = bought_of(by_time)
    # One more had been told when time was over, and three were in flight.
    restarts = 16 * (when + 4)
    assert searched(by_time) == when + 4
    assert bought == Bought(restarts, fresh)
    by_restarts = carry_out(spec_of(restarts=restarts + fresh, fresh=fresh), starts)
    assert len(by_time) == len(by_restarts)
    for a, b in zip(by_time, by_restarts, strict=True):
        assert same(a, b) or (a.bought == bought and a.setting == b.setting)


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize(
    ("affordable", "settings", "fresh"), [(100, 6, 0), (400, 25, 0), (447, 24, 63), (500, 27, 64)]
)
def test_time_is_used_and_not_overrun(
    in_flight: int, affordable: int, settings: int, fresh: int
) -> None:
    """Where one setting is in flight at a time, none is left that could say what time bought when
    it is found that there is none for another."""
    starts = Starts("narrow", 0)
    spec = spec_of(in_flight, minutes=1.0)
    by_time = carry_out(spec, starts, affordable=affordable)
    assert bought_of(by_time) == Bought(16 * settings, fresh)
    assert sum(len(r.restarts) for r in by_time) <= affordable
    budget = {"restarts": 16 * settings + fresh, "fresh": fresh}
    by_restarts = carry_out(spec_of(in_flight, **budget), starts)
    assert [r.setting for r in by_time] == [r.setting for r in by_restarts]
    for told in range(settings, len(by_time)):
        again = carry_out(spec, starts, by_time[:told])
        assert [r.setting for r in again] == [r.setting for r in by_time]
