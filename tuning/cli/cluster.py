"""The commands for a cluster: submit a job to it, see to the jobs there, and what runs on it."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout, suppress
from typing import TYPE_CHECKING

import click

from trainers.errors import InvalidInput
from tuning.cli.exit_codes import ExitCode
from tuning.cli.inspect import job_argument, json_option

if TYPE_CHECKING:
    from tuning.cluster.handle import SubmittedJob
    from tuning.jobs.schema import Entry

__all__ = ["CLUSTER_COMMANDS"]

address_option = click.option(
    "--address",
    metavar="URL",
    help="Of the Ray dashboard, as in http://127.0.0.1:8265 (default: $RAY_API_SERVER_ADDRESS).",
)
storage_option = click.option(
    "--storage",
    metavar="URL",
    help="Of the cluster's database (default: $SUREFOOT_STORAGE_URL).",
)


@click.command()
@click.argument("job_file", metavar="JOB.toml")
@address_option
@storage_option
@click.option("--owner", help="Whose job it is (default: $SUREFOOT_OWNER, or your name here).")
@click.option("--no-wait", is_flag=True, help="Print the job's id and leave.")
@click.option("-q", "--quiet", is_flag=True, help="Wait, and print nothing but the id and errors.")
@json_option
def submit(
    job_file: str,
    address: str | None,
    storage: str | None,
    owner: str | None,
    no_wait: bool,
    quiet: bool,
    as_json: bool,
) -> ExitCode:
    """Have a job carried out on a cluster; print its id, follow it, then the report.

    Ctrl-C, or closing the laptop, leaves it going on. The same job submitted again is the same job:
    its id is printed, and it is followed.
    """
    from tuning.cli.follow import follow
    from tuning.cluster.submit import submit as submit_job

    with redirect_stdout(sys.stderr):  # what a user's problem prints: the id comes first
        job = submit_job(
            job_file,
            address=address,
            storage=storage,
            owner=owner,
            announce=lambda line: click.echo(f"surefoot: {line}", err=True),
        )
    if as_json and no_wait:
        click.echo(json.dumps({"id": job.id, "state": job.status().value, "owner": job.owner}))
    else:
        click.echo(job.id, err=as_json)
    return ExitCode.DONE if no_wait else follow(job, quiet=quiet, as_json=as_json)


@click.command()
@job_argument
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the job ends.")
@click.option("--ray", "from_ray", is_flag=True, help="All that its last coordinator printed.")
@address_option
def logs(job_id: str, following: bool, from_ray: bool, address: str | None) -> ExitCode:
    """Print what a job's coordinators said on the cluster, all of them in order.

    It is kept in the database. What a problem itself prints is in Ray's log of the last
    coordinator: --ray.
    """
    from tuning.cli.follow import print_lines

    job = _on_cluster(job_id, address)
    if from_ray:
        click.echo(job.ray_log(), nl=False)
        return ExitCode.DONE
    try:
        print_lines(job, until_it_ends=following)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


@click.command()
@job_argument
@address_option
def stop(job_id: str, address: str | None) -> ExitCode:
    """Stop a job, here or on the cluster; what was done is kept, and `resume` goes on."""
    from tuning.jobs.lookup import find_job

    def end_coordinator(entry: Entry) -> None:
        from tuning.cluster import launch  # of a job on the cluster alone

        launch.end_coordinator(entry, address)

    job = find_job(job_id)
    job.stop(end_coordinator)
    click.echo(f"job {job.id} shall stop; surefoot resume {job.id} goes on with it")
    return ExitCode.DONE


@click.command()
@job_argument
def delete(job_id: str) -> ExitCode:
    """Remove a job, its study and its MLflow experiment, here or on the cluster."""
    from tuning.jobs.lookup import find_job

    find_job(job_id).delete()
    click.echo(f"job {job_id} is deleted")
    return ExitCode.DONE


@click.command()
@address_option
@storage_option
@json_option
def doctor(address: str | None, storage: str | None, as_json: bool) -> ExitCode:
    """Check a cluster from here: reach, token, versions, database, MLflow, CPUs; say what to do."""
    from tuning.cluster.doctor import examine

    findings = examine(address, storage)
    if as_json:
        click.echo(json.dumps([finding.to_dict() for finding in findings], indent=2))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            click.echo(
                f"{'ok  ' if finding.ok else 'FAIL'}  {finding.what:{width}}  {finding.found}"
            )
            if not finding.ok:
                click.echo(f"{'':6}{'':{width}}  {finding.remedy}")
    return ExitCode.DONE if all(finding.ok for finding in findings) else ExitCode.FAILED


@click.command()
def keep() -> ExitCode:
    """On the cluster: give a new coordinator to every job whose own has died. Until Ctrl-C."""
    from tuning.cluster.supervisor import Supervisor
    from tuning.jobs.lookup import cluster

    database = cluster()
    if database is None:
        raise InvalidInput("SUREFOOT_STORAGE_URL is not set: it names the cluster's database")
    supervisor = Supervisor(database, click.echo)
    click.echo("the keeper looks after the cluster's jobs; Ctrl-C ends it")
    with suppress(KeyboardInterrupt):
        supervisor.run()
    return ExitCode.DONE


@click.command(hidden=True)
@job_argument
def coordinate(job_id: str) -> ExitCode:
    """On the cluster: carry a submitted job through. What Ray runs."""
    from tuning.cluster.driver import coordinate as carry_through
    from tuning.jobs.base import State

    codes = {State.DONE: ExitCode.DONE, State.STOPPED: ExitCode.INTERRUPTED}
    return codes.get(carry_through(job_id), ExitCode.FAILED)


@click.command(hidden=True)
def probe() -> ExitCode:
    """On the cluster: say what `doctor` wants to know. What Ray runs."""
    from tuning.cluster.doctor import PROBED
    from tuning.cluster.doctor import probe as look_around

    click.echo(PROBED + json.dumps(look_around()))
    return ExitCode.DONE


def _on_cluster(job_id: str, address: str | None) -> SubmittedJob:
    from tuning.cli.follow import submitted
    from tuning.jobs.lookup import find_job

    return submitted(find_job(job_id), address)


CLUSTER_COMMANDS = (submit, logs, stop, delete, doctor, keep, coordinate, probe)
