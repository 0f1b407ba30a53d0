"""A coordinator, whole but for Ray: when it holds its lease, and what it records when it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

from tests.support.fake_cluster import ADDRESS, TABLE, FakeRay, emptied
from tests.support.postgres_server import Postgres
from trainers import Problem, get_problem
from trainers.errors import Unavailable
from trainers.problem import FloatArray
from tuning.cluster import driver, submit
from tuning.errors import LeaseHeld
from tuning.execution import ray_pool
from tuning.execution.base import Pool
from tuning.execution.in_process import InProcessPool
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import FAILURE, REPORT
from tuning.storage.postgres_lease import PostgresLease
from tuning.trial.task import TrainingConfig

NOWHERE = "http://127.0.0.1:1"  # of MLflow, which is away
#: The sessions that hold a lease of this process.
OURS = f"pg_stat_activity where application_name like 'surefoot {os.getpid()}@%'"


@pytest.fixture
def job(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterJob]:
    """Submitted, and to be carried out in this process."""

    def pool(problem: Problem, config: TrainingConfig, *_: Any) -> Pool:
        return InProcessPool(problem, config)

    monkeypatch.setattr(ray_pool, "RayPool", pool)
    monkeypatch.setattr(submit, "RayJobs", FakeRay())
    monkeypatch.setattr(driver, "_TRACKING_PATIENCE_SECONDS", 0.0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", url)
    with emptied(ClusterJobs(url)) as database:
        sent = submit.submit(TABLE, address=ADDRESS, storage=url, owner="ann")
        yield database.job(sent.id)


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Problem]], None]:
    """Has the problem made as given."""

    def set_to(make: Callable[[], Problem]) -> None:
        monkeypatch.setattr(ClusterJob, "make_problem", lambda *_, **__: make())

    return set_to


def log(job: ClusterJob) -> str:
    return "\n".join(line.text for line in job.lines())


Making = Callable[[Callable[[], Problem]], None]


def test_the_lease_is_held_while_the_problem_is_made(job: ClusterJob, making: Making) -> None:
    """Its data may take longer to come than the keeper waits for a coordinator without a lease."""
    seen: list[State] = []

    def make() -> Problem:
        seen.append(job.state)
        return get_problem("double-well")

    making(make)
    assert driver.coordinate(job.id) is State.DONE, log(job)
    assert seen == [State.RUNNING]
    assert job.state is State.DONE


def test_data_that_cannot_be_had_now_are_no_failure(job: ClusterJob, making: Making) -> None:
    def make() -> Problem:
        raise Unavailable("data = 's3://a/b.csv' cannot be fetched: the server answers 503")

    making(make)
    assert driver.coordinate(job.id) is State.WAITING
    assert job.state is State.WAITING
    assert "leaves: data = 's3://a/b.csv' cannot be fetched" in log(job)


def test_a_failure_is_recorded(job: ClusterJob, making: Making) -> None:
    def make() -> Problem:
        raise ArithmeticError("there is none")

    making(make)
    assert driver.coordinate(job.id) is State.FAILED
    assert job.state is State.FAILED
    failure = job.read(FAILURE) or ""
    assert failure.startswith("the problem cannot be made on the cluster:\nTraceback")
    assert failure.endswith("ArithmeticError: there is none\n\n")


class Closed(Problem):
    """It raises as soon as it is trained."""

    parameters, known_minimum = 1, 0.0

    def initial(self, rng: np.random.Generator) -> FloatArray:
        raise ArithmeticError("there is none")

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return (w * w)[:, 0], 2.0 * w


@pytest.mark.parametrize("kind", ["made", "trained"])
def test_why_is_in_the_log_before_the_job_counts_as_failed(
    job: ClusterJob, making: Making, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whoever follows it reads no further than that."""
    keep, say = ClusterJob.write, ClusterJob.say
    seen: list[str] = []

    def write(self: ClusterJob, name: str, content: str | bytes) -> None:
        if name == FAILURE:
            seen.append(log(self))
        keep(self, name, content)

    def slowly(self: ClusterJob, *texts: str) -> None:
        time.sleep(0.3)
        say(self, *texts)

    def make() -> Problem:
        if kind == "made":
            raise ArithmeticError("there is none")
        return Closed()

    monkeypatch.setattr(ClusterJob, "write", write)
    monkeypatch.setattr(ClusterJob, "say", slowly)
    making(make)
    assert driver.coordinate(job.id) is State.FAILED
    assert seen
    for text in (*seen, log(job)):
        assert text.count("\nfailed: ") == 1
        assert "ArithmeticError: there is none" in text


def test_who_has_lost_the_lease_records_no_failure(
    job: ClusterJob, making: Making, postgres: Postgres
) -> None:
    """Another is at work, and may find that all is well."""
    with ExitStack() as other:

        class Taken(Problem):
            parameters, known_minimum = 1, 0.0

            def initial(self, rng: np.random.Generator) -> np.ndarray:
                return rng.normal(size=1)

            def loss_and_gradient(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
                postgres.execute(f"select pg_terminate_backend(pid) from {OURS}")
                other.enter_context(PostgresLease(job.database.url, job.id))
                raise ArithmeticError("not on this machine")

        making(Taken)
        assert driver.coordinate(job.id) is State.WAITING
        assert job.read(FAILURE) is None
        assert " leaves: " in log(job)
        with pytest.raises(LeaseHeld):
            job.fail("why")
        assert job.state is State.RUNNING


def test_the_lease_is_kept_and_a_stop_felt_while_mlflow_is_waited_for(
    job: ClusterJob, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow is away, for ten minutes; the keeper would take a job without its lease for dead."""
    monkeypatch.setattr(driver, "_TRACKING_PATIENCE_SECONDS", 600.0)

    def soon(what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not what():
            assert time.monotonic() < deadline, log(job)
            time.sleep(0.1)

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(driver.coordinate, job.id)
        soon(lambda: job.read(REPORT) is not None)
        [(lost, _)] = postgres.execute(f"select pid, pg_terminate_backend(pid) from {OURS}")
        soon(lambda: postgres.execute(f"select pid from {OURS}") not in ([], [(lost,)]))
        assert not job.entry.complete
        job.want("stop")
        assert ended.result(timeout=30) is State.STOPPED
    assert job.holder is None
    assert "stopped; what was done is kept" in log(job)
