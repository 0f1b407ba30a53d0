"""What tests of the service share: a database of its own, and a Ray that does what it is told."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.postgres_server import Postgres
from tests.support.study_places import record
from tuning.cluster.ray_jobs import ALIVE
from tuning.errors import RayUnreachable
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import HEADER
from tuning.storage.postgres_lease import PostgresLease
from tuning.study import StudyStore

__all__ = ["ADDRESS", "TABLE", "FakeRay", "add", "emptied", "new_url", "tell", "until"]

ADDRESS = "http://127.0.0.1:8265"
TABLE: dict[str, Any] = {
    "name": "wells",
    "problem": {"name": "double-well"},
    "search": {"optimizers": ["gd"], "sampler": "tpe", "settings": 2},
    "training": {"restarts": 4, "steps": 5},
}
_numbers = itertools.count()


@dataclass
class FakeRay:
    """`RayJobs`, but for the cluster: submissions are kept here and nothing runs.

    Attributes:
        states: by submission, what Ray would say of it.
        submitted: every submission that was new, with its arguments.
        away: nothing answers. sick: part of the ids of submissions that fail.
    """

    address: str = ADDRESS
    states: dict[str, str] = field(default_factory=dict)
    submitted: list[tuple[str, str, bytes | None, dict[str, str]]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    away: bool = False
    sick: str = "\0"
    connections: int = 0

    def __call__(self, address: str | None = None) -> FakeRay:
        """In the place of the class."""
        self.connections += 1
        self._answer()
        return self

    def submit(
        self,
        submission: str,
        entrypoint: str,
        *,
        bundle: bytes | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._answer(submission)
        if submission not in self.states:
            self.states[submission] = "RUNNING"
            self.submitted.append((submission, entrypoint, bundle, dict(metadata or {})))

    def state(self, submission: str) -> str | None:
        self._answer(submission)
        return self.states.get(submission)

    def alive(self, submission: str) -> bool:
        return self.state(submission) in ALIVE

    def stop(self, submission: str) -> None:
        self._answer()
        self.stopped.append(submission)
        if submission in self.states:
            self.states[submission] = "STOPPED"

    def log(self, submission: str) -> str:
        self._answer()
        return f"printed by {submission}\n" if submission in self.states else ""

    def die(self) -> None:
        """Every driver ends."""
        self.states = dict.fromkeys(self.states, "FAILED")

    def forget(self) -> None:
        """The head is lost, and another knows nothing."""
        self.states = {}

    def _answer(self, submission: str = "") -> None:
        if self.away:
            raise RayUnreachable(f"no Ray cluster answers at {self.address}: it is away")
        if self.sick in submission:
            raise RayUnreachable(f"the Ray cluster at {self.address} failed: {submission} is sick")


def new_url(server: Postgres) -> str:
    """A database that nobody else uses."""
    return server.new_database(f"service_{next(_numbers)}")


def add(database: ClusterJobs, job_id: str = "job", owner: str = "ann") -> ClusterJob:
    """A job that was submitted, and for which nothing has been asked of Ray."""
    assert database.add(job_id, owner, ADDRESS, 2, {HEADER: b"{}"})
    return ClusterJob(database, job_id)


@contextmanager
def emptied(database: ClusterJobs) -> Iterator[ClusterJobs]:
    """To leave nothing in it. To make a database takes longer than all else."""
    yield database
    for entry in database.entries():
        ClusterJob(database, entry.id).erase()


def tell(job: ClusterJob, *numbers: int) -> None:
    """Write results to the job's study, as its coordinator does; made if it is not there."""
    url = job.database.url
    with PostgresLease(url, job.id) as lease:
        if 0 in numbers:
            StudyStore.create(url, job.id, {}, lease)
        store = StudyStore.open(url, job.id, lease)
        for number in numbers:
            store.append(record(number))


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for it, and fail if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
