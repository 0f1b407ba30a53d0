"""How many restarts a time will do for, by a clock that stands still."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace

import pytest

from tuning.search import pace
from tuning.search.pace import Pace


def test_the_pace_is_that_since_the_first_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: clock.now))
    made = Pace(begin=100.0)

    def affordable(now: float, done: int) -> float:
        clock.now = now
        return made.affordable(60.0, done)

    assert affordable(110.0, 0) == inf  # the workers start
    assert affordable(120.0, 6) == inf  # the first; nothing to compare with
    assert affordable(121.0, 6) == inf
    assert affordable(130.0, 26) == pytest.approx(30 * 20 / 10)  # not 26 in 30 seconds
    assert affordable(150.0, 36) == pytest.approx(10 * 30 / 30)
    assert affordable(160.0, 36) == 0.0
    assert affordable(170.0, 40) == 0.0


def test_time_may_be_over_before_anything_is_done() -> None:
    assert Pace(begin=0.0).affordable(-1.0, 0) == 0.0
