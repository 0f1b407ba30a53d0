"""What every job can do, wherever it lives: in a folder (`local`) or in a database (`cluster`)."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from trainers import Problem
from trainers._suggest import nearest
from trainers.data.uri import is_address
from tuning.errors import InvalidInput, JobNotFound, StudyNotFound
from tuning.jobs.files import HEADER, PROBLEM
from tuning.jobs.pickles import unpickled
from tuning.jobs.plugins import naming_uninstalled
from tuning.spec.job import JobSpec, read_spec
from tuning.storage.file_lease import Holder
from tuning.study import StudyStore

if TYPE_CHECKING:
    from tuning.jobs.cluster import ClusterJob
    from tuning.jobs.schema import Entry
    from tuning.storage.postgres_lease import PostgresLease

__all__ = ["Job", "Jobs", "State", "progress_facts", "slug", "trials_known"]

J = TypeVar("J", bound="Job")


class State(StrEnum):
    """What a job is doing, as its lease and its files tell."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    WAITING = "waiting"  # on the cluster: a coordinator has been, or will be, asked for
    STOPPED = "stopped"  # on the cluster, because somebody said so; `resume` goes on
    INTERRUPTED = "interrupted"  # on this machine, nobody works on it; `resume` goes on


class Job(ABC):
    """One job: its header, its files, its study."""

    #: Whether it is carried out by a process on this machine, started by hand, and by no cluster.
    on_this_machine: ClassVar[bool]

    @abstractmethod
    def on_cluster(self) -> ClusterJob:
        """Itself, with what only a cluster's jobs have: an owner, a log, coordinators.

        Raises:
            InvalidInput: it is one of this machine.
        """

    @property
    @abstractmethod
    def id(self) -> str:
        """Its name, and that of its study."""

    @abstractmethod
    def read_bytes(self, name: str) -> bytes | None:
        """A file of the job's, or None if it is not there."""

    @abstractmethod
    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the job's whole or not at all."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file of the job's, if it is there."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[StudyStore]:
        """The study, to go on with it; made if it is not there. One at a time may hold it.

        Raises (on entering):
            LeaseHeld: somebody is at work on the job.
        """

    @abstractmethod
    def study(self) -> StudyStore:
        """The study, to read it.

        Raises:
            StudyNotFound: there is none.
        """

    @property
    @abstractmethod
    def state(self) -> State:
        """See `State`."""

    @property
    @abstractmethod
    def holder(self) -> Holder | None:
        """Who is at work on it now."""

    @property
    @abstractmethod
    def tracking(self) -> tuple[str, Path | None]:
        """MLflow's address, and the folder for its files if this machine keeps them."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where its files are, for people."""

    @abstractmethod
    def describe(self, count: Callable[[StudyStore], int]) -> dict[str, Any]:
        """What it is doing, how far it is and where it is, as plain JSON.

        Args:
            count: how many results a study holds, or InvalidInput if it is damaged. Not called
                where that is known without opening the study.
        """

    @abstractmethod
    def stop(self, end_coordinator: Callable[[Entry], None]) -> None:
        """Have whoever is at work on it stop: what was done is kept, and `resume` goes on.

        Args:
            end_coordinator: tells Ray to end the coordinator of a job on a cluster.

        Raises:
            InvalidInput: it cannot be stopped from here.
        """

    @abstractmethod
    def delete(self) -> None:
        """Remove it, its study and its MLflow experiment.

        Raises:
            InvalidInput: somebody is at work on it, or MLflow refuses or cannot be reached; and see
                `erase`.
        """

    @abstractmethod
    def erase(self) -> None:
        """Remove it and its study, and leave MLflow alone.

        Raises:
            LeaseHeld: somebody is at work on it.
            InvalidInput: the study cannot be deleted (another version of Optuna's, or damaged); the
                job stays, for without it nobody would find the study again.
        """

    def _study_to_write(self, url: str, lease: PostgresLease | None) -> StudyStore:
        """It is made where whoever made the job was cut off before that, or left it to the job's
        first coordinator."""
        try:
            return StudyStore.open(url, self.id, lease)
        except StudyNotFound:
            return self._new_study(url, lease)

    def _new_study(self, url: str, lease: PostgresLease | None) -> StudyStore:
        return StudyStore.create(url, self.id, {"job": self.spec.answer_key}, lease)

    def read(self, name: str) -> str | None:
        """A file of the job's as text, or None if it is not there."""
        content = self.read_bytes(name)
        return None if content is None else content.decode()

    @cached_property
    def header(self) -> dict[str, Any]:
        """What was written when the job was made: `spec`, `problem` facts, `created`, `folder`,
        `plugins`: the version of each distribution whose plug-ins it names.

        Raises:
            InvalidInput: it is damaged, or not there any more.
        """
        try:
            header: dict[str, Any] = json.loads(self.read(HEADER) or "")
            missing = {"spec", "problem", "created", "folder"} - set(header)
        except (ValueError, TypeError):
            missing = {"JSON"}
        if missing:
            lacks = ", ".join(sorted(missing))
            raise InvalidInput(f"{self.place}/{HEADER} is damaged: it lacks {lacks}")
        return header

    @property
    def damage(self) -> str | None:
        """What is wrong with the header, if anything is, in a line."""
        try:
            _ = self.header
        except InvalidInput as error:
            return str(error)
        return None

    @property
    def spec(self) -> JobSpec:
        """The job file, with every default filled in.

        Raises:
            InvalidInput: a plug-in of which an optimizer is, is not installed here.
        """
        with naming_uninstalled(self.id, self.header.get("plugins", {})):
            return read_spec(self.header["spec"])

    def make_problem(self, *, folder: Path | None = None, data_file: Path | None = None) -> Problem:
        """The problem as the job was given it: by name, or the object itself, which was pickled.

        Args:
            folder, data_file: as in `JobSpec.make_problem`; by default where the job was made.

        Raises:
            InvalidInput: its data are not there any more, or are not the same; its module is not
                found, or no longer has it; or the plug-in that has it is not installed here.
        """
        stored, header = self.read_bytes(PROBLEM), self.header
        if stored is not None:
            return unpickled(
                stored, self.id, self.spec.problem.name, folder or Path(header["folder"])
            )
        with naming_uninstalled(self.id, header.get("plugins", {})):
            beside = folder or Path(header["folder"])
            problem = self.spec.make_problem(beside, data_file or self._data_elsewhere(beside))
        was = header["problem"].get("data_sha256")
        data = problem.loaded_data
        if data is not None and data.fingerprint != was:
            raise InvalidInput(
                f"job {self.id}: the data {data.name} have changed since it began; "
                "put the old ones back, or run a new job"
            )
        return problem

    def _data_elsewhere(self, folder: Path) -> Path | None:
        """The table that was found in the working directory when the job was made, if none is where
        it is looked for first."""
        data = self.spec.problem.parameters.get("data")
        if not isinstance(data, str) or is_address(data) or (folder / data).exists():
            return None
        there = Path(self.header.get("working_directory", folder), data)
        return there if there.is_file() else None


