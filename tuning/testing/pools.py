"""What every pool must do, whatever carries out its tasks."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainers import Problem, get_problem
from tuning.execution.base import Done, Event, Failed, Pool, TaskId, TaskProgress
from tuning.execution.in_process import InProcessPool
from tuning.spec.job import read_spec
from tuning.spec.search_space import LEARNING_RATE
from tuning.testing import problems
from tuning.testing.problems import Bowl, Leaving, Raising, Threads, of_a_script
from tuning.trial.curves import checkpoints
from tuning.trial.result import SettingResult
from tuning.trial.setting import Block, Role, Setting
from tuning.trial.task import TrainingConfig

__all__ = [
    "CONFIG",
    "PATIENCE_SECONDS",
    "POOL_CHECKS",
    "RESTARTS",
    "STEPS",
    "OpenPool",
    "carry_out",
    "collect",
    "facts",
    "task",
]

#: Makes a pool for a problem, as the constructors of ours do. A check closes what it opens.
OpenPool = Callable[[Problem, TrainingConfig], Pool]

STEPS, RESTARTS = 60, 12
CONFIG = TrainingConfig.of(
    read_spec(
        {
            "problem": {"name": "double-well"},
            "search": {"optimizers": ["gd", "adam"]},
            "training": {"steps": STEPS},
        }
    )
)
#: For all that takes a second on an idle machine: a worker starts, a killed one is missed.
PATIENCE_SECONDS = 60.0
_TIMES_OF_THE_HOST = ("training_seconds", "classifying_seconds", "finished_at")


def task(number: int, rate: float = 0.05, restarts: int = RESTARTS) -> Block:
    """A task: gradient descent for even numbers, Adam for odd ones, from its own starts."""
    first = 3 * number
    return Block(number % 2, {LEARNING_RATE: rate}, tuple(range(first, first + restarts)))


def collect(pool: Pool, count: int) -> list[Event]:
    """The next `count` events with which tasks end."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(events) < count:
        _require(
            time.monotonic() < deadline,
            f"{count} tasks, and after {PATIENCE_SECONDS:g} s only {len(events)} events: {events}",
        )
        events += [event for event in pool.wait(0.5) if not isinstance(event, TaskProgress)]
    _require(len(events) == count, f"{count} tasks, but {len(events)} events: {events}")
    return events


def carry_out(pool: Pool, tasks: Sequence[Block]) -> dict[TaskId, Event]:
    """Submit all, and wait for all; they are numbered as they come."""
    for number, one in enumerate(tasks):
        pool.submit(TaskId(number, 0), one)
    return {event.task_id: event for event in collect(pool, len(tasks))}


def facts(event: Event) -> dict[str, Any]:
    """What a task found, without the times of the host."""
    result = _done(event).result
    whole = SettingResult.join(Setting(0, Role.SEARCH, (result.block,)), [result]).to_json()
    return {key: value for key, value in whole.items() if key not in _TIMES_OF_THE_HOST}


def _done(event: Event) -> Done:
    if not isinstance(event, Done):
        raise AssertionError(f"the task should have given a result, not {event}")
    return event


def _failed(event: Event) -> Failed:
    if not isinstance(event, Failed):
        raise AssertionError(f"the problem raised, so the event is Failed, not {event}")
    return event


def _require(met: bool, otherwise: str) -> None:
    if not met:
        raise AssertionError(otherwise)


@contextmanager
def _opened(open_pool: OpenPool, problem: Problem) -> Iterator[Pool]:
    pool = open_pool(problem, CONFIG)
    try:
        yield pool
    finally:
        pool.close()


# ------------------------------------------------------------------------------ what comes back


def every_task_comes_back_once(open_pool: OpenPool) -> None:
    tasks = [task(n, restarts=2 + n % 3) for n in range(20)]
    with _opened(open_pool, get_problem("double-well")) as pool:
        events = carry_out(pool, tasks)
        expected = [TaskId(n, 0) for n in range(20)]
        _require(sorted(events) == expected, f"events of {sorted(events)}")
        for task_id, event in events.items():
            given, sent = _done(event).result.block, tasks[task_id.number]
            _require(given == sent, f"{task_id} was {sent}, and the result is of {given}")
        more = pool.wait(0.2)
        _require(more == [], f"all have come back, and then {more}")


def tasks_may_be_added_while_others_run(open_pool: OpenPool) -> None:
    with _opened(open_pool, get_problem("double-well")) as pool:
        for n in range(4):
            pool.submit(TaskId(n, 0), task(n))
        first = pool.wait(PATIENCE_SECONDS)
        seen = [event.task_id for event in first if not isinstance(event, TaskProgress)]
        again = TaskId(2, 0, attempt=1)
        pool.submit(again, task(2))
        seen += [event.task_id for event in collect(pool, 5 - len(seen))]
        expected = sorted([*(TaskId(n, 0) for n in range(4)), again])
        _require(sorted(seen) == expected, f"events of {sorted(seen)}, not of {expected}")


def an_idle_pool_does_not_wait(open_pool: OpenPool) -> None:
    """With nothing queued there is nothing to wait for, whatever the timeout."""
    with _opened(open_pool, Bowl()) as pool:
        begin = time.monotonic()
        events = pool.wait(30.0)
        took = time.monotonic() - begin
    _require(events == [], f"nothing was submitted, and {events} came")
    _require(took < 5.0, f"nothing was submitted, and wait(30) took {took:.1f} s")


