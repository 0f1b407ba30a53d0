"""What people are told of a job that runs: counts of each result once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.support.made_results import DIVERGED, GOOD, OSCILLATING, job, result
from tuning.runner.progress import LineProgress, LiveProgress, describe
from tuning.runner.tally import Tally
from tuning.search.loop import Progress, UnderWay, Writing
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role
from tuning.trial.watch import LossBand

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


def test_with_minutes_alone_it_searches_until_they_are_over() -> None:
    """And not until it has the size that is the default."""
    spec = job(3, budget={"minutes": 2})
    tally = Tally(spec)
    described = describe(progress(RESULTS[:4], 90.0), spec, tally)
    assert (described.phase, described.left) == ("searching", "0:30 left")
    assert describe(progress(RESULTS[:4], 130.0), spec, tally).left == "0:00 left"
    assert describe(progress(RESULTS, 90.0), spec, tally).phase == "confirming on fresh starts"
    both = job(3, budget={"minutes": 2, "restarts": 6})
    assert describe(progress(RESULTS[:3], 90.0), both, Tally(both)).phase != "searching"


def test_every_phase_has_its_progress_and_its_time_left() -> None:
    """Training and judging took two thirds and one third of the time so far."""
    spec = job(4, stability={"confirm": 100})
    tally = Tally(spec)
    describe(progress(RESULTS[:1]), spec, tally)
    phases = {p.name: p for p in describe(progress(RESULTS[:3], 60.0), spec, tally).phases}
    assert list(phases) == ["training", "judging", "confirming", "writing"]
    assert [(p.done, p.of, p.time_left) for p in phases.values()] == [
        (3, 4, "0:20 left"),
        (3, 4, "0:10 left"),
        (0, 200, "at most 33:20 left"),  # 10 seconds for each restart so far
        (0, 3, "0:08 left"),
    ]
    confirming = describe(progress(RESULTS, 60.0), spec, tally).phases
    assert [p.time_left for p in confirming[:2]] == ["done", "done"]
    assert (confirming[2].done, confirming[2].of) == (2, 200)


def test_a_training_that_takes_long_moves_its_bar() -> None:
    """A setting is half trained, and a quarter of another: 0.75 of four."""
    spec = job(4, training={"restarts": 4, "steps": 1_000})
    begun = [
        replace(result(k, rate, [GOOD] * 4).setting, role=role)
        for k, rate, role in [
            (0, 0.1, Role.SEARCH),
            (1, 0.2, Role.SEARCH),
            (2, 0.2, Role.CONFIRMATION),
        ]
    ]

    def band(step: int, restarts: int) -> LossBand:
        return LossBand((0, step), ((1.0, 0.1), (1.0, 0.25), (2.0, 0.5)), restarts)

    now = replace(
        progress([], 30.0),
        under_way=(UnderWay(begun[0], band(500, 4)), UnderWay(begun[1], band(1_000, 1))),
    )
    described = describe(now, spec, Tally(spec))
    assert described.training == "gd 0.2: step 1,000 of 1,000, median loss 0.25; 1 more"
    training, judging = described.phases[:2]
    # 0.75 of 4 settings in 30 seconds: 3.25 take 130. Of judging nothing is known by now.
    assert (training.done, training.of, training.time_left) == (0, 4, "2:10 left")
    assert (judging.done, judging.time_left) == (0, "")
    lines = io.StringIO()
    shown = LineProgress(Console(file=lines, width=80, _environ={}), spec)
    shown(now)
    shown(replace(now, seconds=45.0, under_way=(UnderWay(begun[0], band(900, 4)),)))
    first, second = lines.getvalue().splitlines()
    assert "in training: gd 0.2: step 1,000" in first
    assert "in training: gd 0.1: step 900 of 1,000, median loss 0.25" in second
    confirming = replace(now, under_way=(UnderWay(begun[2], band(500, 4)),))
    phases = describe(confirming, spec, Tally(spec)).phases
    assert (phases[0].done, phases[2].name, phases[2].done) == (0, "confirming", 2)


def test_writing_is_a_phase_of_its_own() -> None:
    spec = job(4)
    now = replace(progress(RESULTS), finished=True, writing=Writing("its pictures", 1, 3))
    described = describe(now, spec, Tally(spec))
    assert described.phase == "writing its pictures"
    assert [p.time_left for p in described.phases[:3]] == ["done"] * 3
    assert (described.phases[3].done, described.phases[3].of) == (1, 3)
    lines = io.StringIO()
    shown = LineProgress(Console(file=lines, width=80, _environ={}), spec)
    for what in ("the report", "its pictures"):
        shown(replace(now, writing=Writing(what, 1, 3)))
    assert lines.getvalue().splitlines() == ["writing the report", "writing its pictures"]


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("end", [0, 3, 5])
def test_the_live_display_fits_its_width(width: int, end: int) -> None:
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, height=30, force_terminal=True, _environ={})
    with LiveProgress(console, job(4)) as live:
        live(progress(RESULTS[:end]))
        drawn = console.render_lines(live.picture(progress(RESULTS[:end])))
    lines = ["".join(segment.text for segment in line).rstrip() for line in drawn]
    assert max(map(cell_len, lines)) <= width
    named = [line.split()[0] for line in lines[1:5]]
    assert named == ["training", "judging", "confirming", "writing"]
