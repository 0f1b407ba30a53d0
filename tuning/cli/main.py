"""The command `surefoot`."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import click

from trainers._mask import mask
from trainers.errors import InvalidInput, ProblemFailed, SurefootError
from tuning.cli.cluster import CLUSTER_COMMANDS
from tuning.cli.exit_codes import ExitCode
from tuning.cli.hand_over import full_option
from tuning.cli.inspect import COMMANDS, job_argument, json_option, say_remarks, summary
from tuning.cli.one_restart import RESTART_COMMANDS
from tuning.cli.own_results import RESULTS_COMMANDS
from tuning.jobs.files import MLFLOW_URL, REPORT_PAGE

if TYPE_CHECKING:
    from tuning.jobs.base import Job
    from tuning.report.model import Report
    from tuning.search.loop import Listener
    from tuning.spec.job import JobSpec

__all__ = ["main"]


class _Workers(click.ParamType[Any]):
    name = "N|inline|cluster"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from tuning.execution.registry import pool_maker

        workers = int(value) if str(value).isdecimal() else value
        try:
            pool_maker(workers)
        except InvalidInput as error:
            self.fail(str(error).removeprefix("workers = "), param, ctx)
        return workers


workers_option = click.option(
    "--workers",
    type=_Workers(),
    help="Ray workers on this machine (default: every CPU); inline: without Ray; cluster: those "
    "of the Ray cluster that this machine is a node of.",
)
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="Print nothing but errors and the report's place."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("surefoot"), prog_name="surefoot")
def cli() -> None:
    """Find how fast a model can learn without falling or getting stuck.

    Exit codes: 0 done, 1 the job failed, 2 bad usage or bad job file, 3 done but no stable
    learning rate exists in the range, 130 interrupted. Data live under $SUREFOOT_HOME, by default
    ./surefoot-data.
    """


@cli.command()
@click.argument("job_file", metavar="JOB.toml")
@workers_option
@quiet_option
@full_option
@json_option
def run(job_file: str, workers: Any, quiet: bool, full: bool, as_json: bool) -> ExitCode:
    """Run a job on this machine: progress, then the answer and where the rest is."""
    from tuning.jobs.local import LocalJobs
    from tuning.runner.local_api import create_job, prepare
    from tuning.spec.job import folder_of

    with _stdout_aside(as_json or quiet):
        spec, problem, remarks = prepare(job_file)
    if not quiet:
        say_remarks(remarks)
    job = create_job(LocalJobs(), spec, problem, folder_of(job_file))
    return _carry_through(job, workers, quiet, full, as_json)


@cli.command()
@job_argument
@workers_option
@quiet_option
@full_option
@json_option
def resume(job_id: str, workers: Any, quiet: bool, full: bool, as_json: bool) -> ExitCode:
    """Go on with a job that was cut off; complete what MLflow lacks of one that is done.

    A job of the cluster goes on there, and is followed as by `submit`.
    """
    from tuning.jobs.lookup import find_job

    job = find_job(job_id)
    if job.on_this_machine:
        return _carry_through(job, workers, quiet, full, as_json)
    if workers is not None:
        raise InvalidInput(f"job {job_id} is on the cluster, which has its own workers")
    from tuning.cli.follow import follow, submitted

    again = submitted(job)
    again.resume()
    return follow(again, quiet=quiet, full=full, as_json=as_json)


def _carry_through(job: Job, workers: Any, quiet: bool, full: bool, as_json: bool) -> ExitCode:
    from rich.console import Console

    from tuning.errors import LeaseLost, Unreachable
    from tuning.runner.run import run_job
    from tuning.search.loop import EndedEarly

    spec = job.spec
    console = Console(stderr=as_json, highlight=False)
    if not quiet:
        console.print(f"job {job.id}: {summary(spec)}", markup=False)
    display = _display(console, spec, quiet)
    try:
        with display as listen, _stdout_aside(as_json or quiet):
            report = run_job(
                job,
                job.make_problem,
                workers=workers,
                listen=listen,
                announce=lambda line: click.echo(f"surefoot: {line}", err=True),
                patient_ctrl_c=True,
            )
    except KeyboardInterrupt as end:
        if isinstance(end, EndedEarly) and end.report is not None:
            _show_early(end.report, console, quiet, full, as_json)
        click.echo(
            f"surefoot: interrupted; what was done is kept. Go on with: surefoot resume {job.id}",
            err=True,
        )
        return ExitCode.INTERRUPTED
    except (ProblemFailed, Unreachable, LeaseLost, OSError) as error:
        why = _explained(error) if isinstance(error, OSError) else str(error)
        click.echo(f"surefoot: job {job.id} failed: {why}", err=True)
        for note in getattr(error, "__notes__", ()):  # the coordinator's last events
            click.echo(note, err=True)
        click.echo(
            f"surefoot: what was done is kept. Once mended, go on with: surefoot resume {job.id}",
            err=True,
        )
        return ExitCode.FAILED
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        _show(report, job, console, quiet, full)
    return ExitCode.DONE if report.best_stable is not None else ExitCode.NONE_STABLE


def _show_early(report: Report, console: Any, quiet: bool, full: bool, as_json: bool) -> None:
    """Of a job that was asked to end: nothing of it has been written yet."""
    from tuning.report.terminal import show

    if as_json:
        click.echo(report.to_json(), nl=False)
    elif not quiet:
        show(report, console, full=full)


def _stdout_aside(aside: bool) -> AbstractContextManager[object]:
    """To stderr what Ray (of a killed worker) or a user's problem prints, if stdout is `aside`."""
    return redirect_stdout(sys.stderr) if aside else nullcontext()


