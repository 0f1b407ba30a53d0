"""Trials of one setting as one result."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.support.made_results import DIVERGED, GOOD, TRAPPED, result, same, slow
from tuning.trial.curves import SharpnessHistory
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role, Setting


def fresh(number: int, first: int, *rows: object, rate: float = 0.1) -> SettingResult:
    chosen = [row for row in (GOOD, TRAPPED, DIVERGED, slow(100)) if row in rows]
    return result(number, rate, chosen, role=Role.CONFIRMATION, first=first)


def test_joined_by_hand() -> None:
    """Settings 1 and 3 are one, of the restarts 4, 5 and 6, 7, 8."""
    history = SharpnessHistory(np.array([0, 9]), np.ones((2, 2), dtype=np.float32))
    first = replace(fresh(1, 4, GOOD, DIVERGED), sharpness=history)
    longer = SharpnessHistory(history.steps, np.zeros((2, 3), dtype=np.float32))
    last = replace(fresh(3, 6, GOOD, TRAPPED, slow(100)), sharpness=longer, finished_at=7.0)
    alone = fresh(2, 6, GOOD, TRAPPED, rate=0.2)
    one, other = gathered([first, alone, last])
    assert other is alone
    blocks = first.setting.blocks + last.setting.blocks
    assert one.setting == Setting(1, Role.CONFIRMATION, blocks)
    assert one.setting.starts == (4, 5, 6, 7, 8)
    assert one.restarts.diverged.tolist() == [False, True, False, False, False]
    assert one.restarts.loss.tolist() == [0.0, 9.0, 0.0, 0.5, 0.0]
    assert np.array_equal(one.curves.losses[:, 2:], last.curves.losses)
    assert one.curves.steps is first.curves.steps
    assert one.sharpness is not None
    assert one.sharpness.values.tolist() == [[1, 1, 0, 0, 0]] * 2
    seconds = one.training_seconds, one.classifying_seconds, one.finished_at
    assert seconds == (2.0, 1.0, 101.0)  # 100 s and the number: 101 and 7


def test_what_differs_in_anything_but_its_starts_stays_apart() -> None:
    rows = [GOOD, GOOD]
    results = [
        result(0, 0.1, rows),
        result(1, 0.1, rows, first=2, optimizer=1),
        result(2, 0.1, rows, first=2, role=Role.COMPARISON),
        result(3, 0.2, rows, first=2),
    ]
    assert all(a is b for a, b in zip(gathered(results), results, strict=True))


def test_a_setting_that_repeats_a_start_stays_apart() -> None:
    """So no restart counts twice. A third that repeats none joins the first."""
    results = [result(i, 0.1, [GOOD, GOOD], first=first) for i, first in enumerate((0, 1, 2))]
    one, repeated = gathered(results)
    assert repeated is results[1]
    assert one.setting.starts == (0, 1, 2, 3)


def test_order_is_by_number_however_they_come() -> None:
    results = [fresh(i, 4 * i, GOOD, TRAPPED, rate=(0.1, 0.2)[i % 2]) for i in range(6)]
    one, other = gathered(results[::-1])
    assert (one.setting.number, other.setting.number) == (0, 1)
    assert one.setting.starts == (0, 1, 8, 9, 16, 17)
    for again, before in zip(gathered(results), (one, other), strict=True):
        assert same(again, before)
