"""The commands that look: at jobs, at what is built in, at a job file before it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from trainers.errors import InvalidInput, in_brief
from tuning.cli.exit_codes import ExitCode
from tuning.cli.hand_over import form_option, full_option, hand_over, output_option
from tuning.jobs.base import State
from tuning.jobs.files import ANSWER, FAILURE, MLFLOW_MISSING

if TYPE_CHECKING:
    from trainers._plugins import Listed
    from tuning.jobs.cluster import ClusterJobs
    from tuning.jobs.local import LocalJobs
    from tuning.spec.job import JobSpec
    from tuning.study import StudyStore

__all__ = ["COMMANDS", "job_argument", "json_option", "say_remarks", "summary"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
job_argument = click.argument("job_id", metavar="ID")


def summary(spec: JobSpec) -> str:
    """How large a job is, in a few words."""
    names = ", ".join(str(rule.name) for rule in spec.search.rules)
    if spec.seeks_cliff:
        size, _ = spec.search_size
        extent = f"{size} restarts"
        if (minutes := spec.budget.minutes_alone) is not None:
            extent = f"as many restarts as {minutes:g} minutes allow"
        elif spec.fresh_starts:
            extent += f", and {spec.confirmation_restarts} at most to confirm the winner,"
        return (
            f"a search for the cliff ({names}): {extent} x {spec.training.steps:,} steps of "
            f"{spec.problem.name}"
        )
    return (
        f"{spec.search_settings} settings ({names}) x {spec.training.restarts} restarts "
        f"x {spec.training.steps:,} steps of {spec.problem.name}"
    )


def say_remarks(remarks: list[str]) -> None:
    """What people should know of a job, on stderr."""
    for line in remarks:
        click.echo(f"surefoot: {line}", err=True)


@click.command()
@click.argument("job_file", metavar="JOB.toml")
@json_option
def check(job_file: str, as_json: bool) -> ExitCode:
    """Validate a job file without running it, and estimate what it costs."""
    from tuning.runner.estimate import estimate
    from tuning.runner.local_api import prepare

    spec, problem, remarks = prepare(job_file)
    say_remarks(remarks)
    cost = estimate(spec, problem)
    data = problem.loaded_data
    table = None if data is None else data.encoding
    if as_json:
        told: dict[str, Any] = {} if data is None or table is None else {"encoding": str(table)}
        told |= {} if data is None else {"data": data.summary}
        click.echo(json.dumps({**cost.to_dict(), **told}, indent=2))
    else:
        click.echo(f"{job_file} is valid: {summary(spec)}")
        for line in [] if data is None or table is None else data.summary:
            click.echo(f"data: {line}")
        for line in cost.lines():
            click.echo(line)
    return ExitCode.DONE


@click.command("list")
@click.option("--owner", help="On the cluster: only the jobs of this owner.")
@click.option("--local", is_flag=True, help="The jobs on this machine, though a cluster is named.")
@json_option
def list_jobs(owner: str | None, local: bool, as_json: bool) -> ExitCode:
    """List the jobs, the oldest first, each with its answer if it is done.

    Those of the cluster, if SUREFOOT_STORAGE_URL names its database; else those on this machine.
    """
    from tuning.jobs.local import LocalJobs
    from tuning.jobs.lookup import cluster

    database = None if local else cluster()
    if owner is not None and database is None:
        raise InvalidInput("--owner is for a cluster's jobs: set SUREFOOT_STORAGE_URL")
    rows = _local_rows(LocalJobs()) if database is None else _cluster_rows(database, owner)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return ExitCode.DONE
    if not rows:
        click.echo(f"no jobs in {LocalJobs().folder if database is None else 'the cluster'}")
    widest = max((len(row["id"]) for row in rows), default=0)
    for row in rows:
        created = row["created"][:16].replace("T", " ")
        of = row.get("settings") or "?"
        more = "" if database is None else f"  {row['done']:>4}/{of}  {row['owner']}"
        line = f"{row['id']:{widest}}  {row['state']:8} {created}{more}  {row['answer'] or ''}"
        click.echo(line.rstrip())
    return ExitCode.DONE


def _local_rows(home: LocalJobs) -> list[dict[str, Any]]:
    return [
        {
            "id": job.id,
            "state": "damaged" if job.damage else job.state.value,
            "created": job.created,
            "answer": job.damage or _answer(job.read(ANSWER), job.state),
        }
        for job in home.jobs()
    ]


def _answer(written: str | None, state: State) -> str | None:
    """What a job's file says, if that is of a job that is done."""
    return written.strip() if written and state is State.DONE else None


