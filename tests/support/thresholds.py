"""Starts with known thresholds, and a synthetic trainer: who is trained above its own falls."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tests.support.made_results import DIVERGED, GOOD, Row, restarts
from tuning.execution.base import Done
from tuning.search.actions import Fail, Finish, Submit, Tell
from tuning.search.coordinator import Coordinator
from tuning.search.plan import JobPlan
from tuning.spec.job import JobSpec
from tuning.trial.result import BlockResult, Curves, Restarts, SettingResult
from tuning.trial.setting import Block

FloatArray = NDArray[np.float64]

Draw = Callable[[np.random.Generator, int], FloatArray]
Below = Callable[[FloatArray], FloatArray]

_SCALE = 0.25 / np.log(10)
#: Distributions of log10 of a start's threshold around 0, each with its distribution function.
KINDS: dict[str, tuple[Draw, Below]] = {
    "logistic": (
        lambda rng, n: rng.logistic(scale=_SCALE, size=n),
        lambda x: stats.logistic.cdf(x / _SCALE),
    ),
    "narrow": (
        lambda rng, n: rng.logistic(scale=0.03 / np.log(10), size=n),
        lambda x: stats.logistic.cdf(x * np.log(10) / 0.03),
    ),
    "heavy": (
        lambda rng, n: rng.standard_t(2, size=n) * _SCALE,
        lambda x: stats.t.cdf(x / _SCALE, 2),
    ),
    "bimodal": (
        lambda rng, n: rng.logistic(scale=_SCALE, size=n) - (rng.random(n) < 0.1),
        lambda x: 0.9 * stats.logistic.cdf(x / _SCALE) + 0.1 * stats.logistic.cdf((x + 1) / _SCALE),
    ),
    # As where most starts share a minimum, 2 / curvature of which is the threshold of all of them.
    "steep": (
        lambda rng, n: np.where(rng.random(n) < 0.08, -0.15, 0.001) * rng.random(n),
        lambda x: 0.08 * np.clip(1 + x / 0.15, 0, 1) + 0.92 * np.clip(x / 0.001, 0, 1),
    ),
}

_CHECKPOINTS = np.unique(np.geomspace(1, 100_000, 81).round().astype(np.int64))


class Starts:
    """Start i falls at rates above `threshold(i)`; thresholds are drawn anew for each `seed`.

    Args:
        kind: of `KINDS`. luck: instead of thresholds, each training of a start has luck of its own.
    """

    def __init__(self, kind: str, seed: int, *, luck: bool = False) -> None:
        #: For those who would tell apart the starts of a search from the others.
        self.searched = 0
        rng = np.random.default_rng([seed, 13])
        self.centre = float(rng.uniform(-1, 0))
        draw, self._below = KINDS[kind]
        self._thresholds = self.centre + draw(rng, 20_000)
        self._luck = rng if luck else None

    def unstable(self, rate: float) -> float:
        """P(unstable), the truth."""
        return float(self._below(np.array(np.log10(rate) - self.centre)))

    def cliff(self, limit: float = 0.05) -> float:
        """The rate at which P(unstable) is `limit`."""
        grid = np.linspace(-4, 2, 60_001)
        return float(10 ** (self.centre + grid[np.argmax(self._below(grid) > limit)]))

    def falls(self, start: int, rate: float) -> bool:
        """Whether a start that has a threshold falls."""
        return bool(np.log10(rate) > self._thresholds[start])

    def fall(self, block: Block) -> NDArray[np.bool_]:
        """(R,): who falls."""
        if self._luck is not None:
            return self._luck.random(len(block.starts)) < self.unstable(block.learning_rate)
        fell: NDArray[np.bool_] = (
            np.log10(block.learning_rate) > self._thresholds[list(block.starts)]
        )
        return fell

    def train(self, block: Block) -> BlockResult:
        """What a task gives. Who holds reaches the minimum after 100 / rate steps, who falls
        diverges after a few."""
        fell = self.fall(block)
        good, bad = _alike(GOOD, len(fell)), _alike(DIVERGED, len(fell))
        table = Restarts(
            **{
                f.name: np.where(fell, getattr(bad, f.name), getattr(good, f.name))
                for f in fields(Restarts)
            }
        )
        steps = np.concatenate([[0], _CHECKPOINTS])
        there = (steps >= 100 / block.learning_rate)[:, np.newaxis] & ~fell
        losses = np.where(there, 0.0, np.where(fell, np.nan, 1.0)).astype(np.float32)
        losses[0] = 1.0
        curves = Curves(steps, losses, np.fmin.accumulate(losses, axis=0))
        return BlockResult(block, table, curves, 1.0, 0.5, 100.0)


@cache
def _alike(row: Row, count: int) -> Restarts:
    return restarts([row] * count)


class Trainer(Protocol):
    """Who carries out a task."""

    def train(self, block: Block) -> BlockResult: ...


def carry_out(
    spec: JobSpec,
    trainer: Trainer,
    told: Sequence[SettingResult] = (),
    *,
    known_minimum: float | None = 0.0,
    until: int | None = None,
    out_of_time_at: int | None = None,
    time_left: float = 0.0,
    affordable: float = inf,
    order: random.Random | None = None,
) -> list[SettingResult]:
    """The whole job, by the real coordinator, from where its study stands.

    Args:
        until: killed when so many trials have been told. out_of_time_at: when so many have been,
            there is time for `time_left` more, those in flight among them. affordable: how many
            there is time for in all. order: in which tasks end; as they were submitted unless
            given.
    """
    core = Coordinator(JobPlan(spec, 1.0, known_minimum), told)
    told = list(told)
    actions = core.start()
    waiting: list[Submit] = []
    trained = 0
    while True:
        for action in actions:
            match action:
                case Submit():
                    waiting.append(action)
                case Tell(result=result):
                    told.append(result)
                    if len(told) == until:
                        return told
                case Finish():
                    return told
                case Fail(why=why):
                    raise AssertionError(why)
        submit = waiting.pop(order.randrange(len(waiting)) if order else 0)
        before = len(told)
        actions = core.handle(Done(submit.task_id, trainer.train(submit.block)))
        if out_of_time_at is not None and before >= out_of_time_at:
            core.time_left(time_left)
            out_of_time_at = None
        trained += len(submit.block.starts)
        core.time_left(affordable - trained)