def results_have_their_shapes_and_times(open_pool: OpenPool) -> None:
    """Of R restarts; the times are those of a clock that begins and ends with the task."""
    begin = time.time()
    with _opened(open_pool, get_problem("double-well")) as pool:
        (event,) = carry_out(pool, [task(0)]).values()
    result = _done(event).result
    _require(len(result.restarts) == RESTARTS, f"{len(result.restarts)} restarts, not {RESTARTS}")
    shape = (len(checkpoints(STEPS)), RESTARTS)
    for curves in (result.curves.losses, result.curves.lowest):
        _require(curves.shape == shape, f"curves of shape {curves.shape}, not {shape}")
    _require(result.training_seconds > 0, "training took no time")
    _require(result.classifying_seconds > 0, "classifying took no time")
    # One machine, one clock.
    _require(begin <= result.finished_at <= time.time(), "finished_at is not within the test")


# ---------------------------------------------------------------------------- the problem's code


def what_a_problem_raises_comes_back_with_its_traceback(open_pool: OpenPool) -> None:
    """Of the user's own line; and the pool goes on."""
    with _opened(open_pool, Raising()) as pool:
        events = carry_out(pool, [task(0, 0.5), task(2, 3.0)])
        _done(events[TaskId(0, 0)])
        trace = _failed(events[TaskId(1, 0)]).trace
        _done(carry_out(pool, [task(4, 0.5)])[TaskId(0, 0)])
    source, first = inspect.getsourcelines(Raising)
    line = first + next(i for i, text in enumerate(source) if "raise ArithmeticError" in text)
    place = f'{Path(problems.__file__).name}", line {line}, in loss_and_gradient'
    for words in ("Traceback (most recent call last)", "ArithmeticError: too far", place):
        _require(words in trace, f"{words!r} is not in the traceback:\n{trace}")


def a_problem_that_ends_the_program_ends_its_task_only(open_pool: OpenPool) -> None:
    with _opened(open_pool, Leaving()) as pool:
        try:
            (event,) = carry_out(pool, [task(0)]).values()
        except SystemExit as error:
            raise AssertionError("the problem's SystemExit ended the program") from error
    trace = _failed(event).trace
    _require("SystemExit: no licence" in trace, f"the traceback does not say why:\n{trace}")


def a_problem_of_a_script_travels(open_pool: OpenPool) -> None:
    """As one of an imported module does, and gives what it gives here."""
    for problem in (of_a_script(), Bowl()):
        with _opened(open_pool, problem) as pool:
            (there,) = carry_out(pool, [task(0)]).values()
        (here,) = carry_out(InProcessPool(problem, CONFIG), [task(0)]).values()
        _require(facts(there) == facts(here), f"{problem} gave another result there than here")


# ------------------------------------------------------------------------------------ the pool


def a_closed_pool_drops_what_is_queued(open_pool: OpenPool) -> None:
    """And may be closed twice."""
    with _opened(open_pool, get_problem("double-well")) as pool:
        for n in range(6):
            pool.submit(TaskId(n, 0), task(n))
        pool.close()
        events = pool.wait(5.0)
        _require(events == [], f"the pool was closed, and {events} came")


def a_task_has_one_blas_thread(open_pool: OpenPool) -> None:
    """More round otherwise, and so give another answer."""
    with _opened(open_pool, Threads()) as pool:
        for event in carry_out(pool, [task(n) for n in range(3)]).values():
            threads = _done(event).result.restarts.validation_loss.tolist()
            _require(threads == [1.0] * RESTARTS, f"BLAS threads of the restarts: {threads}")


_PROBLEMS: tuple[Mapping[str, Any], ...] = (
    {"name": "double-well"},
    {"name": "xor", "hidden": [2], "weight_decay": 0.01},
    {"name": "mlp", "data": "wine", "hidden": [2], "weight_decay": 0.003},
)
#: The last diverges, or walks about.
_RATES = ((0, 0.01), (1, 0.1), (2, 0.7), (4, 30.0))


def it_agrees_to_the_bit_with_this_process(open_pool: OpenPool) -> None:
    tasks = [task(number, rate) for number, rate in _RATES]
    for table in _PROBLEMS:
        problem = get_problem(**table)
        with _opened(open_pool, problem) as pool:
            there = carry_out(pool, tasks)
        here = carry_out(InProcessPool(problem, CONFIG), tasks)
        for task_id, event in here.items():
            _require(
                facts(event) == facts(there[task_id]),
                f"{table['name']}, {tasks[task_id.number]}: not what this process finds",
            )


#: Each takes something that makes pools; see the package.
POOL_CHECKS: tuple[Callable[[OpenPool], None], ...] = (
    every_task_comes_back_once,
    tasks_may_be_added_while_others_run,
    an_idle_pool_does_not_wait,
    results_have_their_shapes_and_times,
    what_a_problem_raises_comes_back_with_its_traceback,
    a_problem_that_ends_the_program_ends_its_task_only,
    a_problem_of_a_script_travels,
    a_closed_pool_drops_what_is_queued,
    a_task_has_one_blas_thread,
    it_agrees_to_the_bit_with_this_process,
)
