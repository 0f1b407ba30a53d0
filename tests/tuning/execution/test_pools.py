"""One conformance suite for every pool, and what only Ray can do: lose a worker."""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import OwnerDiedError
from threadpoolctl import threadpool_info

import tuning
from tests.support.made_results import block, setting
from trainers import Problem, get_problem
from trainers.problem import FloatArray
from trainers.problems.landscapes import DoubleWell
from tuning.execution.base import Done, Event, Failed, Lost, Pool, TaskId, TaskProgress
from tuning.execution.in_process import InProcessPool
from tuning.execution.ray_pool import RayPool
from tuning.execution.ray_session import ONE_THREAD
from tuning.search.loop import Progress
from tuning.spec.job import read_spec
from tuning.trial.result import SettingResult
from tuning.trial.setting import Block
from tuning.trial.task import TrainingConfig, checkpoints

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
pytestmark = pytest.mark.usefixtures("no_pictures")
#: Ray sees a killed worker within 2 s on an idle machine.
PATIENCE_SECONDS = 60.0


class Bowl(Problem):
    """J(w) = |w|^2 / 2, for problems that do something else beside."""

    known_minimum = 0.0
    parameters = 2

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-1.0, 1.0, 2)

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        return 0.5 * (w * w).sum(axis=1), w.copy()


class Raising(Bowl):
    """Raises far out, where only a rate above the limit of 2 leads."""

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        if np.abs(w).max() > 10.0:
            raise ArithmeticError("too far")
        return super().loss_and_gradient(w, *batch)


class Leaving(Bowl):
    """Ends the program, as a script's `main` would."""

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        raise SystemExit("no licence")


class Immovable(Bowl):
    """Can be sent, but does not arrive."""

    def __init__(self) -> None:
        self.weight = 1.0  # pickle asks for no state where there is none

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise RuntimeError("cannot live here")


class Threads(Bowl):
    """Its validation loss is the number of threads of the busiest BLAS."""

    def validation_loss(self, w: FloatArray) -> FloatArray:
        assert np.isfinite(w @ w.T).all()
        blas = [library["num_threads"] for library in threadpool_info()]
        return np.full(len(w), float(max(blas)))


class Environment(Bowl):
    """Its validation loss says how many of the variables that make BLAS threads are 1."""

    def validation_loss(self, w: FloatArray) -> FloatArray:
        return np.full(len(w), float(sum(os.environ.get(name) == "1" for name in ONE_THREAD)))


class Deadly(DoubleWell):
    """Kills the process that trains it, in the middle and once; never the one it was made in."""

    def __init__(self, flag: Path) -> None:
        self.flag, self.home, self.calls = flag, os.getpid(), 0
        super().__init__()

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        self.calls += 1
        if os.getpid() != self.home and self.calls > STEPS // 2 and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss_and_gradient(w, *batch)


@pytest.fixture(params=[InProcessPool, RayPool])
def open_pool(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[Problem], Pool]]:
    """Opens pools of one kind, and closes them when the test is over."""
    if request.param is RayPool:
        request.getfixturevalue("ray")
    opened: list[Pool] = []

    def make(problem: Problem) -> Pool:
        opened.append(request.param(problem, CONFIG))
        return opened[-1]

    yield make
    for pool in opened:
        pool.close()


def task(number: int, rate: float = 0.05, restarts: int = RESTARTS) -> Block:
    return block(rate, optimizer=number % 2, first=3 * number, restarts=restarts)


def collect(pool: Pool, count: int) -> list[Event]:
    """The next `count` events with which tasks end."""
    events: list[Event] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(events) < count:
        assert time.monotonic() < deadline, events
        events += [e for e in pool.wait(0.5) if not isinstance(e, TaskProgress)]
    assert len(events) == count
    return events


def carry_out(pool: Pool, tasks: Sequence[Block]) -> dict[TaskId, Event]:
    """Submit all, and wait for all."""
    for number, one in enumerate(tasks):
        pool.submit(TaskId(number, 0), one)
    return {event.task_id: event for event in collect(pool, len(tasks))}


def facts(event: Event) -> dict[str, Any]:
    """What a task found, without the times of the host."""
    assert isinstance(event, Done), event
    times = ("training_seconds", "classifying_seconds", "finished_at")
    whole = SettingResult.join(setting(0, 1.0), [event.result]).to_json()
    return {key: v for key, v in whole.items() if key not in times}


# --------------------------------------------------------------------------------- every pool


def test_every_ticket_comes_back_once(open_pool: Callable[[Problem], Pool]) -> None:
    pool = open_pool(get_problem("double-well"))
    tasks = [task(n, restarts=2 + n % 3) for n in range(20)]
    events = carry_out(pool, tasks)
    assert sorted(events) == [TaskId(n, 0) for n in range(20)]
    for task_id, event in events.items():
        assert isinstance(event, Done)
        assert event.result.block == tasks[task_id.number]
    assert pool.wait(0.2) == []


