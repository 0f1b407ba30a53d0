"""The coordinator's core, a pure state machine: events in, actions out; no clock, no I/O.

A thin loop (`loop`) performs the actions: it submits tasks to a pool and appends results to the
study. So the core can be simulated with ten thousand workers, and a coordinator that was killed
resumes by being told the study's prefix again: everything after it is worked out anew, and comes
out the same. What is tried is the plan's to say; the core keeps what is open and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from tuning.execution.base import Done, Event, Failed, Lost, Outcome, TaskId, TaskProgress
from tuning.search.actions import Action, Fail, Finish, Submit, Tell
from tuning.search.history import History
from tuning.trial.result import BlockResult, Bought, SettingResult
from tuning.trial.setting import Block, Setting

__all__ = ["MAX_RETRIES", "Coordinator", "Plan", "check_invariants"]

#: Of one task whose node stayed: bad luck does not come six times in a row, something is wrong with
#: the cluster.
MAX_RETRIES = 5


class Plan(Protocol):
    """What is tried, and into which tasks it is cut: a function of what was told, in order.

    Settings are numbered as they come. The job is done when all of them have been told and nothing
    follows.
    """

    def begin(self, told: Sequence[SettingResult]) -> list[Setting]:
        """Called first: the settings that are tried now, when the study holds `told`; nothing for a
        new job. They begin with those that had been tried when its last result was told.

        Raises:
            InvalidInput: another plan made that study.
        """

    def tell(self, result: SettingResult) -> list[Setting]:
        """The settings that follow from the next result, if any."""

    def time_left(self, restarts: float) -> None:
        """There is time for so many, beside those that are in flight: ask for no more."""

    def parts(self, setting: Setting) -> list[Block]:
        """Its tasks, a block each."""

    @property
    def bought(self) -> Bought | None:
        """See `SettingResult`."""


@dataclass
class _Open:
    """A setting that has been submitted and not yet told."""

    setting: Setting
    parts: list[Block]
    results: dict[int, BlockResult] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)  # by part: those that were lost
    failures: dict[int, int] = field(default_factory=dict)  # of them, those that count

    @property
    def complete(self) -> bool:
        return len(self.results) == len(self.parts)


class Coordinator:
    """Submits what the plan wants, tells in order, retries what was lost.

    Args:
        plan: what to do.
        told: the study's prefix: nothing for a new job.
    """

    def __init__(self, plan: Plan, told: Sequence[SettingResult] = ()) -> None:
        self._plan = plan
        self._before = told
        self.told = len(told)
        self.history = History()
        self._open: dict[int, _Open] = {}
        self._halted = self._over = False

    def start(self) -> list[Action]:
        """The first actions."""
        actions = list(self._submit(self._plan.begin(self._before)))
        self._before = ()
        actions += self._end()
        self.history.add(None, actions)
        return actions

    def handle(self, event: Event) -> list[Action]:
        """What follows from `event`. Progress changes nothing, nor does a task that is no longer
        awaited."""
        if isinstance(event, TaskProgress):
            return []
        actions = self._follow(event)
        self.history.add(event, actions)
        return actions

    def time_left(self, restarts: float) -> None:
        """There is time for so many more, those that are in flight among them."""
        if not self._over and not self._halted:
            in_flight = sum(
                len(part.starts)
                for work in self._open.values()
                for number, part in enumerate(work.parts)
                if number not in work.results
            )
            self._plan.time_left(restarts - in_flight)

    def halt(self) -> list[Action]:
        """Nothing new; what is open is waited for, and the job can be resumed."""
        self._halted = True
        return list(self._end())

    def setting(self, number: int) -> Setting | None:
        """The setting of this number, if it is tried now."""
        work = self._open.get(number)
        return None if work is None else work.setting

    @property
    def awaited(self) -> set[TaskId]:
        """The tasks whose events are still to come."""
        return {
            TaskId(number, part, work.attempts.get(part, 0))
            for number, work in self._open.items()
            for part in range(len(work.parts))
            if part not in work.results
        }

    def _follow(self, event: Outcome) -> list[Action]:
        task_id = event.task_id
        work = self._open.get(task_id.number)
        if self._over or work is None or task_id.part in work.results:
            return []
        if task_id.attempt != work.attempts.get(task_id.part, 0):
            return []  # an earlier attempt that was given up for lost
        match event:
            case Done(result=result):
                work.results[task_id.part] = result
                return [*self._tell(), *self._end()]
            case Lost(why=why, node_left=node_left):
                number, part = task_id.number, task_id.part
                work.attempts[part] = task_id.attempt + 1
                failures = work.failures[part] = work.failures.get(part, 0) + (not node_left)
                if failures > MAX_RETRIES:
                    return self._fail(f"setting {number} was lost {failures} times; last: {why}")
                again = TaskId(number, part, task_id.attempt + 1)
                return [Submit(again, work.parts[part], failures)]
            case Failed(trace=trace):
                return self._fail(f"the problem raised in {work.setting}:\n{trace}")

    def _fail(self, why: str) -> list[Action]:
        self._over = True
        return [Fail(why)]

    def _tell(self) -> Iterator[Action]:
        while (work := self._open.get(self.told)) and work.complete:
            del self._open[self.told]
            parts = [work.results[part] for part in range(len(work.parts))]
            result = replace(SettingResult.join(work.setting, parts), bought=self._plan.bought)
            self.told += 1
            following = [] if self._halted else self._plan.tell(result)
            if result.bought != self._plan.bought:
                # What follows was cut to the time: this result says so, for there may be no other.
                result = replace(result, bought=self._plan.bought)
            yield Tell(result)
            yield from self._submit(following)

    def _submit(self, settings: Sequence[Setting]) -> Iterator[Action]:
        for setting in settings:
            parts = self._plan.parts(setting)
            self._open[setting.number] = _Open(setting, parts)
            for part, block in enumerate(parts):
                yield Submit(TaskId(setting.number, part), block)

    def _end(self) -> Iterator[Action]:
        if not self._open and not self._over:
            self._over = True
            yield Finish()


def check_invariants(core: Coordinator) -> None:
    """What holds after each event, whatever it was; for tests, which call it after every one.

    Raises:
        AssertionError: something else is the case; with the events that led to it.
    """
    waiting = core._open
    truths = {
        "settings are numbered as they are tried": all(
            work.setting.number == number for number, work in waiting.items()
        ),
        "what is tried and not told is open": (
            list(waiting) == list(range(core.told, core.told + len(waiting)))
        ),
        "the first open setting waits for a task": (
            not waiting or not next(iter(waiting.values())).complete
        ),
        "a result is of a task of its setting": all(
            work.results[part].block == work.parts[part]
            for work in waiting.values()
            for part in work.results
        ),
        "no task is tried more often than it may": all(
            failures <= MAX_RETRIES + core._over
            for work in waiting.values()
            for failures in work.failures.values()
        ),
        "what counts against a task was lost": all(
            failures <= work.attempts[part]
            for work in waiting.values()
            for part, failures in work.failures.items()
        ),
        "who waits for nothing is done": bool(waiting) or core._over,
    }
    broken = [truth for truth, holds in truths.items() if not holds]
    assert not broken, f"no longer true: {'; '.join(broken)}\n{core.history}"
