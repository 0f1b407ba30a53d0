"""What people are told of a job that runs: counts of each result once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.support.made_results import DIVERGED, GOOD, OSCILLATING, job, result
from tuning.runner.progress import Tally, describe
from tuning.search.loop import Progress
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

SLOW = replace(GOOD, loss=0.3)
RESULTS = [
    result(0, 0.1, [SLOW, SLOW]),
    result(1, 0.2, [GOOD, DIVERGED]),
    result(2, 0.3, [GOOD, GOOD]),
    result(3, 0.4, [SLOW, OSCILLATING]),
    result(4, 0.3, [GOOD, GOOD], role=Role.CONFIRMATION, first=2),
]


def progress(told: Sequence[SettingResult], seconds: float = 2.0) -> Progress:
    return Progress(told, 2 * len(told), 0, seconds, lost=0)


def test_each_result_is_counted_once_however_often_it_is_shown() -> None:
    spec = job(4)
    tally = Tally(spec)
    shown = [describe(progress(RESULTS[:end]), spec, tally) for end in (0, 0, 1, 3, 3, 4, 5)]
    assert [d.done for d in shown] == [0, 0, 1, 3, 3, 4, 4]
    at_once = Tally(spec)
    at_once.take([])
    assert shown[-1] == describe(progress(RESULTS), spec, at_once)
    assert shown[-1].outcomes.startswith("8 settled")
    assert "1 oscillating" in shown[-1].outcomes
    assert [d.best.partition(" (")[0] for d in shown] == [
        "none yet",
        "none yet",
        "gd 0.1",
        "gd 0.3",
        "gd 0.3",
        "gd 0.3",
        "gd 0.3",
    ]


def test_what_had_been_done_before_says_nothing_of_what_is_left() -> None:
    spec = job(4)
    tally = Tally(spec)
    assert describe(progress(RESULTS[:2]), spec, tally).left == ""
    assert describe(progress(RESULTS[:3], 60.0), spec, tally).left == "1:00 left"
