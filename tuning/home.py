"""Where jobs live on this machine: one folder each under SUREFOOT_HOME."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import cloudpickle

from trainers import InvalidInput, Problem
from trainers.learning import MLP
from trainers.suggest import nearest
from tuning.jobspec import JobSpec, read_spec
from tuning.lease import Lease, holder

__all__ = ["Home", "Job", "State"]


class State(StrEnum):
    """What a job is doing, as its folder tells."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # nobody works on it; `resume` goes on


@dataclass(frozen=True)
class Job:
    """One job's folder."""

    id: str
    folder: Path

    @property
    def lease(self) -> Lease:
        """Whoever holds it may write to the study; there is one at a time."""
        return Lease(self.folder / "lease")

    @property
    def header(self) -> dict[str, Any]:
        """What was written when the job was made: `spec`, `problem` facts, `created`.

        Raises:
            InvalidInput: it is not there any more.
        """
        path = self.folder / "job.json"
        try:
            header: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            missing = {"spec", "problem", "created", "folder"} - set(header)
        except (ValueError, TypeError):
            missing = {"JSON"}
        if missing:
            raise InvalidInput(f"{path} is damaged: it lacks {', '.join(sorted(missing))}")
        return header

    @property
    def spec(self) -> JobSpec:
        """The job file, with every default filled in."""
        return read_spec(self.header["spec"])

    @property
    def study_url(self) -> str:
        """The address of the study, whose name is the job's id."""
        return self.spec.storage.url or f"journal:///{self.folder / 'study.log'}"

    def make_problem(self) -> Problem:
        """The problem as the job was given it: by name, or the object itself, which was pickled.

        Raises:
            InvalidInput: its data are not there any more, or are not the same.
        """
        pickled, header = self.folder / "problem.pkl", self.header
        if pickled.exists():
            problem: Problem = cloudpickle.loads(pickled.read_bytes())
            return problem
        problem = self.spec.make_problem(Path(header["folder"]))
        was = header["problem"].get("data_sha256")
        if isinstance(problem, MLP) and problem.data.fingerprint != was:
            raise InvalidInput(
                f"job {self.id}: the data {problem.data.name} have changed since it began; "
                "put the old ones back, or run a new job"
            )
        return problem

    @property
    def state(self) -> State:
        """See `State`."""
        if holder(self.folder / "lease") is not None:
            return State.RUNNING
        if (self.folder / "report.json").exists():
            return State.DONE
        return State.FAILED if (self.folder / "failure.txt").exists() else State.INTERRUPTED

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file of the job's whole or not at all."""
        path, data = self.folder / name, content if isinstance(content, bytes) else content.encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)
        except OSError as error:  # of a full disk, which a half-written file would keep full
            unfinished.unlink(missing_ok=True)
            raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from error
        return path

    def read(self, name: str) -> str | None:
        """A file of the job's, or None if it is not there."""
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else None


class Home:
    """SUREFOOT_HOME: the jobs and the embedded MLflow store."""

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = Path(folder or os.environ.get("SUREFOOT_HOME") or "surefoot-data").absolute()

    @property
    def tracking_uri(self) -> str:
        """The embedded MLflow store."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

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

    def create(self, spec: JobSpec, header: Mapping[str, Any], problem: Problem | None) -> Job:
        """A new job, with the next free number: `xor-1`, `xor-2`, ...

        Args:
            problem: given as an object; None if the spec names it.

        Raises:
            InvalidInput: the object cannot be pickled; nothing has been made.
        """
        pickled = None if problem is None else _pickled(problem)
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", spec.name).strip("-.") or "job"
        number = 1
        while True:
            job = Job(f"{stem}-{number}", self.folder / "jobs" / f"{stem}-{number}")
            try:
                job.folder.mkdir()
                break
            except FileExistsError:
                number += 1
        if pickled is not None:
            job.write("problem.pkl", pickled)
        job.write(
            "job.json",
            json.dumps({"spec": spec.model_dump(mode="json"), **header}, indent=2) + "\n",
        )
        return job

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first. A folder without a header was cut off while it was made: no
        job yet.

        Raises:
            InvalidInput: a header is damaged; its folder is named.
        """
        paths = self.folder.glob("jobs/*/job.json")
        jobs = [Job(path.parent.name, path.parent) for path in paths]
        return sorted(jobs, key=lambda job: (job.header["created"], job.folder))

    def job(self, job_id: str) -> Job:
        """The job called `job_id`.

        Raises:
            InvalidInput: there is none.
        """
        folder = self.folder / "jobs" / job_id
        if "/" in job_id or not (folder / "job.json").exists():
            ids = [job.id for job in self.jobs()]
            hint = nearest(job_id, ids) if ids else "; no job has run here yet"
            raise InvalidInput(f"no job {job_id!r} in {self.folder}{hint}")
        return Job(job_id, folder)


def _pickled(problem: Problem) -> bytes:
    try:
        return bytes(cloudpickle.dumps(problem))
    except (pickle.PicklingError, TypeError, AttributeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise InvalidInput(
            f"problem {type(problem).__name__} cannot be pickled ({why}); it must be, to be kept "
            "with its job and sent to the workers: leave out what cannot"
        ) from error
