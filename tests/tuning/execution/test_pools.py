"""Each pool under the suite for all, and what only Ray can do: lose a worker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import OwnerDiedError
from ray.experimental.internal_kv import _internal_kv_list

import tuning
from tests.support.plugins import install, on_path
from tests.support.simulated_study import BAND
from tests.support.slow_problems import Patient
from trainers import get_problem
from trainers.problem import FloatArray
from trainers.problems.landscapes import DoubleWell
from tuning.execution.base import Done, Event, Failed, Lost, TaskId, TaskProgress
from tuning.execution.in_process import InProcessPool
from tuning.execution.ray_nodes import own_address
from tuning.execution.ray_pool import RayPool
from tuning.execution.ray_session import ONE_THREAD
from tuning.search.loop import Progress
from tuning.testing import POOL_CHECKS, OpenPool
from tuning.testing.pools import (
    CONFIG,
    PATIENCE_SECONDS,
    RESTARTS,
    STEPS,
    carry_out,
    collect,
    facts,
    task,
)
from tuning.testing.problems import Bowl
from tuning.trial.watch import LossBand

pytestmark = pytest.mark.usefixtures("no_pictures")


class Immovable(Bowl):
    """Can be sent, but does not arrive."""

    def __init__(self) -> None:
        self.weight = 1.0  # pickle asks for no state where there is none

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise RuntimeError("cannot live here")


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


# ------------------------------------------------------------------------------ every pool


@pytest.mark.parametrize("check", POOL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("pool", [InProcessPool, pytest.param(RayPool, marks=pytest.mark.cluster)])
def test_it_does_what_every_pool_must(
    request: pytest.FixtureRequest, pool: OpenPool, check: Callable[[OpenPool], None]
) -> None:
    if pool is RayPool:
        request.getfixturevalue("ray")
    check(pool)


class Telling(InProcessPool):
    """Says how far each task is, as a pool may."""

    def wait(self, timeout: float) -> list[Event]:
        ended = super().wait(timeout)
        return [e for end in ended for e in (TaskProgress(end.task_id, BAND), end)]


@pytest.mark.parametrize("check", POOL_CHECKS, ids=lambda check: check.__name__)
def test_a_pool_may_say_how_far_its_tasks_are(check: Callable[[OpenPool], None]) -> None:
    check(Telling)


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
def test_a_task_that_takes_long_says_how_far_it_is() -> None:
    pool = RayPool(Patient(STEPS, 14.0), CONFIG)
    for number in range(2):
        pool.submit(TaskId(number, 0), task(number))
    told: dict[TaskId, list[LossBand]] = {TaskId(number, 0): [] for number in range(2)}
    ended: dict[TaskId, Done] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(ended) < 2:
        assert time.monotonic() < deadline, told
        for event in pool.wait(0.5):
            if isinstance(event, TaskProgress):
                assert event.task_id not in ended
                told[event.task_id].append(event.losses)
            else:
                assert isinstance(event, Done)
                ended[event.task_id] = event
    for task_id, bands in told.items():
        steps, whole = [band.steps[-1] for band in bands], ended[task_id].result.curves.thinned(36)
        assert len(bands) >= 1
        assert steps == sorted(set(steps))  # what was told once is not told again
        assert bands[-1].restarts == RESTARTS
        known = whole.quantiles()[:, : len(bands[-1].steps)].tolist()
        assert bands[-1].quantiles == tuple(map(tuple, known))
    time.sleep(2.1)
    pool.wait(0.1)
    # What has ended is forgotten there.
    assert not _internal_kv_list(pool._heard.name, namespace="surefoot")
    pool.close()


@pytest.mark.usefixtures("ray")
def test_a_problem_that_does_not_arrive_is_the_problem_s_failure() -> None:
    pool = RayPool(Immovable(), CONFIG)
    (event,) = carry_out(pool, [task(0)]).values()
    pool.close()
    assert isinstance(event, Failed)
    assert "cannot live here" in event.trace


@pytest.mark.usefixtures("ray")
def test_a_plug_in_that_a_worker_lacks_is_named(tmp_path: Path) -> None:
    """What is put on this process's path later than Ray was started is not on its workers'."""
    code = "from trainers.problems.landscapes import DoubleWell\nclass Well(DoubleWell): pass\n"
    install(
        tmp_path,
        "surefoot-well",
        {"plugged_well": code, "plugged_other": code},
        problems={"well": "plugged_well:Well"},
    )
    with on_path(tmp_path):
        for name, module, what in (
            ("well", "plugged_well", "surefoot-well 1.0"),
            ("plugged_other:Well", "plugged_other", "the distribution that has it"),
        ):
            pool = RayPool(get_problem(name), CONFIG)
            (event,) = carry_out(pool, [task(0)]).values()
            pool.close()
            assert isinstance(event, Failed)
            assert event.trace == (
                f"node {own_address()} has no module {module!r}: install {what} there, and on "
                "every node"
            )


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
        # 2 s on an idle machine, and a worker must be started first.
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
        "search": {"sampler": "tpe", "settings": 6, "learning_rate": {"low": 1e-3, "high": 1.0}},
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
