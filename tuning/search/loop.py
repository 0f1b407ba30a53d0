"""The thin loop around the coordinator's core: it performs actions, and that is all."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tuning.errors import ProblemFailed, Unreachable
from tuning.execution.base import Done, Event, Lost, Pool, TaskId, TaskProgress
from tuning.report.model import Report
from tuning.search.actions import Action, Fail, Finish, Submit, Tell
from tuning.search.coordinator import Coordinator
from tuning.search.pace import Pace
from tuning.search.plan import JobPlan
from tuning.search.records import results_of, to_record
from tuning.spec.job import JobSpec
from tuning.study import StudyStore, TrialRecord
from tuning.trial.result import SettingResult
from tuning.trial.setting import Setting
from tuning.trial.watch import LossBand

__all__ = [
    "Announce",
    "EndedEarly",
    "LeaseRenewer",
    "Listener",
    "Listeners",
    "Progress",
    "UnderWay",
    "Writing",
    "ignore",
    "run_loop",
]

_POLL_SECONDS = 0.25
_RENEWAL_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 16.0
# How long a coordinator waits for the study's database. Tasks that end meanwhile are not lost.
_PATIENCE_SECONDS = 600.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 5.0


@dataclass(frozen=True)
class Writing:
    """How far the writing is, after all is trained: `done` steps of `of`, the one at hand, and how
    far that is, in words."""

    what: str
    done: int
    of: int
    detail: str = ""


@dataclass(frozen=True)
class UnderWay:
    """A task that takes long to train: of which setting, and the losses of its restarts so far."""

    setting: Setting
    losses: LossBand


@dataclass(frozen=True)
class Progress:
    """How far a job is, for people."""

    told: Sequence[SettingResult]
    restarts_done: int  # in this run, also of settings not yet told
    running: int
    seconds: float
    lost: int
    finished: bool = False
    news: tuple[str, ...] = ()  # what has gone wrong, and been mended, since the last
    writing: Writing | None = None
    under_way: tuple[UnderWay, ...] = ()  # where the pool tells of it


Listener = Callable[[Progress], None]
Announce = Callable[[str], None]


def ignore(_: object) -> None:
    """Nobody is listening."""


class EndedEarly(KeyboardInterrupt):
    """A job was asked to end before it was done. Nothing is lost: it can be resumed.

    Attributes:
        results: what has been told. report: of that, once there is one.
    """

    def __init__(self, results: Sequence[SettingResult]) -> None:
        super().__init__()
        self.results = results
        self.report: Report | None = None


@dataclass(frozen=True)
class Listeners:
    """Who is told what.

    Attributes:
        progress: how far the job is, again and again.
        announce: a line when something has gone wrong.
        heartbeat: called every few seconds as long as somebody is at work; may raise to end that.
        asked_to_end: whether to begin nothing new, and end with what is in flight.
        under_way: how far one task of a setting is, where the pool says so.
    """

    progress: Listener = ignore
    announce: Announce = ignore
    heartbeat: Callable[[], None] = lambda: None
    asked_to_end: Callable[[], bool] = lambda: False
    under_way: Callable[[Setting, TaskProgress], None] = lambda *_: None


def run_loop(
    spec: JobSpec,
    plan: JobPlan,
    pool: Pool,
    store: StudyStore,
    on_told: Callable[[list[SettingResult]], None],
    listeners: Listeners,
) -> list[SettingResult]:
    """Carry the job through, from wherever its study stands; returns all results.

    Args:
        on_told: called with all results so far, each time one has been appended.

    Raises:
        ProblemFailed: the problem's own code raised, or a task was lost too often; what was told is
            kept. A note of the exception holds the coordinator's last events.
        OSError: the study could not be written.
        Unreachable: its database was away for ten minutes.
        LeaseHeld: another coordinator has taken over.
        EndedEarly: it was asked to end, and what was in flight has been told.
    """
    return _Loop(spec, plan, pool, store, on_told, listeners).run()


@dataclass
class _Loop:
    """One run of a job: what the pool has been given, and what it shall be given later."""

    spec: JobSpec
    plan: JobPlan
    pool: Pool
    store: StudyStore
    on_told: Callable[[list[SettingResult]], None]
    listeners: Listeners

    def __post_init__(self) -> None:
        self.told = results_of(self.store)
        self.core = Coordinator(self.plan, self.told)
        self._begin = time.monotonic()
        # By when the pool is given them. The count decides between equals, and keeps their order.
        self._later: list[tuple[float, int, Submit]] = []
        self._count = itertools.count()
        self._running = self._restarts = self._lost = 0  # tasks, in `_later` too; restarts; tasks
        self._news: tuple[str, ...] = ()
        self._under_way: dict[TaskId, UnderWay] = {}
        self._pace = Pace(self._begin)
        self._halted = False

    def run(self) -> list[SettingResult]:
        renewer = LeaseRenewer(self.store)
        actions = self.core.start()
        while True:
            finished = self._perform(actions)
            self._say(finished)
            self.listeners.heartbeat()
            if finished and self._halted:
                raise EndedEarly(self.told)
            if finished:
                return self.told
            renewer.renew()
            self._submit_due()
            if self._running == len(self._later):  # there is nothing in the pool to wait for
                time.sleep(_POLL_SECONDS)
            events = self.pool.wait(_POLL_SECONDS)
            self._count_up(events)
            actions = [action for event in events for action in self.core.handle(event)]
            if (minutes := self.spec.budget.minutes) is not None:
                self.core.time_left(self._pace.affordable(60 * minutes, self._restarts))
            if not self._halted and self.listeners.asked_to_end():
                self._halted = True
                actions += self.core.halt()
                tasks = f"{self._running} task{'s' * (self._running != 1)}"
                self.listeners.announce(
                    f"ending with what is in flight ({tasks}); Ctrl-C again leaves at once"
                )

    def _perform(self, actions: Sequence[Action]) -> bool:
        """Whether the job is finished."""
        for action in actions:
            match action:
                case Submit(failures=failures):
                    when = time.monotonic() + _pause_after(failures)
                    heapq.heappush(self._later, (when, next(self._count), action))
                    self._running += 1
                case Tell(result=result):
                    record = to_record(result, self.spec)
                    _append(self.store, record, self.listeners.announce)
                    self.told.append(result)
                    self.on_told(self.told)
                case Fail(why=why):
                    failure = ProblemFailed(why)
                    failure.add_note(str(self.core.history))
                    raise failure
        return any(isinstance(action, Finish) for action in actions)

    def _submit_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            _, _, submit = heapq.heappop(self._later)
            self.pool.submit(submit.task_id, submit.block)

    def _count_up(self, events: Sequence[Event]) -> None:
        news = []
        for event in events:
            if isinstance(event, TaskProgress):
                if (setting := self.core.setting(event.task_id.number)) is not None:
                    self._under_way[event.task_id] = UnderWay(setting, event.losses)
                    self.listeners.under_way(setting, event)
                continue
            self._running -= 1
            self._under_way.pop(event.task_id, None)
            if isinstance(event, Done):
                self._restarts += len(event.result.restarts)
            if isinstance(event, Lost):
                self._lost += 1
                news.append(f"setting {event.task_id.number}: a task was lost, {event.why}")
        self._news = tuple(news)

    def _say(self, finished: bool) -> None:
        self.listeners.progress(
            Progress(
                self.told,
                self._restarts,
                self._running,
                time.monotonic() - self._begin,
                self._lost,
                finished,
                self._news,
                under_way=tuple(self._under_way.values()),
            )
        )


def _pause_after(failures: int) -> float:
    """Seconds: what failed a task a moment ago may need a while to pass."""
    return min(2.0 ** (failures - 1), _LONGEST_RETRY_SECONDS) if failures else 0.0


class LeaseRenewer:
    """A lease whose session was lost is taken again within seconds, not with the next result: who
    looks after the jobs would think that nobody is at work."""

    def __init__(self, store: StudyStore) -> None:
        self._store, self._next = store, 0.0

    def renew(self) -> None:
        """See to it, if it is time to.

        Raises:
            LeaseHeld: another coordinator has taken over.
        """
        if time.monotonic() < self._next:
            return
        with suppress(Unreachable):  # `append` waits for it, and says so
            self._store.hold()
            self._next = time.monotonic() + _RENEWAL_SECONDS


def _append(store: StudyStore, record: TrialRecord, announce: Announce) -> None:
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return store.append(record)
        except Unreachable as error:
            if time.monotonic() > deadline:
                raise
            if pause == _FIRST_PAUSE_SECONDS:
                announce(f"{error}; waiting for it")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