class Jobs(ABC, Generic[J]):
    """A place where jobs live."""

    #: What is said of a place that has no job yet.
    none_yet: ClassVar[str]

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for people."""

    @abstractmethod
    def ids(self) -> list[str]:
        """The names of all jobs, the oldest first."""

    @abstractmethod
    def find(self, job_id: str) -> J | None:
        """The job called `job_id`, or None if there is none here."""

    def job(self, job_id: str) -> J:
        """The job called `job_id`.

        Raises:
            JobNotFound: there is none.
        """
        job = self.find(job_id)
        if job is None:
            ids = self.ids()
            hint = nearest(job_id, reversed(ids)) if ids else f"; {self.none_yet}"  # newest first
            raise JobNotFound(f"no job {job_id!r} in {self.place}{hint}")
        return job


def progress_facts(job: Job | Entry, told: int, settings: int) -> dict[str, Any]:
    """What `describe` begins with, wherever the job lives.

    Args:
        told: trials. settings: how many the search has; 0 where that is not known beforehand.
    """
    return {
        "id": job.id,
        "state": job.state.value,
        "settings": settings or None,
        "done": min(told, settings) if settings else told,
        "confirmations": max(0, told - settings) if settings else None,
        **({"holder": str(job.holder)} if job.holder is not None else {}),
    }


def trials_known(spec: JobSpec) -> int:
    """How many trials the search has; 0 where that is not known beforehand."""
    return 0 if spec.seeks_cliff else spec.search_settings


def slug(name: str) -> str:
    """The beginning of a job's id: its name, without what an id cannot hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "job"
