"""Following a job on the cluster from the command line, and its end."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from trainers.errors import in_brief
from tuning.cli.exit_codes import ExitCode
from tuning.jobs.base import Job, State
from tuning.jobs.files import FAILURE, MLFLOW_PATH, MLFLOW_URL, REPORT_PAGE

if TYPE_CHECKING:
    from tuning.cluster.handle import SubmittedJob

__all__ = ["follow", "print_lines", "submitted"]

_POLL_SECONDS = 0.5


def submitted(job: Job, address: str | None = None) -> SubmittedJob:
    """The job as one of the cluster.

    Raises:
        InvalidInput: it is one of this machine.
    """
    from tuning.cluster.handle import SubmittedJob

    return SubmittedJob(job.on_cluster(), address)


def print_lines(
    job: SubmittedJob, *, until_it_ends: bool, err: bool = False, quiet: bool = False
) -> None:
    """Print what its coordinators said and, if asked to, say; nothing if `quiet`.

    A database that is away is waited for.
    """
    from tuning.cluster.handle import FINAL_STATES
    from tuning.errors import Unreachable

    trouble, shown = "", 0
    while True:
        try:
            ended = not until_it_ends or job.status() in FINAL_STATES
            for line in () if quiet else job.lines(shown):
                click.echo(f"{line.at.astimezone():%H:%M:%S} {line.text}", err=err)
                shown = line.number
            trouble = ""
        except Unreachable as error:
            if not until_it_ends:
                raise
            if str(error) != trouble:
                trouble = str(error)
                click.echo(f"surefoot: {trouble}", err=True)
            ended = False
        if ended:
            return
        time.sleep(_POLL_SECONDS)


def follow(job: SubmittedJob, *, quiet: bool, as_json: bool, full: bool = False) -> ExitCode:
    """Follow the job to its end and show its report; returns the exit code. Ctrl-C leaves it to
    itself."""
    try:
        print_lines(job, until_it_ends=True, err=as_json, quiet=quiet)
    except KeyboardInterrupt:
        click.echo(
            f"surefoot: the job goes on; see surefoot status {job.id}, surefoot report {job.id}",
            err=True,
        )
        return ExitCode.INTERRUPTED
    return _end(job, quiet=quiet, as_json=as_json, full=full)


def _end(job: SubmittedJob, *, quiet: bool, as_json: bool, full: bool) -> ExitCode:
    state = job.status()
    if state is State.STOPPED:
        click.echo(
            f"surefoot: job {job.id} was stopped; surefoot resume {job.id} goes on", err=True
        )
        return ExitCode.FAILED
    if state is State.FAILED:
        failure = (job.read(FAILURE) or "").strip()
        shown = failure if quiet else in_brief(failure)  # else the log has it in full
        click.echo(f"surefoot: job {job.id} failed: {shown}", err=True)
        return ExitCode.FAILED
    report = job.report()
    if as_json:
        click.echo(report.to_json(), nl=False)
    elif not quiet:
        from rich.console import Console

        from tuning.report.terminal import show

        tables = f"surefoot report {job.id} --full"
        show(report, Console(highlight=False), full=full, tables=tables)
        click.echo(f"HTML report: surefoot report {job.id} --format html --output {REPORT_PAGE}")
        if url := _mlflow_view(job):
            click.echo(f"MLflow runs: {url}")
    return ExitCode.DONE if report.best_stable is not None else ExitCode.NONE_STABLE


def _mlflow_view(job: SubmittedJob) -> str | None:
    """A link to the job's report that works from here, where MLflow may have another address."""
    from tuning.tracking.address import link

    path = job.read(MLFLOW_PATH)
    here = os.environ.get("MLFLOW_TRACKING_URI")
    if path is not None and here:
        return link(here, path.strip())
    return (job.read(MLFLOW_URL) or "").strip() or None
