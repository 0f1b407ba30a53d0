"""Where jobs live on this machine: one folder each under SUREFOOT_HOME."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainers import Problem
from trainers.data.uri import is_address, masked
from tuning import tracking
from tuning.errors import InvalidInput, StudyNotFound
from tuning.jobs.base import Job, Jobs, State, progress_facts, slug, trials_known
from tuning.jobs.files import FAILURE, HEADER, LEASE, PROBLEM, REPORT, STUDY
from tuning.jobs.pickles import pickled
from tuning.spec.job import JobSpec
from tuning.storage.file_lease import Holder, Lease, holder
from tuning.storage.postgres_lease import PostgresLease
from tuning.study import StudyStore
from tuning.tracking.address import sqlite_address

if TYPE_CHECKING:
    from tuning.jobs.cluster import ClusterJob
    from tuning.jobs.schema import Entry

__all__ = ["LocalJob", "LocalJobs"]


@dataclass(frozen=True)
class LocalJob(Job):
    """One job's folder."""

    on_this_machine = True
    folder: Path

    def on_cluster(self) -> ClusterJob:
        raise InvalidInput(f"job {self.id} is on this machine ({self.place}), not on the cluster")

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def lease(self) -> Lease:
        """Whoever holds it may write to the study; there is one at a time."""
        return Lease(self.folder / LEASE)

    @property
    def holder(self) -> Holder | None:
        return holder(self.folder / LEASE)

    @property
    def place(self) -> str:
        return str(self.folder)

    @property
    def study_url(self) -> str:
        """The address of the study, whose name is the job's id."""
        return self.spec.storage.url or f"journal:///{self.folder / STUDY}"

    @property
    def tracking(self) -> tuple[str, Path | None]:
        home = LocalJobs(self.folder.parent.parent)
        return self.spec.tracking.uri or home.tracking_uri, home.artifacts

    def study(self) -> StudyStore:
        return StudyStore.open(self.study_url, self.id)

    def create_study(self) -> StudyStore:
        """An empty study.

        Raises:
            InvalidInput: its place is wrong, or it exists already.
        """
        with self._leased() as lease:
            return self._new_study(self.study_url, lease)

    @contextmanager
    def writing(self) -> Iterator[StudyStore]:
        with self._leased() as lease:
            yield self._study_to_write(self.study_url, lease)

    @contextmanager
    def _leased(self) -> Iterator[PostgresLease | None]:
        url = self.study_url
        with ExitStack() as held:
            held.enter_context(self.lease)
            journal = url.startswith("journal:")
            yield None if journal else held.enter_context(PostgresLease(url, self.id))

    @property
    def state(self) -> State:
        if self.holder is not None:
            return State.RUNNING
        if (self.folder / REPORT).exists():
            return State.DONE
        return State.FAILED if (self.folder / FAILURE).exists() else State.INTERRUPTED

    @property
    def created(self) -> str:
        """When it was made, in ISO 8601; where the header is damaged, when that was written."""
        try:
            return str(self.header["created"])
        except InvalidInput:
            written = (self.folder / HEADER).stat().st_mtime
            return datetime.fromtimestamp(written, UTC).isoformat()

    def write(self, name: str, content: str | bytes, *, private: bool = False) -> None:
        """See `Job.write`. `private`: nobody else on this machine may read it."""
        path, data = self.folder / name, content if isinstance(content, bytes) else content.encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            unfinished.touch(0o600 if private else 0o666)
            unfinished.write_bytes(data)
            unfinished.replace(path)
        except OSError as error:  # of a full disk, which a half-written file would keep full
            unfinished.unlink(missing_ok=True)
            raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from error

    def read_bytes(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def describe(self, count: Callable[[StudyStore], int]) -> dict[str, Any]:
        facts = progress_facts(self, count(self.study()), trials_known(self.spec))
        return {**facts, "created": self.header["created"], "folder": str(self.folder)}

    def stop(self, end_coordinator: Callable[[Entry], None]) -> None:
        """See `Job.stop`: as by Ctrl-C.

        Raises:
            InvalidInput: nobody is at work on it, or not on this machine.
        """
        who = self.holder
        if who is None:
            raise InvalidInput(f"nobody is at work on job {self.id}: it is {self.state.value}")
        if who.host != socket.gethostname():
            raise InvalidInput(f"job {self.id} is at work elsewhere, as {who}: stop it there")
        os.kill(who.pid, signal.SIGTERM)

    def delete(self) -> None:
        if self.holder is not None:
            raise InvalidInput(f"job {self.id} is at work: {self.holder}; end that first")
        tracking.delete_experiment(self.tracking[0], self.id)
        self.erase()

    def erase(self) -> None:
        with self._leased() as lease:
            if self.spec.storage.url is not None:  # else it goes with the folder
                with suppress(StudyNotFound):  # cut off before its study was made
                    StudyStore.delete(self.study_url, self.id, lease)
            shutil.rmtree(self.folder)


class LocalJobs(Jobs[LocalJob]):
    """SUREFOOT_HOME: the jobs and the embedded MLflow store."""

    none_yet = "no job has run here yet"

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder or os.environ.get("SUREFOOT_HOME") or "surefoot-data").absolute()

    @property
    def place(self) -> str:
        return str(self.folder)

    @property
    def mlflow_database(self) -> Path:
        """The embedded MLflow store."""
        return self.folder / "mlflow.db"

    @property
    def tracking_uri(self) -> str:
        """Its address."""
        return sqlite_address(self.mlflow_database)

    @property
    def artifacts(self) -> Path:
        """Where the embedded MLflow store keeps files."""
        return self.folder / "mlflow-artifacts"

    def make_writable(self) -> None:
        """Make the folder if need be.

        Raises:
            InvalidInput: it cannot be made or written.
        """
        try:
            (self.folder / "jobs").mkdir(parents=True, exist_ok=True)
            probe = self.folder / "jobs" / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InvalidInput(
                f"SUREFOOT_HOME {self.folder}: {error.strerror}; "
                "set SUREFOOT_HOME to a folder that can be written"
            ) from error

    def create(self, spec: JobSpec, header: Mapping[str, Any], problem: Problem | None) -> LocalJob:
        """A new job, with the next free number: `xor-1`, `xor-2`, ...

        Args:
            problem: given as an object; None if the spec names it.

        Raises:
            InvalidInput: the object cannot be pickled; nothing has been made.
        """
        content = None if problem is None else pickled(problem)
        stem, number = slug(spec.name), 1
        while True:
            job = LocalJob(self.folder / "jobs" / f"{stem}-{number}")
            try:
                job.folder.mkdir()
                break
            except FileExistsError:
                number += 1
        if content is not None:
            job.write(PROBLEM, content)
        shown = spec.model_dump(mode="json")
        text = json.dumps({"spec": shown, **header}, indent=2) + "\n"
        job.write(HEADER, text, private=_has_credentials(shown))
        return job

    def jobs(self) -> list[LocalJob]:
        """All jobs, the oldest first, also those whose header is damaged. A folder without a header
        was cut off while it was made: no job yet."""
        jobs = [LocalJob(path.parent) for path in (self.folder / "jobs").glob(f"*/{HEADER}")]
        return sorted(jobs, key=lambda job: (job.created, job.folder))

    def ids(self) -> list[str]:
        return [job.id for job in self.jobs()]

    def find(self, job_id: str) -> LocalJob | None:
        folder = self.folder / "jobs" / job_id
        there = "/" not in job_id and os.path.exists(folder / HEADER)
        return LocalJob(folder) if there else None


def _has_credentials(value: object) -> bool:
    """Whether an address in it holds any, as of a database or of data."""
    if isinstance(value, dict | list):
        return any(map(_has_credentials, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and is_address(value) and masked(value) != value
