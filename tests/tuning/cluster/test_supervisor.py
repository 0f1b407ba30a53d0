"""Jobs whose coordinator has died get another, and no others do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Barrier, Thread
from types import SimpleNamespace

import pytest

from tests.support.fake_cluster import FakeRay, add, emptied, new_url, tell
from tests.support.postgres_server import Postgres
from tuning.cluster import supervisor
from tuning.cluster.launch import launch
from tuning.cluster.ray_jobs import RayJobs
from tuning.cluster.supervisor import Supervisor, pause_before
from tuning.errors import RayUnreachable
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import BUNDLE, FAILURE, REPORT
from tuning.storage.postgres_lease import PostgresLease

MAX_IDLE_ATTEMPTS = 2  # instead of more
BLINK = 7.0  # a little more than a coordinator has to come back


class Enough(Exception):
    """The test has seen it."""


@dataclass
class World:
    """A keeper, its database, and a Ray that does what it is told."""

    url: str
    ray: FakeRay
    said: list[str] = field(default_factory=list)
    seconds: float = 0.0
    pauses: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = ClusterJobs(self.url)
        self.supervisor = Supervisor(self.database, self.said.append)

    def sleep(self, seconds: float) -> None:
        """Do what is next, or end."""
        if not self.pauses:
            raise Enough
        self.pauses.pop(0)()

    def check_jobs(self, after: float = 1000.0) -> list[str]:
        """Look twice, seven seconds apart, so many seconds after the last submissions."""
        with self.database.session() as session:
            session.execute(
                "update surefoot_job set submitted = now() - make_interval(secs => %s)", [after]
            )
        first = self.supervisor.check_jobs()
        self.seconds += BLINK
        return first + self.supervisor.check_jobs()


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return new_url(postgres)


@pytest.fixture
def world(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    ray = FakeRay()
    monkeypatch.setattr(supervisor, "RayJobs", ray)
    made = World(url, ray)
    monkeypatch.setattr(supervisor, "MAX_IDLE_ATTEMPTS", MAX_IDLE_ATTEMPTS)
    clock = SimpleNamespace(monotonic=lambda: made.seconds, sleep=made.sleep)
    monkeypatch.setattr(supervisor, "time", clock)
    with emptied(made.database):
        yield made


def started(world: World, job_id: str = "job") -> ClusterJob:
    """A job whose first coordinator was asked for."""
    job = add(world.database, job_id)
    assert job.id in world.check_jobs()
    return job


def test_no_database_no_jobs(world: World) -> None:
    assert world.supervisor.check_jobs() == []


def test_a_job_that_was_submitted_and_never_launched(world: World) -> None:
    job = add(world.database)
    job.write(BUNDLE, b"zip")
    assert world.supervisor.check_jobs() == ["job"]
    [(submission, entrypoint, bundle, metadata)] = world.ray.submitted
    assert submission.startswith("job.")
    assert submission.endswith(".1")
    assert entrypoint == "python -m tuning coordinate job"
    assert bundle == b"zip"
    assert metadata == {"surefoot.job": "job", "owner": "ann"}
    assert world.supervisor.check_jobs() == []  # it may still be starting
    assert (job.lines(), world.said) == ([], [])


def test_one_that_died_one_that_is_being_waited_for_and_one_that_ray_forgot(world: World) -> None:
    job = started(world)
    assert world.check_jobs(after=4.0) == []
    assert world.check_jobs(after=6.0) == []  # Ray has it alive
    world.ray.die()
    assert world.check_jobs(after=4.0) == []
    assert world.check_jobs(after=6.0) == ["job"]
    assert [line.text for line in job.lines()] == [
        "the keeper asks for coordinator 2, from result 0 on"
    ]
    assert world.said == ["job: the keeper asks for coordinator 2, from result 0 on"]
    world.ray.die()
    assert world.check_jobs(after=9.0) == []  # it told nothing: the pause is longer
    assert world.check_jobs(after=11.0) == ["job"]
    assert job.entry.attempt == 3
    tell(job, 0)
    world.ray.die()
    assert world.check_jobs() == ["job"]
    world.ray.forget()
    assert world.check_jobs(after=29.0) == []  # it may still be on its way to Ray
    assert world.check_jobs(after=31.0) == ["job"]


def test_who_was_cut_off_has_time_to_come_back(world: World) -> None:
    started(world)
    world.ray.die()  # its driver left; another one, from before, had the lease
    world.supervisor.check_jobs()
    world.seconds += 5
    assert world.supervisor.check_jobs() == []
    with PostgresLease(world.url, "job"):
        assert world.supervisor.check_jobs() == []
    world.seconds += 5
    assert world.supervisor.check_jobs() == []  # its time begins anew


def test_one_without_its_lease_is_stopped_when_patience_ends(world: World) -> None:
    job = started(world)
    assert world.check_jobs() == []
    world.seconds += 90 - 3 * BLINK
    assert world.check_jobs() == []
    with PostgresLease(world.url, "job"):  # the database was away, and it came back
        assert world.check_jobs() == []
    assert world.check_jobs() == []  # its time begins anew
    world.seconds += 91
    assert world.check_jobs() == ["job"]
    assert world.ray.stopped == [world.ray.submitted[0][0]]
    assert job.entry.attempt == 2


def test_where_many_start_side_by_side_none_is_stopped_for_being_slow(world: World) -> None:
    for number in range(8):  # twice as many as start in the usual time
        add(world.database, f"job-{number}")
    assert len(world.check_jobs()) == 8
    assert world.check_jobs() == []
    world.seconds += 91
    assert world.check_jobs() == []
    world.seconds += 91
    assert len(world.check_jobs()) == 8


def test_a_long_run_without_results_ends_in_a_failure_and_resume_begins_anew(world: World) -> None:
    job = started(world)
    for idle in range(1, MAX_IDLE_ATTEMPTS + 1):
        world.ray.die()
        assert world.check_jobs() == ["job"], idle
        assert job.entry.idle == idle
    world.ray.die()
    assert world.check_jobs() == []
    assert job.state is State.FAILED
    assert job.read(FAILURE) == (
        "its coordinator ended 3 times without a new result; see surefoot logs --ray job, and go "
        "on with surefoot resume job\n"
    )
    assert job.lines()[-1].text == f"failed: {(job.read(FAILURE) or '').strip()}"
    assert world.check_jobs() == []
    assert len(job.lines()) == MAX_IDLE_ATTEMPTS + 1  # said once
    job.want("run")
    assert (job.state, job.entry.idle) == (State.WAITING, 0)
    assert world.check_jobs() == ["job"]


def test_a_lease_that_blinks_is_no_end_of_the_last_attempt(world: World) -> None:
    job = started(world)
    for _ in range(MAX_IDLE_ATTEMPTS):
        world.ray.die()
        world.check_jobs()
    # The last coordinator works on its first result when the database restarts.
    assert world.check_jobs() == []
    with PostgresLease(world.url, "job"):
        assert world.check_jobs() == []
    assert job.read(FAILURE) is None


def test_a_job_that_is_done_does_not_fail_for_mlflow_s_sake(world: World) -> None:
    job = started(world)
    job.write(REPORT, "{}")
    for _ in range(MAX_IDLE_ATTEMPTS + 1):
        world.ray.die()
        world.check_jobs()
    assert (job.state, job.entry.complete, job.read(FAILURE)) == (State.DONE, True, None)
    assert job.lines()[-1].text == "MLflow still lacks runs; surefoot resume job completes it"
    assert world.check_jobs() == []
    job.want("run")
    assert world.check_jobs() == ["job"]


def test_results_begin_the_count_anew_also_those_of_the_last_attempt(world: World) -> None:
    job = started(world)
    for _ in range(MAX_IDLE_ATTEMPTS):
        world.ray.die()
        world.check_jobs()
    tell(job, 0, 1)  # the last of them worked for hours
    world.ray.die()
    assert world.check_jobs() == ["job"]
    assert (job.entry.idle, job.entry.told, job.state) == (0, 2, State.WAITING)


@pytest.mark.parametrize("idle", range(9))
def test_pauses_grow_and_are_bounded(idle: int) -> None:
    assert pause_before(idle) == [5, 10, 20, 40, 80, 160, 300, 300, 300][idle]


def test_the_others_are_left_alone(world: World) -> None:
    jobs = {name: add(world.database, name) for name in ("stop", "fail", "done", "held", "left")}
    jobs["stop"].want("stop")
    jobs["fail"].write(FAILURE, "why")
    jobs["done"].write(REPORT, "{}")
    jobs["done"].completed()
    jobs["left"].write(REPORT, "{}")  # MLflow lacks something
    with PostgresLease(world.url, "held"):
        assert world.check_jobs() == ["left"]
    assert world.check_jobs() == ["held"]


def test_one_sick_job_keeps_no_other_from_its_coordinator(world: World) -> None:
    world.ray.sick = "bad."
    add(world.database, "bad")
    add(world.database, "good")
    assert world.check_jobs() == ["good"]
    assert len(world.said) == 1
    assert world.said[0].startswith(f"bad: the Ray cluster at {world.ray.address} failed: bad.")
    world.ray.sick = "\0"
    assert world.check_jobs() == ["bad"]


def test_a_ray_that_is_away_costs_no_attempt(world: World) -> None:
    jobs = [add(world.database, name) for name in ("a", "b")]
    world.ray.away = True
    for _ in range(MAX_IDLE_ATTEMPTS + 2):
        with pytest.raises(RayUnreachable):
            world.check_jobs()
    assert [job.entry.attempt for job in jobs] == [0, 0]
    world.ray.away = False
    assert world.check_jobs() == ["a", "b"]
    # It goes away while the keeper is connected, and comes back knowing nothing.
    world.ray.away = True
    with pytest.raises(RayUnreachable):
        world.check_jobs()
    world.ray.away = False
    world.ray.forget()
    assert world.check_jobs() == ["a", "b"]


def test_run_says_a_trouble_once_and_goes_on(world: World, postgres: Postgres) -> None:
    add(world.database)
    postgres.stop()
    world.pauses = [lambda: None, lambda: None, postgres.start]
    try:
        with pytest.raises(Enough):
            world.supervisor.run()
    finally:
        if world.pauses:
            postgres.start()
    assert len(world.said) == 1
    assert world.said[0].startswith("cannot reach the database postgresql+psycopg://surefoot:***@")
    assert len(world.ray.submitted) == 1


def test_two_keepers_at_once_ask_for_one_coordinator(world: World) -> None:
    jobs = [add(world.database, f"job-{i}") for i in range(5)]
    barrier, won = Barrier(4), list[bool]()

    def ask() -> None:
        for job in jobs:
            attempt = job.entry.attempt
            barrier.wait(20)
            won.append(job.claim(attempt))

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == len(jobs)
    assert {job.entry.attempt for job in jobs} == {1}


def test_what_is_not_wanted_is_not_claimed(world: World) -> None:
    job = add(world.database)
    job.want("stop")
    fake: RayJobs = world.ray  # type: ignore[assignment]
    assert not launch(job, fake)
    job.want("run")
    job.completed()
    assert not launch(job, fake)
    assert not job.claim(7)
    job.want("run")
    assert launch(job, fake)
    assert job.entry.attempt == 1


def test_jobs_wait_for_their_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning.cluster.launch.MAX_COORDINATORS", 2)
    jobs = [add(world.database, name) for name in ("a", "b", "c")]
    assert world.supervisor.check_jobs() == ["a", "b"]  # the oldest first
    with PostgresLease(world.url, "a"), PostgresLease(world.url, "b"):
        assert world.check_jobs() == []
        assert jobs[2].state is State.WAITING
    jobs[0].completed()
    late, fake = add(world.database, "late"), world.ray
    with PostgresLease(world.url, "b"):
        assert not launch(late, fake)  # type: ignore[arg-type]  # c has waited longer
        assert world.check_jobs() == ["c"]


def test_a_deleted_job_is_nobody_s_trouble(world: World) -> None:
    job = started(world)
    world.ray.die()
    entry = job.entry
    job.erase()
    assert world.check_jobs() == []
    assert not job.claim(entry.attempt)
