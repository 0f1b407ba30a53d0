"""A job, wherever its files are: in a folder on this machine (`local`), or in the cluster's
database (`cluster`).
"""

from __future__ import annotations

import json
import pickle
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import cloudpickle

from trainers import InvalidInput, Problem
from trainers._suggest import nearest
from tuning.spec.job import JobSpec, read_spec
from tuning.storage.file_lease import Holder
from tuning.study import StudyStore

__all__ = ["HEADER", "PROBLEM", "REPORT", "Job", "State", "pickled", "stem_of", "unknown_job"]

#: The files of a job that others look for.
HEADER, PROBLEM, REPORT, FAILURE = "job.json", "problem.pkl", "report.json", "failure.txt"


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
            InvalidInput: there is none.
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

    def read(self, name: str) -> str | None:
        """A file of the job's as text, or None if it is not there."""
        content = self.read_bytes(name)
        return None if content is None else content.decode()

    @cached_property
    def header(self) -> dict[str, Any]:
        """What was written when the job was made: `spec`, `problem` facts, `created`, `folder`.

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
    def spec(self) -> JobSpec:
        """The job file, with every default filled in."""
        return read_spec(self.header["spec"])

    def make_problem(self, *, folder: Path | None = None, data_file: Path | None = None) -> Problem:
        """The problem as the job was given it: by name, or the object itself, which was pickled.

        Args:
            folder, data_file: as in `JobSpec.make_problem`; by default where the job was made.

        Raises:
            InvalidInput: its data are not there any more, or are not the same.
        """
        stored, header = self.read_bytes(PROBLEM), self.header
        if stored is not None:
            problem: Problem = cloudpickle.loads(stored)
            return problem
        problem = self.spec.make_problem(folder or Path(header["folder"]), data_file)
        was = header["problem"].get("data_sha256")
        data = problem.loaded_data
        if data is not None and data.fingerprint != was:
            raise InvalidInput(
                f"job {self.id}: the data {data.name} have changed since it began; "
                "put the old ones back, or run a new job"
            )
        return problem


def unknown_job(job_id: str, place: str, ids: Sequence[str], none: str) -> InvalidInput:
    """That `place` has no such job; of the `ids` that it has, the oldest first, the newest are
    shown; `none` is said where it has none."""
    hint = nearest(job_id, reversed(ids)) if ids else f"; {none}"
    return InvalidInput(f"no job {job_id!r} in {place}{hint}")


def stem_of(name: str) -> str:
    """The beginning of a job's id: its name, without what an id cannot hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "job"


def pickled(problem: Problem) -> bytes:
    """A problem that was given as an object, as it is kept with its job.

    Raises:
        InvalidInput: it cannot be pickled.
    """
    try:
        return bytes(cloudpickle.dumps(problem))
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InvalidInput(
            f"problem {type(problem).__name__} cannot be pickled ({why}); it must be, to be kept "
            "with its job and sent to the workers: leave out what cannot"
        ) from error