def _display(console: Any, spec: JobSpec, quiet: bool) -> AbstractContextManager[Listener | None]:
    from tuning.runner.progress import shown

    return nullcontext() if quiet else shown(console, spec)


def _show(report: Report, job: Job, console: Any, quiet: bool, full: bool) -> None:
    from tuning.report.terminal import show

    if not quiet:
        show(report, console, full=full, tables=f"{_command()} report {job.id} --full")
    click.echo(f"HTML report: {os.path.join(job.place, REPORT_PAGE)}")
    url = job.read(MLFLOW_URL)
    if url is not None:
        click.echo(f"MLflow runs: {url.strip()}")
    else:
        click.echo(f"MLflow runs: experiment {job.id}; see them with: {_ui_of(job)}")


def _ui_of(job: Job) -> str:
    """The command that shows the job's runs; MLflow's own if they are in a database elsewhere."""
    uri, _ = job.tracking
    if job.spec.tracking.uri is None:
        return f"{_command()} ui"
    mlflow = os.path.join(os.path.dirname(_command()), "mlflow")
    return f"{mlflow} server --backend-store-uri {shlex.quote(mask(uri))} --app-name surefoot"


def _command() -> str:
    """How this command can be called again: `make demo` calls it by its path."""
    return "surefoot" if shutil.which("surefoot") else os.path.relpath(sys.argv[0])


def _explained(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


for command in (*COMMANDS, *RESTART_COMMANDS, *RESULTS_COMMANDS, *CLUSTER_COMMANDS):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code; errors are one line on stderr."""
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # kept like Ctrl-C: what was done stays
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a ✓ that cannot be encoded must not end a job
            stream.reconfigure(errors="replace")
    if os.getcwd() not in sys.path:  # a user's "package.module:Class" is found, as by `python -m`
        sys.path.append(os.getcwd())
    try:
        code = cli.main(args=arguments, prog_name="surefoot", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = ExitCode.USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "surefoot"
        line = InvalidInput(f"{error.format_message()}; see {command} --help")
        click.echo(f"surefoot: {line}", err=True)
        code = ExitCode.USAGE
    except InvalidInput as error:
        click.echo(f"surefoot: {error}", err=True)
        code = ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("surefoot: interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except SurefootError as error:  # ProblemFailed; a cluster that does not answer now
        click.echo(f"surefoot: {error}", err=True)
        code = ExitCode.FAILED
    except OSError as error:
        click.echo(f"surefoot: {_explained(error)}", err=True)
        code = ExitCode.FAILED
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)
