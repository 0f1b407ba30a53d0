"""The commands that look: at jobs, at what is built in, at a job file before it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainers.errors import InvalidInput, in_brief
from tuning.cli.exit_codes import ExitCode
from tuning.jobs.files import FAILURE, MLFLOW_MISSING

if TYPE_CHECKING:
    from tuning.jobs.cluster import ClusterJobs
    from tuning.jobs.local import LocalJobs
    from tuning.report.model import Report
    from tuning.spec.job import JobSpec
    from tuning.study import StudyStore

__all__ = ["COMMANDS", "job_argument", "json_option", "summary"]

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
job_argument = click.argument("job_id", metavar="ID")


def summary(spec: JobSpec) -> str:
    """How large a job is, in a few words."""
    names = ", ".join(str(rule.name) for rule in spec.search.rules)
    return (
        f"{spec.search.settings} settings ({names}) x {spec.training.restarts} restarts "
        f"x {spec.training.steps:,} steps of {spec.problem.name}"
    )


@click.command()
@click.argument("job_file", metavar="JOB.toml")
@json_option
def check(job_file: str, as_json: bool) -> ExitCode:
    """Validate a job file without running it, and estimate what it costs."""
    from tuning.runner.estimate import estimate
    from tuning.runner.local_api import prepare

    spec, problem = prepare(job_file)
    cost = estimate(spec, problem)
    if as_json:
        click.echo(json.dumps(cost.to_dict(), indent=2))
    else:
        click.echo(f"{job_file} is valid: {summary(spec)}")
        for line in cost.lines():
            click.echo(line)
    return ExitCode.DONE


@click.command("list")
@click.option("--owner", help="On the cluster: only the jobs of this owner.")
@click.option("--local", is_flag=True, help="The jobs on this machine, though a cluster is named.")
@json_option
def list_jobs(owner: str | None, local: bool, as_json: bool) -> ExitCode:
    """List the jobs, the oldest first.

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
    for row in rows:
        created = row["created"][:19].replace("T", " ")
        more = "" if database is None else f"  {row['done']:>4}/{row['settings']}  {row['owner']}"
        click.echo(f"{row['id']:32} {row['state']:12} {created}{more}")
    return ExitCode.DONE


def _local_rows(home: LocalJobs) -> list[dict[str, Any]]:
    return [
        {"id": job.id, "state": job.state.value, "created": job.header["created"]}
        for job in home.jobs()
    ]


def _cluster_rows(database: ClusterJobs, owner: str | None) -> list[dict[str, Any]]:
    from tuning.study.counts import counts

    told = counts(database.url)
    return [
        {
            "id": entry.id,
            "state": entry.state.value,
            "created": entry.created.isoformat(),
            "owner": entry.owner,
            "settings": entry.settings,
            "done": min(told.get(entry.id, 0), entry.settings),
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
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "html"]),
    default="table",
    help="Default: table.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False), help="Write to this file instead of the screen."
)
def report(job_id: str, form: str, output: str | None) -> ExitCode:
    """Print a job's report, or write it to a file.

    Where the job file has `sharpness_every = 50` under [training], the report shows the sharpness
    along the way, every 50 steps: html as a picture, json as curves.
    """
    from rich.console import Console

    from tuning.report.export import to_csv
    from tuning.report.terminal import show, text
    from tuning.runner.local_api import load_report

    answer = load_report(job_id)
    if form == "table" and output is None:
        show(answer, Console(highlight=False))
        return ExitCode.DONE
    forms: dict[str, Callable[[Report], str]] = {
        "table": text,
        "json": lambda r: r.to_json(),
        "csv": to_csv,
        "html": lambda r: r.to_html(),
    }
    content = forms[form](answer)
    if output is None:
        click.echo(content, nl=not content.endswith("\n"))
    else:
        try:
            Path(output).write_text(content, encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"--output {output}: {error.strerror}") from error
    return ExitCode.DONE


@click.command()
@json_option
def problems(as_json: bool) -> ExitCode:
    """List the built-in problems with their parameters and defaults."""
    from trainers.problems.registry import PROBLEMS, parameters_of

    _catalogue(
        {
            name: (
                kind,
                {
                    k: "required" if p.default is p.empty else p.default
                    for k, p in parameters_of(kind).items()
                },
            )
            for name, kind in PROBLEMS.items()
        },
        as_json,
    )
    return ExitCode.DONE


@click.command()
@json_option
def optimizers(as_json: bool) -> ExitCode:
    """List the optimizers with their hyperparameters and defaults."""
    from trainers.optimizers.registry import OPTIMIZERS

    _catalogue({name: (rule, rule().hyperparameters) for name, rule in OPTIMIZERS.items()}, as_json)
    return ExitCode.DONE


def _catalogue(entries: dict[str, tuple[type, dict[str, Any]]], as_json: bool) -> None:
    summaries = {
        name: (kind.__doc__ or "").strip().splitlines()[0] for name, (kind, _) in entries.items()
    }
    if as_json:
        table = {
            n: {"summary": summaries[n], "parameters": dict(p)} for n, (_, p) in entries.items()
        }
        click.echo(json.dumps(table, indent=2))
        return
    for name, (_, parameters) in entries.items():
        click.echo(f"{name:22} {summaries[name]}")
        shown = ", ".join(
            f"{k} = {json.dumps(v) if v != 'required' else '(required)'}"
            for k, v in parameters.items()
        )
        if shown:
            click.echo(f"{'':22} {shown}")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one.")
def ui(port: int) -> ExitCode:
    """Serve the MLflow UI on this machine's data, on loopback, until Ctrl-C."""
    from tuning.cli.ui import serve

    return serve(port, click.echo)


COMMANDS = (check, list_jobs, status, report, problems, optimizers, ui)
