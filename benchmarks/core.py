"""The coordinator's core with a fake clock: a million blocks, ten thousand workers."""

from __future__ import annotations

import heapq
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from tests.support.made_results import GOOD, block_answer
from tuning.cliff import Campaign, Goal, RateRange, Trained, granted, reserve
from tuning.cliff.rounds import Asked, Probe, Steps
from tuning.execution.base import Done, Lost
from tuning.search.actions import Finish, Submit, Tell
from tuning.search.coordinator import Coordinator, Plan
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.result import BlockResult, SettingResult
from tuning.trial.setting import Block, Role, Setting

__all__ = ["core"]

BLOCKS, WORKERS, RESTARTS = 1_000_000, 10_000, 384
_LOST = 0.01
_GOAL = Goal(RateRange(1e-3, 10.0), 0.05, 0.95)


class Grid:
    """Blocks of two starts, so many in flight."""

    bought = None

    def __init__(self, blocks: int, in_flight: int) -> None:
        self._blocks, self._in_flight, self._tried, self._told = blocks, in_flight, 0, 0

    def begin(self, told: Sequence[SettingResult]) -> list[Setting]:
        return self._more()

    def tell(self, result: SettingResult) -> list[Setting]:
        self._told += 1
        return self._more()

    def time_left(self, restarts: float) -> None:
        """There is always time."""

    def parts(self, setting: Setting) -> list[Block]:
        return list(setting.blocks)

    def _more(self) -> list[Setting]:
        first = self._tried
        self._tried = min(self._blocks, self._told + self._in_flight)
        return [
            _setting(n, 0, Probe(1e-3 * (1 + n), (0, 1), fresh=True))
            for n in range(first, self._tried)
        ]


class Cliffs(Grid):
    """Searches for the cliff, each on starts of its own kind, so many at a time, until there have
    been as many blocks."""

    def __init__(self, blocks: int, at_a_time: int) -> None:
        super().__init__(blocks, 0)
        self._at_a_time = at_a_time
        self._next = 0
        self._going: dict[int, tuple[Campaign, Steps[None], list[Trained], int]] = {}

    def begin(self, told: Sequence[SettingResult]) -> list[Setting]:
        return [setting for _ in range(self._at_a_time) for setting in self._begin_one()]

    def tell(self, result: SettingResult) -> list[Setting]:
        number = result.setting.optimizer
        _, _, found, wanted = self._going[number]
        rate, starts = result.setting.learning_rate, np.array(result.setting.starts)
        fell = np.log10(rate) > _thresholds(number % 100)[starts]
        probe = result.setting.role is Role.PROBE
        found.append(Trained(rate, starts, fell, result.setting.round, fresh=not probe))
        return self._follow(number, found) if len(found) == wanted else []

    def _begin_one(self) -> list[Setting]:
        if self._tried >= self._blocks:
            return []
        number, self._next = self._next, self._next + 1
        campaign = Campaign(_GOAL, dict)
        steps = campaign.steps()
        return self._ask(number, campaign, steps, next(steps))

    def _follow(self, number: int, found: list[Trained]) -> list[Setting]:
        campaign, steps, _, _ = self._going.pop(number)
        try:
            return self._ask(number, campaign, steps, steps.send(found))
        except StopIteration:
            return self._begin_one()

    def _ask(
        self, number: int, campaign: Campaign, steps: Steps[None], asked: Asked
    ) -> list[Setting]:
        def fits(trainings: int, starts: int) -> bool:
            return campaign.explored + trainings + reserve(starts) <= RESTARTS

        probes = granted(asked, campaign.starts, fits)
        self._going[number] = campaign, steps, [], len(probes)
        if not probes:
            return self._follow(number, [])
        first, self._tried = self._tried, self._tried + len(probes)
        return [_setting(first + i, number, probe) for i, probe in enumerate(probes)]


def _setting(number: int, optimizer: int, probe: Probe) -> Setting:
    block = Block(optimizer, {LEARNING_RATE: probe.rate}, probe.starts)
    return Setting(number, Role.SEARCH if probe.fresh else Role.PROBE, (block,), 0)


@cache
def _thresholds(kind: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(kind).logistic(-0.5, 0.1, RESTARTS)


@cache
def _alike(starts: int) -> BlockResult:
    return block_answer(Block(0, {LEARNING_RATE: 1.0}, tuple(range(starts))), [GOOD] * starts)


def simulate(plan: Plan, workers: int) -> tuple[int, float, list[int]]:
    """Trials told, CPU seconds, and the memory in MB at each tenth."""
    rng, begin = random.Random(0), time.process_time()
    core, now, told, memory = Coordinator(plan), 0.0, 0, []
    running: list[tuple[float, int, Submit]] = []
    waiting: list[Submit] = []
    actions, count, finished = core.start(), 0, False
    while not finished:
        for action in actions:
            match action:
                case Submit():
                    waiting.append(action)
                case Tell():
                    told += 1
                    if told % (BLOCKS // 10) == 0:
                        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
                case Finish():
                    finished = True
        while waiting and len(running) < workers:
            count += 1
            heapq.heappush(running, (now + rng.expovariate(1.0), count, waiting.pop()))
        if running:
            now, _, task = heapq.heappop(running)
            if rng.random() < _LOST:
                actions = core.handle(Lost(task.task_id, "killed"))
            else:
                result = replace(_alike(len(task.block.starts)), block=task.block)
                actions = core.handle(Done(task.task_id, result))
    return told, time.process_time() - begin, memory


def core() -> list[str]:
    """Lines of Markdown."""
    lines = [
        "| proposals | blocks | told a second (asked: 5,000) | memory at a tenth, at the end |",
        "| --- | --- | --- | --- |",
    ]
    plans = {"grid": Grid(BLOCKS, WORKERS), "cliff": Cliffs(BLOCKS, WORKERS // 4)}
    for name, plan in plans.items():
        told, seconds, memory = simulate(plan, WORKERS)
        lines.append(
            f"| {name} | {told:,} | {told / seconds:,.0f} | {memory[0]} MB, {memory[-1]} MB |"
        )
    return lines
