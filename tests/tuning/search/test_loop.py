"""The thin loop: what was lost is tried again, later and later; the lease is kept meanwhile."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.inline_jobs import RUN, new_store
from tests.support.simulated_study import BAND
from tests.support.thresholds import Starts
from trainers import ProblemFailed
from tuning.analysis.build import build_report
from tuning.analysis.problem_info import problem_facts
from tuning.errors import Unreachable
from tuning.execution.base import Done, Event, Lost, TaskId, TaskProgress
from tuning.execution.in_process import InProcessPool
from tuning.report.model import Status
from tuning.search import loop, pace
from tuning.search.coordinator import MAX_RETRIES
from tuning.search.loop import Listeners, Progress, run_loop
from tuning.search.plan import JobPlan
from tuning.spec.job import read_spec
from tuning.study import StudyStore, TrialRecord
from tuning.trial.result import bought_of
from tuning.trial.setting import Block
from tuning.trial.task import TrainingConfig

SPEC = read_spec(
    {
        "problem": {"name": "double-well"},
        "search": {"sampler": "tpe", "settings": 2, "in_flight": 1},
        "training": {"restarts": 2, "steps": 3},
        "stability": {"max_unstable": 0.9},
    }
)


class Losing(InProcessPool):
    """Loses each task as often as it is told to."""

    def __init__(self, times: int, clock: SimpleNamespace) -> None:
        super().__init__(SPEC.make_problem(), TrainingConfig.of(SPEC))
        self.times, self.clock = times, clock
        self.given: list[tuple[TaskId, float]] = []

    def submit(self, task_id: TaskId, block: Block) -> None:
        self.given.append((task_id, self.clock.monotonic()))
        super().submit(task_id, block)

    def wait(self, timeout: float) -> list[Event]:
        return [
            Lost(event.task_id, "killed") if event.task_id.attempt < self.times else event
            for event in super().wait(timeout)
        ]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time passes only while somebody sleeps."""
    now = SimpleNamespace(seconds=0.0)

    def sleep(seconds: float) -> None:
        now.seconds += seconds

    made = SimpleNamespace(monotonic=lambda: now.seconds, sleep=sleep, now=now)
    monkeypatch.setattr(loop, "time", made)
    return made


def run(pool: Losing, store: StudyStore) -> list[Progress]:
    problem = SPEC.make_problem()
    plan = JobPlan(SPEC, problem.flops(), problem.known_minimum)
    seen: list[Progress] = []
    run_loop(SPEC, plan, pool, store, lambda _: None, Listeners(seen.append, print))
    return seen


def test_what_was_lost_is_tried_again_later_and_later(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    pool = Losing(MAX_RETRIES, clock)
    seen = run(pool, new_store(tmp_path))
    first = [when for task_id, when in pool.given if (task_id.number, task_id.part) == (0, 0)]
    pauses = [after - before for before, after in itertools.pairwise(first)]
    # The loop looks four times a second.
    assert pauses == pytest.approx([1, 2, 4, 8, 16], abs=0.25)
    assert seen[-1].lost == MAX_RETRIES * len({task_id.number for task_id, _ in pool.given})
    assert "setting 0: a task was lost, killed" in [line for news in seen for line in news.news]


def test_what_is_lost_again_and_again_ends_the_job(tmp_path: Path, clock: SimpleNamespace) -> None:
    with pytest.raises(ProblemFailed) as failure:
        run(Losing(MAX_RETRIES + 1, clock), new_store(tmp_path))
    assert str(failure.value) == "setting 0 was lost 6 times; last: killed"
    # What led to it is told along with it.
    (note,) = failure.value.__notes__
    assert "1. start: submit task 0/0" in note
    assert note.endswith("task 0/0 (attempt 6) was lost (killed): the job fails")


def test_progress_of_a_task_is_passed_on_and_changes_nothing(
    tmp_path: Path, clock: SimpleNamespace
) -> None:
    class Telling(Losing):
        def wait(self, timeout: float) -> list[Event]:
            return [
                e for end in super().wait(timeout) for e in (TaskProgress(end.task_id, BAND), end)
            ]

    heard: list[tuple[int, TaskProgress]] = []
    answers, shown = [], []
    for name, pool in (("silent", Losing(1, clock)), ("telling", Telling(1, clock))):
        store = new_store(tmp_path, name)
        plan = JobPlan(SPEC, SPEC.make_problem().flops(), None)
        listeners = Listeners(
            progress=lambda now: shown.append([u.losses for u in now.under_way]),
            under_way=lambda s, event: heard.append((s.number, event)),
        )
        results = run_loop(SPEC, plan, pool, store, lambda _: None, listeners)
        answers.append([(r.setting, r.restarts.loss.tolist()) for r in results])
    assert answers[0] == answers[1]
    assert [event.task_id for _, event in heard] == [task_id for task_id, _ in pool.given]
    assert all(number == event.task_id.number for number, event in heard)
    assert shown[-1] == []  # what has ended is under way no more


def test_the_minutes_are_used_and_not_overrun(
    tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second a restart: the default search is 384 of the 600, and what is left confirms."""
    monkeypatch.setattr(pace, "time", clock)
    starts = Starts("narrow", 0)

    waiting: list[tuple[TaskId, Block]] = []

    class Slow(Losing):
        def wait(self, timeout: float) -> list[Event]:
            task_id, block = waiting.pop(0)
            clock.now.seconds += len(block.starts)
            return [Done(task_id, starts.train(block))]

        def submit(self, task_id: TaskId, block: Block) -> None:
            waiting.append((task_id, block))

    job = {"problem": {"name": "single-weight"}, "search": {"optimizers": ["gd"]}}
    spec = read_spec({**job, "budget": {"minutes": 10}})
    store = new_store(tmp_path)
    plan = JobPlan(spec, 1.0, 0.0)
    results = run_loop(spec, plan, Slow(0, clock), store, lambda _: None, Listeners())
    assert 400 < clock.now.seconds <= 600
    bought = bought_of(results)
    assert bought is not None
    assert bought.restarts == spec.default_restarts
    assert 63 <= bought.fresh <= (600 - 384) / 2
    problem = spec.make_problem()
    report = build_report(spec, problem_facts(spec.problem.name, problem), results, RUN)
    assert report.best_stable is not None
    assert report.best_stable.status is Status.CONFIRMED
    restarts = bought.restarts + 2 * bought.fresh
    said = f"[budget] restarts = {restarts}, fresh = {bought.fresh} buy the same answer"
    assert said in str(report)


def test_a_database_that_is_away_is_waited_for(
    tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path)
    append, until = store.append, 500.0

    def away(record: TrialRecord) -> None:
        if clock.now.seconds < until:
            raise Unreachable("postgresql+psycopg://me@h/d", "it is away")
        append(record)

    monkeypatch.setattr(store, "append", away)
    begin = time.monotonic()
    run(Losing(0, clock), store)
    assert until <= clock.now.seconds < until + 10
    assert len(store.records()) >= 2
    assert time.monotonic() - begin < 60  # nobody waited for real


def test_one_that_stays_away_ends_the_coordinator(
    tmp_path: Path, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(tmp_path)

    def away(_: TrialRecord) -> None:
        raise Unreachable("postgresql+psycopg://me@h/d", "it is away")

    monkeypatch.setattr(store, "append", away)
    with pytest.raises(Unreachable):
        run(Losing(0, clock), store)
    assert 600 <= clock.now.seconds < 610