def test_tickets_may_be_added_while_others_run(open_pool: Callable[[Problem], Pool]) -> None:
    pool = open_pool(get_problem("double-well"))
    for n in range(4):
        pool.submit(TaskId(n, 0), task(n))
    seen = [event.task_id for event in pool.wait(PATIENCE_SECONDS)]
    pool.submit(TaskId(2, 0, attempt=1), task(2))
    seen += [event.task_id for event in collect(pool, 5 - len(seen))]
    assert sorted(seen) == sorted([*(TaskId(n, 0) for n in range(4)), TaskId(2, 0, attempt=1)])


def test_nothing_queued_is_no_reason_to_wait(open_pool: Callable[[Problem], Pool]) -> None:
    pool = open_pool(Bowl())
    begin = time.monotonic()
    assert pool.wait(30.0) == []
    assert time.monotonic() - begin < 5.0


def test_shapes_and_times(open_pool: Callable[[Problem], Pool]) -> None:
    begin = time.time()
    (event,) = carry_out(open_pool(get_problem("double-well")), [task(0)]).values()
    assert isinstance(event, Done)
    result = event.result
    kept = len(checkpoints(STEPS))
    assert len(result.restarts) == len(result.restarts.reason) == RESTARTS
    assert result.curves.losses.shape == result.curves.lowest.shape == (kept, RESTARTS)
    assert result.training_seconds > 0
    assert result.classifying_seconds > 0
    # One machine, one clock.
    assert begin <= result.finished_at <= time.time()


def test_what_the_user_s_code_raises_comes_back_with_its_traceback(
    open_pool: Callable[[Problem], Pool],
) -> None:
    pool = open_pool(Raising())
    events = carry_out(pool, [task(0, 0.5), task(2, 3.0)])
    good, bad = events[TaskId(0, 0)], events[TaskId(1, 0)]
    assert isinstance(good, Done)
    assert isinstance(bad, Failed)
    assert bad.trace.startswith("Traceback (most recent call last)")
    assert bad.trace.rstrip().endswith("ArithmeticError: too far")
    lines, first = inspect.getsourcelines(Raising)
    line = first + next(i for i, text in enumerate(lines) if "raise ArithmeticError" in text)
    assert f'{Path(__file__).name}", line {line}, in loss_and_gradient' in bad.trace
    # The pool goes on.
    assert isinstance(carry_out(pool, [task(4, 0.5)])[TaskId(0, 0)], Done)


def test_a_problem_that_ends_the_program_ends_its_task_only(
    open_pool: Callable[[Problem], Pool],
) -> None:
    (event,) = carry_out(open_pool(Leaving()), [task(0)]).values()
    assert isinstance(event, Failed)
    assert "SystemExit: no licence" in event.trace


def test_closing_drops_what_is_queued_and_may_be_done_twice(
    open_pool: Callable[[Problem], Pool],
) -> None:
    pool = open_pool(get_problem("double-well"))
    for n in range(6):
        pool.submit(TaskId(n, 0), task(n))
    pool.close()
    assert pool.wait(5.0) == []
    pool.close()


def test_tasks_have_one_blas_thread(open_pool: Callable[[Problem], Pool]) -> None:
    for event in carry_out(open_pool(Threads()), [task(n) for n in range(3)]).values():
        assert isinstance(event, Done)
        assert event.result.restarts.validation_loss.tolist() == [1.0] * RESTARTS


MAIN = """
from __future__ import annotations
import numpy as np
from trainers import Problem

class Tilted(Problem):
    parameters = 3
    def initial(self, rng):
        return rng.uniform(-1.0, 1.0, 3)
    def loss_and_gradient(self, w):
        return HEIGHT * (w**4 - w**2 + 0.1 * w).sum(axis=1), HEIGHT * (4 * w**3 - 2 * w + 0.1)

HEIGHT = 1.5
"""


def test_a_class_of_a_script_travels(open_pool: Callable[[Problem], Pool]) -> None:
    """A class of `__main__`, and what it refers to there, can only travel by value."""
    script: dict[str, Any] = {"__name__": "__main__"}
    exec(MAIN, script)
    problem = script["Tilted"]()
    assert type(problem).__module__ == "__main__"
    (event,) = carry_out(open_pool(problem), [task(0)]).values()
    (here,) = carry_out(InProcessPool(problem, CONFIG), [task(0)]).values()
    assert facts(event) == facts(here)


def test_a_class_of_an_imported_module_travels(open_pool: Callable[[Problem], Pool]) -> None:
    (event,) = carry_out(open_pool(Bowl()), [task(1)]).values()
    assert isinstance(event, Done)
    np.testing.assert_array_equal(event.result.restarts.largest_curvature.round(6), 1.0)


