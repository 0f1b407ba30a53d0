"""A study and a pool around the coordinator's core, and the loop it must agree with."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from tests.support.made_results import GOOD, answer
from tuning.execution.base import Done, Event, Lost, TaskId
from tuning.search.coordinator import (
    MAX_RETRIES,
    Action,
    Coordinator,
    Fail,
    Finish,
    Plan,
    Submit,
    Tell,
)
from tuning.trial.result import Role, Setting, SettingResult


def propose(number: int, told: Sequence[SettingResult], between: Sequence[Setting]) -> Setting:
    """A rate that changes with everything a proposal may be made from."""
    seen = (number, [r.value for r in told], [s.learning_rate for s in between])
    rate = random.Random(repr(seen)).random()
    return Setting(number, number % 2, rate, Role.SEARCH, 0, 3)


def carry_out(setting: Setting) -> SettingResult:
    """A result that changes with the restarts and the rate."""
    losses = range(setting.first, setting.first + setting.restarts)
    rows = [replace(GOOD, loss=setting.learning_rate / (2 + index)) for index in losses]
    return answer(setting, rows)


def cut(setting: Setting, most: int) -> list[Setting]:
    """Tasks of one restart each, at most `most`."""
    count = min(most, setting.restarts)
    ends = [setting.restarts * i // count for i in range(count + 1)]
    return [replace(setting, first=setting.first + a, restarts=b - a) for a, b in pairwise(ends)]


def make_plan(settings: int, in_flight: int, parts: int, refused: int) -> Plan:
    """`refused` candidates fail their confirmation, of two settings each, and the next holds."""

    def confirm(told: Sequence[SettingResult]) -> list[Setting]:
        fresh = len(told) - settings
        candidate = min(fresh // 2, refused)
        number = settings + 2 * candidate
        pair = [
            Setting(number + i, 0, (1 + i) * told[candidate % settings].value, role, 50, 4)
            for i, role in enumerate([Role.CONFIRMATION] * 2)
        ]
        return pair[fresh - 2 * candidate :]

    return Plan(settings, in_flight, propose, lambda setting: cut(setting, parts), confirm)


def one_after_another(plan: Plan) -> list[SettingResult]:
    """The reference: a loop that knows nothing of tasks, lost attempts and order."""
    results: list[SettingResult] = []
    settings: list[Setting] = []
    for number in range(plan.settings):
        known = max(0, number - plan.in_flight + 1)
        settings.append(plan.propose(number, results[:known], settings[known:]))
        results.append(carry_out(settings[number]))
    while more := plan.confirm(results):
        results += [carry_out(setting) for setting in more]
    return results


def facts(results: Sequence[SettingResult]) -> list[tuple[Setting, list[float]]]:
    return [(r.setting, r.restarts.loss.tolist()) for r in results]


class World:
    """A study and a pool around the core, that checks every action."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.study: list[SettingResult] = []
        self.finished = False
        self.fail: Fail | None = None
        self.past: list[Event] = []
        self.start()

    def start(self) -> None:
        """Begin, or begin again after a crash: of the core and the pool nothing is left."""
        self.waiting: dict[TaskId, Setting] = {}
        self.submitted: set[TaskId] = set()
        self.finished = False
        self.core = Coordinator(replace(self.plan, propose=self.propose), self.study)
        self.perform(self.core.start())

    def propose(
        self, number: int, told: Sequence[SettingResult], between: Sequence[Setting]
    ) -> Setting:
        known = max(0, number - self.plan.in_flight + 1)
        assert [r.setting.number for r in told] == list(range(known))
        assert [s.number for s in between] == list(range(known, number))
        return self.plan.propose(number, told, between)

    def perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            assert not self.finished
            assert self.fail is None
            match action:
                case Submit(task_id=task_id, setting=setting):
                    assert task_id not in self.submitted
                    self.submitted.add(task_id)
                    self.waiting[task_id] = setting
                case Tell(result=told):
                    assert told.setting.number == len(self.study)
                    self.study.append(told)
                case Finish():
                    self.finished = True
                case Fail():
                    self.fail = action

    def deliver(self, event: Event) -> None:
        self.waiting.pop(event.task_id, None)
        self.past.append(event)
        self.perform(self.core.handle(event))

    def done(self, task_id: TaskId) -> None:
        self.deliver(Done(task_id, carry_out(self.waiting[task_id])))

    def drain(self, rng: random.Random, lost_attempts: float = 0.0) -> None:
        while self.waiting and self.fail is None:
            task_id = rng.choice(sorted(self.waiting))
            if task_id.attempt < MAX_RETRIES and rng.random() < lost_attempts:
                self.deliver(Lost(task_id, "killed"))
            else:
                self.done(task_id)

    def check(self) -> None:
        assert [r.setting.number for r in self.core.told] == list(range(len(self.study)))
        if self.fail is None:
            assert self.core.awaited == set(self.waiting)
            numbers = {task_id.number for task_id in self.waiting}
            searching = {n for n in numbers if n < self.plan.settings}
            assert len(searching) <= self.plan.in_flight
            assert all(n < len(self.study) + self.plan.in_flight for n in searching)
            # Nobody idles while a proposal could be made; fresh starts come after the search.
            assert self.finished == (not self.waiting)
            assert searching == numbers or len(self.study) >= self.plan.settings
