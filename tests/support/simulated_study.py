"""A study and a pool around the coordinator's core, and the loop it must agree with."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from tests.support.made_results import GOOD, Row, answer, block_answer, setting
from tuning.execution.base import Done, Lost, Outcome, TaskId, TaskProgress
from tuning.search.actions import Action, Fail, Finish, Submit, Tell
from tuning.search.coordinator import MAX_RETRIES, Coordinator, check_invariants
from tuning.trial.result import BlockResult, Bought, SettingResult
from tuning.trial.setting import Block, Role, Setting
from tuning.trial.watch import LossBand

BAND = LossBand((0, 1), ((1.0, 1.0), (1.0, 1.0), (2.0, 2.0)), 2)
Propose = Callable[[int, Sequence[SettingResult], Sequence[Setting]], Setting]


@dataclass
class Plan:
    """Setting k is proposed from the results of settings 0..k-in_flight; some are confirmed."""

    settings: int
    in_flight: int
    propose: Propose
    cut: Callable[[Setting], list[Block]]
    confirm: Callable[[Sequence[SettingResult]], list[Setting]]
    bought: Bought | None = None
    told: list[SettingResult] = field(default_factory=list)
    tried: list[Setting] = field(default_factory=list)

    def begin(self, told: Sequence[SettingResult]) -> list[Setting]:
        self.told, self.tried = list(told), [result.setting for result in told]
        return self.follow()

    def tell(self, result: SettingResult) -> list[Setting]:
        self.told.append(result)
        return self.follow()

    def time_left(self, restarts: float) -> None:
        if not restarts:
            self.settings = len(self.tried)
            self.bought = Bought(self.settings, 0)

    def parts(self, setting: Setting) -> list[Block]:
        return self.cut(setting)

    def follow(self) -> list[Setting]:
        before = len(self.tried)
        while (number := len(self.tried)) < self.settings:
            known = max(0, number - self.in_flight + 1)
            if known > len(self.told):
                break
            self.tried.append(self.propose(number, self.told[:known], self.tried[known:]))
        if len(self.told) == len(self.tried):
            self.tried += self.confirm(self.told)
        return self.tried[before:]


def propose(number: int, told: Sequence[SettingResult], between: Sequence[Setting]) -> Setting:
    """A rate that changes with everything a proposal may be made from."""
    seen = (number, [r.value for r in told], [s.learning_rate for s in between])
    rate = random.Random(repr(seen)).random()
    return setting(number, rate, optimizer=number % 2, restarts=6)


def _row(rate: float, start: int) -> Row:
    """Changes with the start and the rate."""
    return replace(GOOD, loss=rate / (2 + start))


def carry_out(block: Block) -> BlockResult:
    """What a task gives."""
    return block_answer(block, [_row(block.learning_rate, start) for start in block.starts])


def carry_out_whole(setting: Setting) -> SettingResult:
    """What a setting gives that is not cut."""
    return answer(setting, [_row(setting.learning_rate, start) for start in setting.starts])


def cut(setting: Setting, most: int) -> list[Block]:
    """Tasks of two starts and more, at most `most`."""
    (block,) = setting.blocks
    count = min(most, len(block.starts) // 2)
    ends = [len(block.starts) * i // count for i in range(count + 1)]
    return [replace(block, starts=block.starts[a:b]) for a, b in pairwise(ends)]


def make_plan(settings: int, in_flight: int, parts: int, refused: int) -> Plan:
    """`refused` candidates fail their confirmation, of two settings each, and the next holds."""

    def confirm(told: Sequence[SettingResult]) -> list[Setting]:
        fresh = len(told) - settings
        candidate = min(fresh // 2, refused)
        number = settings + 2 * candidate
        pair = [
            setting(
                number + i,
                (1 + i) * told[candidate % settings].value,
                role=Role.CONFIRMATION,
                first=50,
                restarts=8,
            )
            for i in range(2)
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
        results.append(carry_out_whole(settings[number]))
    while more := plan.confirm(results):
        results += [carry_out_whole(setting) for setting in more]
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
        self.past: list[Outcome] = []
        self.start()

    def start(self) -> None:
        """Begin, or begin again after a crash: of the core and the pool nothing is left."""
        self.waiting: dict[TaskId, Block] = {}
        self.submitted: set[TaskId] = set()
        self.finished = False
        self.core = Coordinator(replace(self.plan, propose=self.propose), self.study)
        self.perform(self.core.start())
        check_invariants(self.core)

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
                case Submit(task_id=task_id, block=block):
                    assert task_id not in self.submitted
                    self.submitted.add(task_id)
                    self.waiting[task_id] = block
                case Tell(result=told):
                    assert told.setting.number == len(self.study)
                    self.study.append(told)
                case Finish():
                    self.finished = True
                case Fail():
                    self.fail = action

    def deliver(self, event: Outcome) -> None:
        assert self.core.handle(TaskProgress(event.task_id, BAND)) == []
        self.waiting.pop(event.task_id, None)
        self.past.append(event)
        self.perform(self.core.handle(event))
        check_invariants(self.core)

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
        assert self.core.told == len(self.study)
        if self.fail is None:
            assert self.core.awaited == set(self.waiting)
            # Nobody idles while a proposal could be made.
            assert self.finished == (not self.waiting)
