"""A job's coordinator as the driver of a Ray job: `surefoot coordinate ID`, on the cluster."""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from trainers import Problem
from tuning.errors import (
    InvalidInput,
    LeaseHeld,
    LeaseLost,
    ProblemFailed,
    SurefootError,
    Transient,
    Unavailable,
)
from tuning.execution.base import user_code
from tuning.execution.fair_share import Share
from tuning.execution.ray_pool import OnCluster
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import MLFLOW_MISSING
from tuning.runner.progress import LineProgress
from tuning.runner.run import run_job
from tuning.search.loop import Progress

__all__ = ["coordinate"]

_TRACKING_PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 2.0
_HEARTBEAT_SECONDS = 2.0
_LAST_WORDS_SECONDS = 10.0


def coordinate(job_id: str) -> int:
    """Carry a submitted job through, from wherever its study stands; returns the exit code.

    What is wrong with the job is kept as its failure. What is wrong with the cluster is not: the
    coordinator ends, and the keeper asks for another.
    """
    database = ClusterJobs.configured()
    if database is None:
        raise InvalidInput("SUREFOOT_STORAGE_URL is not set where the Ray head runs")
    job = database.job(job_id)
    with JobLog(job) as job_log:
        job_log.say(f"coordinator {os.getpid()} on {socket.gethostname()} begins")
        try:
            _carry_through(job, job_log)
        except (LeaseHeld, LeaseLost, Unavailable, Transient, OSError) as error:
            job_log.say(f"coordinator {os.getpid()} leaves: {error}")
            return 1
        except (InvalidInput, ProblemFailed) as error:
            with suppress(SurefootError):  # the next coordinator, or one at work, finds the same
                job.fail(str(error))
            job_log.say(f"failed: {error}")
            return 1
        except KeyboardInterrupt:
            job_log.say("stopped; what was done is kept")
            return 130
        job_log.say("done")
    return 0


def _carry_through(job: ClusterJob, job_log: JobLog) -> None:
    spec, table = job.spec, job.header.get("table")
    heartbeat = Heartbeat(job)
    heartbeat.check()  # it may have been stopped before it began
    console = Console(file=job_log, width=200, highlight=False)  # type: ignore[arg-type]
    lines = LineProgress(console, spec)

    def make_problem() -> Problem:
        here = Path.cwd()  # where Ray has unpacked what travelled with the job
        try:
            with user_code():  # its module is imported here for the first time
                return job.make_problem(folder=here, data_file=here / table if table else None)
        except ProblemFailed as error:
            raise ProblemFailed(f"the problem cannot be made on the cluster:\n{error}") from error

    def listen(progress: Progress) -> None:
        lines(progress)
        if progress.finished:
            job_log.say("writing the report, and what MLflow lacks")

    share = Share(spec.cluster.max_tasks, lambda: heartbeat.active)
    run_job(
        job,
        make_problem,
        workers=OnCluster(spec.cluster.cpus_per_task, share),
        listen=listen,
        announce=job_log.say,
        heartbeat=heartbeat.check,
        patience=_TRACKING_PATIENCE_SECONDS,
    )
    if job.read(MLFLOW_MISSING) is None:
        job.completed()


class Heartbeat:
    """What the database says about all jobs, every two seconds: whether this one is still wanted,
    and how many are at work."""

    def __init__(self, job: ClusterJob) -> None:
        self.active = 1
        self._job = job
        self._next = 0.0

    def check(self) -> None:
        """Ask, if it is time to.

        Raises:
            KeyboardInterrupt: the job shall stop, or is there no more; as if Ray had said so, which
                it may be unable to.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _HEARTBEAT_SECONDS
        with suppress(SurefootError):  # a password that is being changed passes too
            database, job_id = self._job.database, self._job.id
            entries = database.entries(unfinished=True)
            self.active = sum(entry.holder is not None for entry in entries)
            # One that is complete already, as after `resume` by mistake, may be carried through.
            mine = [entry for entry in entries if entry.id == job_id] or database.entries(
                job_id=job_id
            )
            if not mine or mine[0].wanted == "stop":
                raise KeyboardInterrupt


class JobLog:
    """What a coordinator says, to standard output and, behind it, to the job's log in the database.

    A file for writing text, so that a console can print to it. Lines wait while the database is
    away.
    """

    def __init__(self, job: ClusterJob) -> None:
        self._job = job
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._keep, name="job-log", daemon=True)
        self._ended = threading.Event()
        self._rest = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._rest:
            self.say(self._rest)
        if error is not None:  # nobody expects it: where it came from is kept
            self.say("".join(traceback.format_exception(error)))
        self._lines.put(None)
        self._thread.join(_LAST_WORDS_SECONDS)
        self._ended.set()

    def say(self, text: str) -> None:
        """One line or more."""
        for line in text.splitlines():
            print(line, flush=True)
            self._lines.put(line)

    def write(self, text: str) -> int:
        """As a file does; a line is said when it is complete."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self.say(line.rstrip())
        return len(text)

    def flush(self) -> None:
        """Nothing: standard output is flushed line by line."""
        sys.stdout.flush()

    def _keep(self) -> None:
        last = False
        while not last:
            texts, last = self._next()
            while texts and not self._ended.is_set():
                try:
                    self._job.say(*texts)
                    texts = []
                except SurefootError:  # a password that is being changed passes too
                    self._ended.wait(_PAUSE_SECONDS)

    def _next(self) -> tuple[list[str], bool]:
        """The lines that wait, at least one; and whether they are the last."""
        lines = [self._lines.get()]
        while not self._lines.empty():
            lines.append(self._lines.get())
        return [line for line in lines if line is not None], None in lines
