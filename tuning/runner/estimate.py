"""What a job will cost, from a few of its own tasks, trained and judged on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from trainers import Problem, starts
from trainers.problem import evaluator
from trainers.training.sharpness_recorder import products
from tuning.analysis.comparisons import COMPARED_STARTS, compared_restarts
from tuning.errors import ProblemFailed
from tuning.execution.base import Done, Failed, Lost, TaskId
from tuning.execution.in_process import attempt
from tuning.report.formatting import seconds as clock
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.setting import Block, Role, Setting
from tuning.trial.task import TrainingConfig, most_restarts, split_into_tasks

__all__ = ["CostEstimate", "estimate"]

_MEASURE_SECONDS = 0.1  # of a gradient
_SAMPLE_SECONDS = 3.0  # of all tasks that are tried
_TASK_SECONDS = 1.5  # of one: a longer one is cut short
_LEAST_STEPS = 20
# Counted and measured on the examples.
_STARTS_OF_A_BLOCK = 10  # of a search for the cliff: of a few to some hundred
_FIRST_LOOK = 0.25  # of the fresh starts, after which a clear case is confirmed
_START_UP_SECONDS, _WRITING_SECONDS = 10.0, 10.0
_EACH_TASK_SECONDS = 0.03  # of the coordinator


@dataclass(frozen=True)
class CostEstimate:
    """An estimate for every CPU of this machine: of the whole job, in `seconds`.

    Attributes:
        settings, restarts, steps, tasks, restart_steps: of the search alone.
        restart_steps_per_second: of training, on one core, in blocks as the search has them.
        seconds: with all below. training_seconds, judging_seconds: of the search.
        confirming_seconds: of a clear case, both. around_seconds: the start of the workers, the
            coordinator's own work, the report and its pictures.
        sharpness_share: of the training, what the sharpness along the way takes.
        minutes: by which the search is cut, if the job says so; not counted in the others.
    """

    settings: int
    restarts: int
    steps: int
    parameters: int
    restart_steps: int
    tasks: int
    restart_steps_per_second: float
    cpus: int
    seconds: float
    training_seconds: float
    judging_seconds: float
    confirming_seconds: float
    around_seconds: float
    sharpness_share: float
    minutes: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.restart_steps:,} restart-steps of {self.parameters} parameters "
            f"in about {self.tasks} tasks",
            f"one core here does about {self.restart_steps_per_second:,.0f} restart-steps/s",
            f"about {clock(self.seconds)} on {self.cpus} CPUs: training "
            f"{clock(self.training_seconds)}, judging {clock(self.judging_seconds)}, confirming "
            f"{clock(self.confirming_seconds)} or more, start and report "
            f"{clock(self.around_seconds)}",
            *(
                [f"{100 * self.sharpness_share:.0f} % of the training is for the sharpness"]
                if self.sharpness_share
                else []
            ),
            *(
                [f"[budget] minutes = {self.minutes:g}: the search is cut to end in time"]
                if self.minutes is not None and self.seconds > 60 * self.minutes
                else []
            ),
        ]


@dataclass(frozen=True)
class _Sample:
    """Seconds of one core that a restart of the search takes."""

    training: float
    judging: float


def estimate(spec: JobSpec, problem: Problem) -> CostEstimate:
    """Carry out a few tasks, at rates all over the range, and multiply."""
    training = spec.training
    size, restarts, tasks = _extent(spec, problem)
    sample = _sample(spec, problem, min(size, training.restarts) if not spec.seeks_cliff else size)
    fresh, rivals = 0.0, 0
    if spec.fresh_starts:
        fresh = _FIRST_LOOK * spec.confirmation_restarts
        rivals = compared_restarts(spec)
    in_blocks = _of_larger_blocks(problem, spec, size)
    cpus = len(os.sched_getaffinity(0))
    each = sample.training + sample.judging
    train, judge = restarts * sample.training / cpus, restarts * sample.judging / cpus
    confirm = (fresh + rivals) * each * in_blocks / cpus
    around = _START_UP_SECONDS + _WRITING_SECONDS + _EACH_TASK_SECONDS * tasks
    return CostEstimate(
        settings=tasks if spec.seeks_cliff else spec.search_settings,
        restarts=training.restarts,
        steps=training.steps,
        parameters=problem.parameters,
        restart_steps=restarts * training.steps,
        tasks=tasks,
        restart_steps_per_second=training.steps / sample.training,
        cpus=cpus,
        seconds=train + judge + confirm + around,
        training_seconds=train,
        judging_seconds=judge,
        confirming_seconds=confirm,
        around_seconds=around,
        sharpness_share=_sharpness_share(spec, problem),
        minutes=spec.budget.minutes,
    )


def _extent(spec: JobSpec, problem: Problem) -> tuple[int, int, int]:
    """Restarts in a task of the search, restarts in all of it, tasks in all of it."""
    training = spec.training
    if spec.seeks_cliff:
        restarts, _ = spec.search_size
        return _STARTS_OF_A_BLOCK, restarts, max(1, restarts // _STARTS_OF_A_BLOCK)
    # Any rate will do: tasks are cut alike at all.
    lowest = {LEARNING_RATE: spec.search.learning_rate.low}
    one = Setting(0, Role.SEARCH, (Block(0, lowest, tuple(range(training.restarts))),))
    taken = max(problem.restart_bytes(rule, training.batch_size) for rule in spec.search.rules)
    cut = split_into_tasks(one, training.steps, problem.flops(), most_restarts(spec, taken))
    settings = spec.search_settings
    return len(cut[0].starts), settings * training.restarts, settings * len(cut)


def _sample(spec: JobSpec, problem: Problem, size: int) -> _Sample:
    """The mean over tasks of `size` restarts, as many as there is time for and one at least. A long
    one makes fewer steps, and what it takes is scaled: judging by the work that it may take.

    Raises:
        ProblemFailed: the problem's own code raised, as it would in the job.
    """
    steps, config = spec.training.steps, TrainingConfig.of(spec)
    predicted = steps * _gradient_seconds(spec, problem, size)
    made = steps
    if predicted > _TASK_SECONDS:
        made = min(steps, max(_LEAST_STEPS, int(steps * _TASK_SECONDS / predicted)))
    short = replace(config, steps=made)
    part = (problem.examples or 1) / (spec.training.batch_size or problem.examples or 1)

    def budget(steps: int) -> float:
        return max(problem.least_judging, spec.outcomes.polish_budget * steps / part)

    spent, begin = [], time.perf_counter()
    for number, block in enumerate(_blocks(spec, size)):
        match attempt(problem, short, TaskId(number, 0), block):
            case Done(result=done):
                spent.append((done.training_seconds, done.classifying_seconds))
            case Lost(why=why) | Failed(trace=why):
                raise ProblemFailed(f"at {LEARNING_RATE} = {block.learning_rate:.3g}: {why}")
        if time.perf_counter() - begin > _SAMPLE_SECONDS:
            break
    train, judge = np.mean(spent, axis=0) / size
    return _Sample(float(train) * steps / made, float(judge) * budget(steps) / budget(made))


def _blocks(spec: JobSpec, size: int) -> Iterator[Block]:
    """At rates from the middle of the range outwards, each optimizer at each."""
    limits = spec.search.learning_rate
    for share in (1 / 2, 5 / 6, 1 / 6, 2 / 3, 1 / 3):
        rate = limits.low ** (1 - share) * limits.high**share
        for optimizer, given in enumerate(spec.search.hyperparameters):
            yield Block(optimizer, {**given, LEARNING_RATE: rate}, tuple(range(size)))


def _gradient_seconds(spec: JobSpec, problem: Problem, rows: int) -> float:
    """Of a step of `rows` restarts, on one core."""
    w = starts(problem, restarts=rows, seed=spec.seed)
    if spec.training.batch_size is None:
        whole = evaluator(problem)
        return _seconds(lambda: whole(w))
    batch = np.arange(spec.training.batch_size)
    return _seconds(lambda: problem.loss_and_gradient(w, batch))


def _of_larger_blocks(problem: Problem, spec: JobSpec, size: int) -> float:
    """What a restart costs among as many as are confirmed at once, in parts of what it costs among
    `size`."""
    if size >= COMPARED_STARTS:
        return 1.0
    small, large = (_gradient_seconds(spec, problem, rows) for rows in (size, COMPARED_STARTS))
    return min(1.0, large / COMPARED_STARTS * size / small)


def _sharpness_share(spec: JobSpec, problem: Problem) -> float:
    """By gradients on all examples: a product takes two."""
    training = spec.training
    if training.sharpness_every is None:
        return 0.0
    spent = 2.0 * products(training.steps, training.sharpness_every)
    part = 1.0
    if training.batch_size is not None and problem.examples:
        part = training.batch_size / problem.examples
    return spent / (spent + part * training.steps)


def _seconds(call: Callable[[], object]) -> float:
    """Of one call, on one core."""
    calls = 0
    with threadpool_limits(1):
        call()
        begin = time.perf_counter()
        while (spent := time.perf_counter() - begin) < _MEASURE_SECONDS or calls == 0:
            call()
            calls += 1
    return spent / calls
