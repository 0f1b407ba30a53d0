"""The coordinator's core, a pure state machine: events in, actions out; no clock, no I/O.

A thin loop (`loop`) performs the actions: it submits tasks to a pool and appends results to the
study. So the core can be simulated with ten thousand workers, and a coordinator that was killed
resumes by being told the study's prefix again: everything after it is worked out anew, and comes
out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tuning.execution.base import Done, Event, Failed, Lost, Outcome, TaskId, TaskProgress
from tuning.search.actions import Action, Fail, Finish, Submit, Tell
from tuning.search.history import History
from tuning.trial.result import BlockResult, SettingResult
from tuning.trial.setting import Block, Role, Setting

__all__ = ["MAX_RETRIES", "Coordinator", "Plan", "check_invariants"]

#: Of one task: bad luck does not come six times in a row, something is wrong with the cluster.
MAX_RETRIES = 5


@dataclass(frozen=True)
class Plan:
    """The decisions that the core leaves to others; each a pure function.

    Attributes:
        settings: how many settings the search tries.
        in_flight: setting k is proposed from the results of settings 0..k-in_flight.
        propose: (k, results of 0..k-in_flight, the settings between) -> setting k.
        parts: setting -> its tasks, a block each.
        confirm: all results told -> the next settings to try on fresh starts; none when the verdict
            is clear.
    """

    settings: int
    in_flight: int
    propose: Callable[[int, Sequence[SettingResult], Sequence[Setting]], Setting]
    parts: Callable[[Setting], list[Block]]
    confirm: Callable[[Sequence[SettingResult]], list[Setting]]


@dataclass
class _Open:
    """A setting that has been submitted and not yet told."""

    setting: Setting
    parts: list[Block]
    results: dict[int, BlockResult] = field(default_factory=dict)
    lost_attempts: dict[int, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.results) == len(self.parts)


class Coordinator:
    """Proposes in order, tells in order, retries what was lost, confirms the winner.

    Args:
        plan: what to do.
        told: the study's prefix: nothing for a new job.
    """

    def __init__(self, plan: Plan, told: Sequence[SettingResult] = ()) -> None:
        self._plan = plan
        self.told: list[SettingResult] = list(told)
        self.history = History()
        self._open: dict[int, _Open] = {}
        self._tried = [result.setting for result in self.told]  # by number; the last may be open
        self._over = False

    def start(self) -> list[Action]:
        """The first actions."""
        actions = list(self._fill())
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

    @property
    def awaited(self) -> set[TaskId]:
        """The tasks whose events are still to come."""
        return {
            TaskId(number, part, work.lost_attempts.get(part, 0))
            for number, work in self._open.items()
            for part in range(len(work.parts))
            if part not in work.results
        }

    def _follow(self, event: Outcome) -> list[Action]:
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
                    number = task_id.number
                    return self._fail(f"setting {number} was lost {lost} times; last: {why}")
                again = TaskId(task_id.number, task_id.part, lost)
                return [Submit(again, work.parts[task_id.part])]
            case Failed(trace=trace):
                return self._fail(f"the problem raised in {work.setting}:\n{trace}")

    def _fail(self, why: str) -> list[Action]:
        self._over = True
        return [Fail(why)]

    def _tell_and_fill(self) -> Iterator[Action]:
        while (work := self._open.get(len(self.told))) and work.complete:
            del self._open[len(self.told)]
            parts = [work.results[part] for part in range(len(work.parts))]
            self.told.append(SettingResult.join(work.setting, parts))
            yield Tell(self.told[-1])
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
        for part, block in enumerate(parts):
            yield Submit(TaskId(setting.number, part), block)


def check_invariants(core: Coordinator) -> None:
    """What holds after each event, whatever it was; for tests, which call it after every one.

    Raises:
        AssertionError: something else is the case; with the events that led to it.
    """
    plan, told, tried, waiting = core._plan, core.told, core._tried, core._open
    told_settings = [result.setting for result in told]
    searching = [s for s in (work.setting for work in waiting.values()) if s.role is Role.SEARCH]
    searched = len(told_settings) >= plan.settings
    truths = {
        "settings are numbered as they are tried": all(
            setting.number == number for number, setting in enumerate(tried)
        ),
        "settings are told as they were tried": told_settings == tried[: len(told)],
        "what is tried and not told is open": list(waiting) == list(range(len(told), len(tried))),
        "the first open setting waits for a task": (
            not waiting or not next(iter(waiting.values())).complete
        ),
        "no setting is further ahead than in_flight": all(
            s.number < len(told) + plan.in_flight for s in searching
        ),
        "nothing is confirmed before the search is over": (
            searched or len(searching) == len(waiting)
        ),
        "a result is of a task of its setting": all(
            work.results[part].block == work.parts[part]
            for work in waiting.values()
            for part in work.results
        ),
        "no task is tried more often than it may": all(
            lost <= MAX_RETRIES + core._over
            for work in waiting.values()
            for lost in work.lost_attempts.values()
        ),
        "who waits for nothing is done": bool(waiting) or core._over,
    }
    broken = [truth for truth, holds in truths.items() if not holds]
    assert not broken, f"no longer true: {'; '.join(broken)}\n{core.history}"
