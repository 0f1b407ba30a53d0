"""A job's coordinator as the driver of a Ray job: `surefoot coordinate ID`, on the cluster."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from trainers import Problem
from tuning.cluster.heartbeat import Heartbeat
from tuning.cluster.job_log import JobLog
from tuning.errors import (
    InvalidInput,
    LeaseHeld,
    LeaseLost,
    ProblemFailed,
    SurefootError,
    Transient,
    Unavailable,
)
from tuning.execution.fair_share import Share
from tuning.execution.in_process import user_code
from tuning.execution.ray_pool import OnCluster
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import MLFLOW_MISSING
from tuning.runner.progress import LineProgress
from tuning.runner.run import run_job
from tuning.search.loop import Progress

__all__ = ["coordinate"]

_TRACKING_PATIENCE_SECONDS = 600.0


def coordinate(job_id: str) -> State:
    """Carry a submitted job through, from wherever its study stands; returns what the job is when
    this coordinator leaves it.

    What is wrong with the job is kept as its failure. What is wrong with the cluster is not: the
    coordinator ends, and the keeper asks for another.

    Raises:
        InvalidInput: no database is named here, or there is no such job.
        Unreachable: the database is away.
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
            return State.WAITING
        except (InvalidInput, ProblemFailed) as error:
            job_log.failed(error)
            with suppress(SurefootError):  # the next coordinator, or one at work, finds the same
                job.fail(str(error))
            return State.FAILED
        except KeyboardInterrupt:
            job_log.say("stopped; what was done is kept")
            return State.STOPPED
        job_log.say("done")
    return State.DONE


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
        if progress.finished and progress.writing is None:
            job_log.say("writing the report, and what MLflow lacks")

    share = Share(spec.cluster.max_tasks, lambda: heartbeat.company)
    run_job(
        job,
        make_problem,
        workers=OnCluster(spec.cluster.cpus_per_task, share),
        listen=listen,
        announce=job_log.say,
        failing=job_log.failed,
        heartbeat=heartbeat.check,
        patience=_TRACKING_PATIENCE_SECONDS,
    )
    if job.read(MLFLOW_MISSING) is None:
        job.completed()
