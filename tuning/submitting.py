"""Submitting a job to a cluster, and asking after it, from Python."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from trainers import InvalidInput, Problem, ProblemFailed
from tuning import bundle, tracking
from tuning.api import load_report, prepare, sourced
from tuning.database import Database, DatabaseJob
from tuning.facts import problem_facts
from tuning.jobs import FAILURE, HEADER, PROBLEM, State, pickled, stem_of
from tuning.jobspec import JobSpec, folder_of
from tuning.launch import BUNDLE, MOST_AT_ONCE, launch, submission_of
from tuning.lease import Holder
from tuning.postgres import Unreachable
from tuning.ray_jobs import ADDRESS, RayJobs, RayUnreachable
from tuning.schema import Line

if TYPE_CHECKING:
    import optuna

    from tuning.report import Report

__all__ = ["SubmittedJob", "submit"]

_POLL_SECONDS = 0.5
_MOST_OWNER_CHARACTERS = 64
#: What ends a wait.
ENDS = (State.DONE, State.FAILED, State.STOPPED)


@dataclass(frozen=True, repr=False)
class SubmittedJob:
    """A job on a cluster. Everything is asked of the cluster anew, so that it can be used from any
    machine, at any time."""

    _job: DatabaseJob
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
        return self._ray().log(submission_of(entry)) if entry.attempt else ""

    def read(self, name: str) -> str | None:
        """A file of the job's as text, such as failure.txt; None if it is not there."""
        return self._job.read(name)

    def stop(self) -> None:
        """Stop it; what was done is kept, and `resume` goes on.

        Raises:
            RayUnreachable: it will not be started again, but its coordinator could not be told.
        """
        entry = self._job.entry
        if entry.complete:
            return
        self._job.want("stop")
        self._job.say("told to stop")
        if entry.attempt:
            self._ray().stop(submission_of(entry))

    def resume(self) -> None:
        """Go on with it if it was stopped or has failed; complete what MLflow lacks.

        Raises:
            RayUnreachable: it is wanted now, and begins when the cluster is up.
        """
        entry = self._job.entry
        if entry.holder is not None:
            raise InvalidInput(f"job {self.id} is at work already: {entry.holder}")
        self._job.want("run")
        launch(self._job, self._ray(), entry)

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
                if (state := self.status()) in ENDS:
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
        if self._job.holder is not None:
            raise InvalidInput(f"job {self.id} is at work: surefoot stop {self.id} first")
        uri, _ = self._job.tracking
        self._job.want("stop")
        tracking.delete_experiment(uri, self.id)
        self._job.delete()

    def _ray(self) -> RayJobs:
        return RayJobs(self.address or os.environ.get(ADDRESS) or self._job.entry.address)


def submit(
    spec: str | Path | Mapping[str, Any] | JobSpec | None = None,
    /,
    *,
    address: str | None = None,
    storage: str | None = None,
    owner: str | None = None,
    announce: Callable[[str], None] | None = None,
    **tables: Any,
) -> SubmittedJob:
    """Have a job carried out on a cluster. Submitting the same job again gives the same one.

    Args:
        spec, tables: as for `tune`.
        address: of the Ray cluster's Jobs API; default: RAY_API_SERVER_ADDRESS.
        storage: of the cluster's database, as postgresql+psycopg://user@host:5432/database;
            default: SUREFOOT_STORAGE_URL.
        owner: default: SUREFOOT_OWNER, or the user's name on this machine.
        announce: called with a line when something happens that people should know.

    Raises:
        InvalidInput: bad input, a wrong address, token or password; nothing has been submitted.
        ProblemFailed: the problem's own code raised.
        RayUnreachable, Unreachable: the cluster does not answer; nothing has been submitted.
    """
    say = announce or _silent
    source, own = sourced(spec, tables)
    checked, problem = prepare(source, own)
    database = _database(checked, storage)
    who = _owner(owner)
    if (uri := checked.tracking.uri) is not None and tracking.mask(uri) != uri:
        raise InvalidInput(
            f"tracking.uri = {tracking.mask(uri)!r}: whoever reads the job would see its password; "
            "leave it out, the cluster has MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    ray = RayJobs(address)
    folder = folder_of(spec)
    files, content, table = _travelling(checked, problem, folder, own)
    facts = problem_facts(checked.problem.name, problem)
    header = {
        "created": datetime.now(UTC).isoformat(),
        "folder": str(folder),
        "problem": facts,
        "table": table,
    }
    job_id = _id(checked, facts, files, who)
    # Where the database is, with its password, the cluster knows; whoever reads the job need not.
    spec_there = checked.model_dump(mode="json", exclude={"storage"})
    content[HEADER] = json.dumps({"spec": spec_there, **header}).encode()
    made = database.add(job_id, who, ray.address, checked.search.settings, content)
    job = DatabaseJob(database, job_id)
    entry = job.entry
    if made:
        job.say(f"submitted by {who}")
    else:
        say(f"job {job_id} has been submitted before; it is {entry.state.value}")
    if entry.attempt == 0:  # else the keeper, or whoever submits the same now, was faster
        try:
            if not launch(job, ray, entry) and job.entry.attempt == 0:
                say(f"job {job_id} waits for its turn: {MOST_AT_ONCE} jobs are at work")
        except RayUnreachable as error:
            say(f"{error}; the job is kept and begins when it does")
    return SubmittedJob(job, ray.address)


def _silent(line: str) -> None:
    """Nobody is listening."""


def _database(spec: JobSpec, storage: str | None) -> Database:
    database = Database.configured(storage or spec.storage.url)
    if database is None:
        raise InvalidInput(
            "the cluster's database is not named: set SUREFOOT_STORAGE_URL, or storage.url in the "
            "job file, to postgresql+psycopg://USER@HOST:5432/DATABASE"
        )
    return database


def _owner(owner: str | None) -> str:
    try:
        who = owner or os.environ.get("SUREFOOT_OWNER") or getpass.getuser()
    except (KeyError, OSError) as error:  # a container's user may have a number only
        raise InvalidInput(
            "your name on this machine is not known: give --owner, or set SUREFOOT_OWNER"
        ) from error
    if not who.isprintable() or not 1 <= len(who) <= _MOST_OWNER_CHARACTERS:
        raise InvalidInput(
            f"owner {who!r} is not valid: 1 to {_MOST_OWNER_CHARACTERS} printable characters"
        )
    return who


def _travelling(
    spec: JobSpec, problem: Problem, folder: Path, own: Problem | None
) -> tuple[dict[str, str], dict[str, bytes], str | None]:
    """Digests of the files that make the job what it is; the files of the job; its table's name."""
    found, table = bundle.collect(spec, problem, folder)
    marks, content = bundle.digests(found), {}
    if found:
        content[BUNDLE] = bundle.pack(found)
    if own is not None:
        content[PROBLEM] = pickled(own)
        marks[PROBLEM] = _digest(content[PROBLEM])
    return marks, content, table


def _digest(problem: bytes) -> str:
    """SHA-256 of a pickle without the numbers that cloudpickle draws for the classes of a program
    or notebook: anew in each process, so that the same job would be another one in the next."""
    for drawn in list(cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID):
        problem = problem.replace(drawn.encode(), b"")
    return hashlib.sha256(problem).hexdigest()


def _id(spec: JobSpec, facts: Mapping[str, Any], files: Mapping[str, str], owner: str) -> str:
    """The same for the same job of the same owner, so that it cannot be there twice."""
    content = json.dumps([spec.answer_key, facts, files, owner], sort_keys=True)
    return f"{stem_of(spec.name)}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"
