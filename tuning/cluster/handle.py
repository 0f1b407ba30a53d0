"""A job on a cluster, from Python: asking after it, stopping it, waiting for its report."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers import InvalidInput, ProblemFailed
from tuning.cluster.launch import end_coordinator, launch, ray_of, submission_of
from tuning.errors import Unreachable
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import FAILURE
from tuning.jobs.schema import Line
from tuning.runner.local_api import load_report
from tuning.storage.file_lease import Holder

if TYPE_CHECKING:
    import optuna

    from tuning.report.model import Report

__all__ = ["FINAL_STATES", "SubmittedJob", "database_at", "list_jobs", "load_job"]

_POLL_SECONDS = 0.5
#: What ends a wait.
FINAL_STATES = (State.DONE, State.FAILED, State.STOPPED)


@dataclass(frozen=True, repr=False)
class SubmittedJob:
    """A job on a cluster. Everything is asked of the cluster anew, so that it can be used from any
    machine, at any time."""

    _job: ClusterJob
    address: str | None = None

    def __repr__(self) -> str:
        return f"SubmittedJob({self.id!r})"

    @property
    def id(self) -> str:
        """Its name."""
        return self._job.id

    @property
    def owner(self) -> str:
        """Who submitted it, by their own word."""
        return self._job.entry.owner

    @property
    def holder(self) -> Holder | None:
        """Who is at work on it now."""
        return self._job.holder

    def status(self) -> State:
        """What it is doing, as its study and its lease tell."""
        return self._job.state

    def logs(self) -> str:
        """What its coordinators had to say, one line each, with the time."""
        return "".join(f"{line.at:%Y-%m-%d %H:%M:%S} {line.text}\n" for line in self.lines())

    def lines(self, after: int = 0) -> list[Line]:
        """The same, from the line after number `after` on."""
        return self._job.lines(after)

    def ray_log(self) -> str:
        """All that its last coordinator printed, from Ray; nothing if Ray has forgotten it."""
        entry = self._job.entry
        return ray_of(entry, self.address).log(submission_of(entry)) if entry.attempt else ""

    def read(self, name: str) -> str | None:
        """A file of the job's as text, such as failure.txt; None if it is not there."""
        return self._job.read(name)

    def stop(self) -> None:
        """Stop it; what was done is kept, and `resume` goes on.

        Raises:
            RayUnreachable: it will not be started again, but its coordinator could not be told.
        """
        self._job.stop(lambda entry: end_coordinator(entry, self.address))

    def resume(self) -> None:
        """Go on with it if it was stopped or has failed; complete what MLflow lacks.

        Raises:
            RayUnreachable: it is wanted now, and begins when the cluster is up.
        """
        entry = self._job.entry
        if entry.holder is not None:
            raise InvalidInput(f"job {self.id} is at work already: {entry.holder}")
        self._job.want("run")
        launch(self._job, ray_of(entry, self.address), entry)

    def wait(self, timeout: float | None = None) -> Report:
        """Its report, when it is there. A database that is away is waited for.

        Args:
            timeout: seconds.

        Raises:
            ProblemFailed: it failed, and why.
            InvalidInput: it was stopped, or deleted.
            TimeoutError: it is still going on. It is left alone.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        state = State.WAITING
        while True:
            with suppress(Unreachable):
                if (state := self.status()) in FINAL_STATES:
                    break
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.id} is {state.value} after {timeout:g} s")
            time.sleep(_POLL_SECONDS)
        if state is State.FAILED:
            raise ProblemFailed((self._job.read(FAILURE) or "").strip())
        if state is State.STOPPED:
            raise InvalidInput(f"job {self.id} was stopped; surefoot resume {self.id} goes on")
        return self.report()

    def report(self) -> Report:
        """Its report; of one that is not done, the report of what there is."""
        return load_report(self._job)

    def study(self) -> optuna.Study:
        """The real Optuna study."""
        return self._job.study().optuna_study

    def delete(self) -> None:
        """Remove it, its study and its MLflow experiment.

        Raises:
            InvalidInput: somebody is at work on it: stop it first.
        """
        self._job.delete()


def load_job(
    job_id: str, *, address: str | None = None, storage: str | None = None
) -> SubmittedJob:
    """A job that was submitted before, from this machine or another.

    Args:
        address, storage: as for `submit`; by default the address at which it was submitted.

    Raises:
        InvalidInput: there is no such job, or no cluster is named.
        Unreachable: the cluster's database is away.
    """
    return SubmittedJob(database_at(storage).job(job_id), address)


def list_jobs(*, owner: str | None = None, storage: str | None = None) -> list[SubmittedJob]:
    """The jobs of a cluster, the oldest first.

    Args:
        owner: only theirs.
        storage: as for `submit`.

    Raises:
        InvalidInput: no cluster is named.
        Unreachable: its database is away.
    """
    database = database_at(storage)
    return [SubmittedJob(ClusterJob(database, entry.id)) for entry in database.entries(owner=owner)]


def database_at(storage: str | None) -> ClusterJobs:
    """The cluster's database, at `storage` or SUREFOOT_STORAGE_URL.

    Raises:
        InvalidInput: neither is given.
    """
    database = ClusterJobs.configured(storage)
    if database is None:
        raise InvalidInput(
            "the cluster's database is not named: set SUREFOOT_STORAGE_URL, or storage.url in the "
            "job file, to postgresql+psycopg://USER@HOST:5432/DATABASE"
        )
    return database