def _cluster_rows(database: ClusterJobs, owner: str | None) -> list[dict[str, Any]]:
    from tuning.study.counts import counts

    told = counts(database.url)
    return [
        {
            "id": entry.id,
            "state": entry.state.value,
            "created": entry.created.isoformat(),
            "owner": entry.owner,
            "settings": entry.settings or None,
            "answer": _answer(entry.answer, entry.state),
            "done": min(told.get(entry.id, 0), entry.settings or sys.maxsize),
        }
        for entry in database.entries(owner=owner)
    ]


@click.command()
@job_argument
@json_option
def status(job_id: str, as_json: bool) -> ExitCode:
    """Say what a job is doing and how far it is, here or on the cluster."""
    from tuning.jobs.lookup import find_job

    job = find_job(job_id)
    facts = job.describe(_count)
    for key, name in (("failure", FAILURE), ("mlflow", MLFLOW_MISSING)):
        if text := job.read(name):
            facts[key] = in_brief(text)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        for key, value in facts.items():
            click.echo(f"{key:14} {value}")
    return ExitCode.DONE


def _count(study: StudyStore) -> int:
    from tuning.search.records import results_of

    return len(results_of(study))


@click.command()
@job_argument
@form_option
@output_option
@full_option
def report(job_id: str, form: str, output: str | None, full: bool) -> ExitCode:
    """Print a job's answer, or its whole report, or write either to a file.

    Where the job file has `sharpness_every = 50` under [training], the report shows the sharpness
    along the way, every 50 steps: html as a picture, json as curves.
    """
    from tuning.runner.local_api import load_report

    hand_over(load_report(job_id), form or "table", output, full=full)
    return ExitCode.DONE


@click.command()
@json_option
def problems(as_json: bool) -> ExitCode:
    """List the problems with their parameters and defaults; also those of plug-ins, which are
    marked with their distribution."""
    from trainers.problems.registry import PLUGINS, parameters_of

    found = PLUGINS.catalogue(_say)
    parameters = {
        name: {
            k: "required" if p.default is p.empty else p.default
            for k, p in parameters_of(listed.kind).items()
        }
        for name, listed in found.items()
    }
    _catalogue(found, parameters, as_json)
    return ExitCode.DONE


@click.command()
@json_option
def optimizers(as_json: bool) -> ExitCode:
    """List the optimizers with their hyperparameters and defaults; also those of plug-ins, which
    are marked with their distribution."""
    from trainers.optimizers.registry import PLUGINS

    found = PLUGINS.catalogue(_say)
    parameters = {name: listed.kind().hyperparameters for name, listed in found.items()}
    _catalogue(found, parameters, as_json)
    return ExitCode.DONE


def _say(line: str) -> None:
    click.echo(f"surefoot: {line}", err=True)


def _catalogue(
    found: Mapping[str, Listed[Any]], parameters: Mapping[str, dict[str, Any]], as_json: bool
) -> None:
    summaries = {
        name: next(iter((listed.kind.__doc__ or "").strip().splitlines()), "")
        for name, listed in found.items()
    }
    if as_json:
        table = {
            name: {
                "summary": summaries[name],
                "parameters": {key: _plain(value) for key, value in parameters[name].items()},
                "distribution": None if listed.origin is None else str(listed.origin),
            }
            for name, listed in found.items()
        }
        click.echo(json.dumps(table, indent=2))
        return
    for name, listed in found.items():
        mark = "" if listed.origin is None else f" [{listed.origin}]"
        click.echo(f"{name:22} {summaries[name]}{mark}".rstrip())
        shown = ", ".join(
            f"{key} = {'(required)' if value == 'required' else json.dumps(value)}"
            for key, value in ((k, _plain(v)) for k, v in parameters[name].items())
        )
        if shown:
            click.echo(f"{'':22} {shown}")


def _plain(default: Any) -> Any:
    """It, as JSON has it; what JSON has not, as Python writes it."""
    try:
        json.dumps(default, allow_nan=False)
    except (TypeError, ValueError):
        return repr(default)
    return default


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one.")
def ui(port: int) -> ExitCode:
    """Serve the MLflow UI on this machine's data, on loopback, until Ctrl-C."""
    from tuning.cli.ui import serve

    return serve(port, click.echo)


COMMANDS = (check, list_jobs, status, report, problems, optimizers, ui)
