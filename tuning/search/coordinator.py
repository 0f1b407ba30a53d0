"""The coordinator's core, a pure state machine: events in, actions out; no clock, no I/O.

A thin loop (`loop`) performs the actions: it submits tasks to a pool and appends results to the
study. So the core can be simulated with ten thousand workers, and a coordinator that was killed
resumes by being told the study's prefix again: everything after it is worked out anew, and comes
out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tuning.execution.base import Done, Event, Failed, Lost, TaskId
from tuning.trial.result import Setting, SettingResult

__all__ = ["Action", "Coordinator", "Fail", "Finish", "Plan", "Submit", "Tell"]

MAX_RETRIES = (
    5  # of one task: bad luck does not come six times in a row, something is wrong with the cluster
)


@dataclass(frozen=True)
class Submit:
    """Carry out a task."""

    task_id: TaskId
    setting: Setting


@dataclass(frozen=True)
class Tell:
    """Append this result to the study, before any later action."""

    result: SettingResult


@dataclass(frozen=True)
class Finish:
    """Everything has been told."""


@dataclass(frozen=True)
class Fail:
    """The job cannot go on. What has been told is kept."""

    why: str


Action = Submit | Tell | Finish | Fail


@dataclass(frozen=True)
class Plan:
    """The decisions that the core leaves to others; each a pure function.

    Attributes:
        settings: how many settings the search tries.
        in_flight: setting k is proposed from the results of settings 0..k-in_flight.
        propose: (k, results of 0..k-in_flight, the settings between) -> setting k.
        parts: setting -> its tasks.
        confirm: all results told -> the next settings to try on fresh starts; none when the verdict
            is clear.
    """

    settings: int
    in_flight: int
    propose: Callable[[int, Sequence[SettingResult], Sequence[Setting]], Setting]
    parts: Callable[[Setting], list[Setting]]
    confirm: Callable[[Sequence[SettingResult]], list[Setting]]


@dataclass
class _Open:
    """A setting that has been submitted and not yet told."""

    setting: Setting
    parts: list[Setting]
    results: dict[int, SettingResult] = field(default_factory=dict)
    lost_attempts: dict[int, int] = field(default_factory=dict)


class Coordinator:
    """Proposes in order, tells in order, retries what was lost, confirms the winner.

    Args:
        plan: what to do.
        told: the study's prefix: nothing for a new job.
    """

    def __init__(self, plan: Plan, told: Sequence[SettingResult] = ()) -> None:
        self._plan = plan
        self.told: list[SettingResult] = list(told)
        self._open: dict[int, _Open] = {}
        self._tried = [result.setting for result in self.told]  # by number; the last may be open
        self._over = False

    def start(self) -> list[Action]:
        """The first actions."""
        return list(self._fill())

    def handle(self, event: Event) -> list[Action]:
        """What follows from `event`. A task that is no longer awaited changes nothing."""
        task_id = event.task_id
        work = self._open.get(task_id.number)
        if self._over or work is None or task_id.part in work.results:
            return []
        if task_id.attempt != work.lost_attempts.get(task_id.part, 0):
            return []  # an earlier attempt that was given up for lost
        match event:
            case Done(result=result):
                work.results[task_id.part] = result
                return list(self._tell_and_fill())
            case Lost(why=why):
                lost = work.lost_attempts[task_id.part] = task_id.attempt + 1
                if lost > MAX_RETRIES:
                    return self._fail(
                        f"setting {task_id.number} was lost {lost} times; last: {why}"
                    )
                return [
                    Submit(TaskId(task_id.number, task_id.part, lost), work.parts[task_id.part])
                ]
            case Failed(trace=trace):
                where = f"setting {task_id.number} (learning rate {work.setting.learning_rate:g})"
                return self._fail(f"the problem raised in {where}:\n{trace}")

    @property
    def awaited(self) -> set[TaskId]:
        """The tasks whose events are still to come."""
        return {
            TaskId(number, part, work.lost_attempts.get(part, 0))
            for number, work in self._open.items()
            for part in range(len(work.parts))
            if part not in work.results
        }

    def _fail(self, why: str) -> list[Action]:
        self._over = True
        return [Fail(why)]

    def _tell_and_fill(self) -> Iterator[Action]:
        while (work := self._open.get(len(self.told))) and len(work.results) == len(work.parts):
            del self._open[len(self.told)]
            result = SettingResult.join([work.results[part] for part in range(len(work.parts))])
            self.told.append(result)
            yield Tell(result)
        yield from self._fill()

    def _fill(self) -> Iterator[Action]:
        """Submit what may be proposed now."""
        plan = self._plan
        while (number := len(self._tried)) < plan.settings:
            known = max(0, number - plan.in_flight + 1)
            if known > len(self.told):
                break
            setting = plan.propose(number, self.told[:known], self._tried[known:])
            yield from self._submit(setting)
        if len(self.told) >= plan.settings and not self._open:
            settings = plan.confirm(self.told)
            for setting in settings:
                yield from self._submit(setting)
            if not settings:
                self._over = True
                yield Finish()

    def _submit(self, setting: Setting) -> Iterator[Action]:
        parts = self._plan.parts(setting)
        self._open[setting.number] = _Open(setting, parts)
        self._tried.append(setting)
        for part, piece in enumerate(parts):
            yield Submit(TaskId(setting.number, part), piece)