class Telling(InProcessPool):
    """Says how far each task is, as a pool may."""

    def wait(self, timeout: float) -> list[Event]:
        ended = super().wait(timeout)
        return [e for end in ended for e in (TaskProgress(end.task_id, STEPS // 2), end)]


def test_a_pool_may_say_how_far_its_tasks_are() -> None:
    tasks = [task(n) for n in range(3)]
    silent, telling = (carry_out(pool(Bowl(), CONFIG), tasks) for pool in (InProcessPool, Telling))
    assert sorted(silent) == sorted(telling)
    assert all(facts(silent[one]) == facts(telling[one]) for one in silent)


# ----------------------------------------------------------------------------- pools together


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize(
    "problem",
    [
        {"name": "double-well"},
        {"name": "xor", "hidden": [2], "weight_decay": 0.01},
        {"name": "mlp", "data": "wine", "hidden": [2], "weight_decay": 0.003},
    ],
    ids=lambda table: str(table["name"]),
)
def test_pools_agree_to_the_bit(problem: dict[str, Any]) -> None:
    made = get_problem(**problem)
    # The last diverges, or walks about.
    tasks = [task(0, 0.01), task(1, 0.1), task(2, 0.7), task(4, 30.0)]
    here, there = InProcessPool(made, CONFIG), RayPool(made, CONFIG)
    try:
        one, other = carry_out(here, tasks), carry_out(there, tasks)
    finally:
        there.close()
    for task_id, event in one.items():
        assert facts(event) == facts(other[task_id])


# ------------------------------------------------------------------------------------ Ray alone


@pytest.mark.usefixtures("ray")
def test_workers_start_with_one_thread() -> None:
    """Set before NumPy is imported there, for what is not under threadpoolctl's rule."""
    pool = RayPool(Environment(), CONFIG)
    (event,) = carry_out(pool, [task(0)]).values()
    pool.close()
    assert isinstance(event, Done)
    assert event.result.restarts.validation_loss.tolist() == [float(len(ONE_THREAD))] * RESTARTS


@pytest.mark.usefixtures("ray")
def test_a_problem_that_does_not_arrive_is_the_problem_s_failure() -> None:
    pool = RayPool(Immovable(), CONFIG)
    (event,) = carry_out(pool, [task(0)]).values()
    pool.close()
    assert isinstance(event, Failed)
    assert "cannot live here" in event.trace


@pytest.mark.usefixtures("ray")
def test_a_problem_that_the_cluster_has_lost_is_no_failure() -> None:
    """A worker that cannot fetch a task's arguments raises so, in the task's name."""

    def lose(*_: Any) -> None:
        raise OwnerDiedError("00", b"", "")

    pool = RayPool(Bowl(), CONFIG)
    pool._remote = pool._ray.remote(max_retries=0)(lose)
    (event,) = carry_out(pool, [task(0)]).values()
    pool.close()
    assert isinstance(event, Lost)
    assert "OwnerDiedError" in event.why


@pytest.mark.usefixtures("ray")
def test_a_killed_worker_loses_its_task_and_no_other(tmp_path: Path) -> None:
    pool = RayPool(Deadly(tmp_path / "killed"), CONFIG)
    try:
        first = TaskId(0, 0)
        pool.submit(first, task(0))
        begin = time.monotonic()
        (event,) = collect(pool, 1)
        # 2 s on an idle machine (see `PATIENCE_SECONDS`), and a worker must be started first.
        assert time.monotonic() - begin < 15.0
        assert isinstance(event, Lost)
        assert event.task_id == first
        assert "WorkerCrashedError" in event.why
        assert len(event.why.splitlines()) == 1
        # Ray did not try again behind our back, and goes on.
        assert pool.wait(1.0) == []
        (again,) = carry_out(pool, [task(0)]).values()
        (calm,) = carry_out(InProcessPool(DoubleWell(), CONFIG), [task(0)]).values()
        assert facts(again) == facts(calm)
    finally:
        pool.close()


@pytest.mark.usefixtures("ray")
def test_a_job_whose_worker_was_killed_gives_the_report_of_one_left_alone(tmp_path: Path) -> None:
    tables: dict[str, Any] = {
        "search": {"settings": 6, "learning_rate": {"low": 1e-3, "high": 1.0}},
        "training": {"restarts": 16, "steps": STEPS},
        "stability": {"max_unstable": 0.2},
    }
    flag, lost = tmp_path / "killed", []

    def listen(progress: Progress) -> None:
        lost.append(progress.lost)

    disturbed = tuning.tune(problem=Deadly(flag), home=tmp_path, progress=listen, **tables)
    assert flag.exists()
    assert lost[-1] >= 1
    calm = tuning.tune(problem=Deadly(flag), home=tmp_path, workers="inline", **tables)
    assert {**disturbed.to_dict(), "run": None} == {**calm.to_dict(), "run": None}
