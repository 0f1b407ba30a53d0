"""What a job will cost, from one short measurement on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from trainers import Problem, starts
from trainers.problem import evaluator
from trainers.training.sharpness_recorder import products
from trainers.training.trajectories import recorded_steps
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.setting import Block, Role, Setting
from tuning.trial.task import most_restarts, split_into_tasks

__all__ = ["CostEstimate", "estimate"]

_MEASURE_SECONDS = 0.2
# Measured on the examples: judging takes about this part of its budget, of 250 gradients at least.
_JUDGING = 0.5
_STARTS_OF_A_BLOCK = 8


@dataclass(frozen=True)
class CostEstimate:
    """An estimate: settings of the search alone, no divergence, every CPU of this machine."""

    settings: int
    restarts: int
    steps: int
    parameters: int
    restart_steps: int
    tasks: int
    restart_steps_per_second: float
    cpus: int
    seconds: float
    sharpness_share: float  # of the seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.restart_steps:,} restart-steps of {self.parameters} parameters "
            f"in {self.tasks} tasks",
            f"one core here does about {self.restart_steps_per_second:,.0f} restart-steps/s",
            f"about {self.seconds:,.0f} s on {self.cpus} CPUs, with the classification, without "
            "start-up and confirmation; restarts that diverge cost less",
            *(
                [f"{100 * self.sharpness_share:.0f} % of that is for the sharpness along the way"]
                if self.sharpness_share
                else []
            ),
        ]


def estimate(spec: JobSpec, problem: Problem) -> CostEstimate:
    """Time the gradient for a moment and multiply."""
    training = spec.training
    rows = starts(problem, restarts=min(training.restarts, 64), seed=spec.seed)
    whole = evaluator(problem)
    full = _rate(lambda: whole(rows), len(rows))
    rate, looks, work = full, 0, float(training.steps)
    if training.batch_size is not None:
        batch = np.arange(training.batch_size)
        rate = _rate(lambda: problem.loss_and_gradient(rows, batch), len(rows))
        looks = len(recorded_steps(training.steps, at_no_cost=False))
        work *= training.batch_size / (problem.examples or training.batch_size)
    judging = _JUDGING * max(problem.least_judging, spec.outcomes.polish_budget * work)
    # Any rate will do: tasks are cut alike at all.
    lowest = {LEARNING_RATE: spec.search.learning_rate.low}
    one = Setting(0, Role.SEARCH, (Block(0, lowest, tuple(range(training.restarts))),))
    settings = spec.search_settings
    taken = max(problem.restart_bytes(rule, training.batch_size) for rule in spec.search.rules)
    most = most_restarts(spec, taken)
    tasks = settings * len(split_into_tasks(one, training.steps, problem.flops(), most))
    restarts = settings * training.restarts
    if spec.seeks_cliff:
        # In blocks of a few to some hundred; so many were counted on the examples.
        restarts, _ = spec.search_size
        settings = tasks = restarts // _STARTS_OF_A_BLOCK
    cpus = len(os.sched_getaffinity(0))
    every = training.sharpness_every
    sharpness = 0.0 if every is None else 2.0 * products(training.steps, every) / full
    each = training.steps / rate + (judging + looks) / full + sharpness
    return CostEstimate(
        settings=settings,
        restarts=training.restarts,
        steps=training.steps,
        parameters=problem.parameters,
        restart_steps=restarts * training.steps,
        tasks=tasks,
        restart_steps_per_second=rate,
        cpus=cpus,
        seconds=restarts * each / cpus,
        sharpness_share=sharpness / each,
    )


def _rate(call: Callable[[], object], units: int) -> float:
    """Units a second on one core."""
    calls = 0
    with threadpool_limits(1):
        call()
        begin = time.perf_counter()
        while (spent := time.perf_counter() - begin) < _MEASURE_SECONDS or calls == 0:
            call()
            calls += 1
    return calls * units / spent
