"""What people call: run a job, load its report or its study, train one restart again."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trainers import InvalidInput, Problem, get_problem, starts
from trainers._mask import mask
from trainers.data.sources import is_frame
from trainers.training.checks import check_returns
from trainers.training.consistency import check_consistency
from trainers.training.engine import trainer_of
from tuning import tracking
from tuning.analysis.problem_info import plugin_versions, problem_facts
from tuning.errors import Unreachable
from tuning.execution.in_process import user_code
from tuning.execution.registry import Workers, pool_maker
from tuning.jobs.base import Job
from tuning.jobs.local import LocalJob, LocalJobs
from tuning.jobs.lookup import find_job
from tuning.report.model import Report
from tuning.runner.outputs import report_of, run_facts, saved_facts
from tuning.runner.places import absolute
from tuning.runner.run import run_job
from tuning.search.loop import Listener
from tuning.search.plan import make_search
from tuning.search.records import results_of
from tuning.spec.job import JobSpec, folder_of, read_spec
from tuning.study import StudyStore

if TYPE_CHECKING:
    import optuna

__all__ = ["create_job", "load_report", "load_study", "prepare", "resume", "sourced", "tune"]


class Prepared(NamedTuple):
    """A job that can be run: with its optimizers those of the library that trains its problem.
    `remarks`: what people should know of it, a line each."""

    spec: JobSpec
    problem: Problem
    remarks: list[str]


def prepare(
    source: str | Path | Mapping[str, Any] | JobSpec, problem: Problem | None = None
) -> Prepared:
    """A job, checked as far as can be without running it: nothing is started or written.

    Args:
        problem: an object to use instead of the one that the spec names.

    Raises:
        InvalidInput: one line naming what, where and what is valid.
        ProblemFailed: the problem's own code raised, with its traceback.
    """
    spec = absolute(read_spec(source), folder_of(source))
    if problem is not None and not isinstance(problem, Problem):
        raise InvalidInput(
            f"problem is a {type(problem).__name__}; it must be a trainers.Problem, or a name"
        )
    with user_code(), _naming(source):
        problem = problem or spec.make_problem(folder_of(source))
        trainer = trainer_of(problem)
        spec = spec.trained_by(trainer)
        spec.check_batches(problem)
        check_returns(problem, starts(problem, restarts=2, seed=spec.seed))
        if spec.problem.check and _is_own(problem):
            check_consistency(problem, spec.seed)
        make_search(spec, problem.known_minimum)
        if spec.tracking.uri is not None:
            tracking.check(spec.tracking.uri)
        if spec.storage.url is not None:
            StudyStore.check(spec.storage.url)
        said = trainer.remarks(problem, spec.search.rules, spec.training.batch_size)
    return Prepared(spec, problem, said if spec.unused is None else [spec.unused, *said])


def _is_own(problem: Problem) -> bool:
    """Whether somebody wrote its loss and its gradient: not ours, and not PyTorch's."""
    ours = type(problem).__module__.partition(".")[0] == "trainers"
    return not ours and problem.trainer() is None


@contextmanager
def _naming(source: object) -> Iterator[None]:
    """Name the job file, if there is one, in what is wrong with the job, as `read_spec` does."""
    where = f"{source}: " if isinstance(source, str | Path) else ""
    try:
        yield
    except MemoryError as error:
        raise InvalidInput(f"{where}the problem is too large for this machine: {error}") from error
    except InvalidInput as error:
        raise InvalidInput(f"{where}{error}") from error


def tune(
    spec: str | Path | Mapping[str, Any] | JobSpec | None = None,
    /,
    *,
    workers: Workers = None,
    home: str | Path | None = None,
    progress: Listener | None = None,
    **tables: Any,
) -> Report:
    """Run a job here and return its report.

    Args:
        spec: a job file, a dict shaped like one, or a JobSpec; or else the tables as keyword
            arguments, as in ``tune(problem="xor", search={"optimizers": ["gd"]},
            training={"restarts": 64})``.
        workers: how many Ray workers (default: all CPUs), or "inline" for this process, without
            Ray; or a pool of your own, see `tuning.execution.registry`. The answer is the same.
        home: instead of SUREFOOT_HOME.
        progress: called with a `Progress` again and again.
        tables: `problem` may be a name, a table, or an object of a class of yours; in a table
            `data` may be a DataFrame.

    Raises:
        InvalidInput: bad input; nothing has been started.
        ProblemFailed: the problem's own code raised; what had been done is kept.
    """
    source, own = sourced(spec, tables)
    pool_maker(workers)
    checked, problem, remarks = prepare(source, own)
    for line in remarks:
        _warn(line)
    job = create_job(LocalJobs(home), checked, problem, folder_of(spec), own=own is not None)
    return run_job(job, lambda: problem, workers=workers, listen=progress, announce=_warn)


def sourced(
    spec: str | Path | Mapping[str, Any] | JobSpec | None, tables: dict[str, Any]
) -> tuple[str | Path | Mapping[str, Any] | JobSpec, Problem | None]:
    """What `tune` and `submit` were given, as a job, and the problem if that was an object.

    Raises:
        InvalidInput: both or neither were given, or the problem is none.
    """
    given = tables.get("problem")
    own = given if isinstance(given, Problem) else None
    if isinstance(given, str):
        tables["problem"] = {"name": given}
    elif isinstance(given, Mapping) and is_frame(given.get("data")):
        # A DataFrame is in no job file: the problem is kept with the job, as any object.
        tables["problem"] = {key: value for key, value in given.items() if key != "data"}
        own = get_problem(**given) if isinstance(given.get("name"), str) else None
    elif own is not None:
        tables["problem"] = {"name": own.reference}
    elif given is not None and not isinstance(given, Mapping):
        raise InvalidInput(
            f"problem is a {type(given).__name__}; "
            "it must be a trainers.Problem, a table, or a name"
        )
    if spec is not None and tables:
        raise InvalidInput(
            f"give either a spec or keyword arguments, not both: {', '.join(sorted(tables))}"
        )
    return tables if spec is None else spec, own


def _warn(line: str) -> None:
    warnings.warn(line, RuntimeWarning, stacklevel=4)


def create_job(
    home: LocalJobs, spec: JobSpec, problem: Problem, folder: Path, *, own: bool = False
) -> LocalJob:
    """Make the job's folder and its empty study.

    Args:
        folder: where the job's paths are looked for first, also on `resume`.
        own: whether `problem` was given as an object, and must be kept with the job.

    Raises:
        InvalidInput: the folder or the study cannot be made; nothing of the job stays.
    """
    home.make_writable()
    header = {
        "created": datetime.now(UTC).isoformat(),
        "folder": str(folder),
        "working_directory": str(Path.cwd()),  # where data were looked for next
        "problem": problem_facts(
            spec.problem.name, problem, spec.search.rules, spec.training.batch_size
        ),
        "plugins": plugin_versions(spec),
    }
    job = home.create(spec, header, problem if own else None)
    try:
        job.create_study()
    except (InvalidInput, OSError, Unreachable) as error:
        why = f"the study {mask(job.study_url)} cannot be made: {error}"
        shutil.rmtree(job.folder, ignore_errors=True)  # nothing half-made stays behind
        raise InvalidInput(why) from error
    return job


def resume(
    job_id: str,
    *,
    workers: Workers = None,
    home: str | Path | None = None,
    progress: Listener | None = None,
) -> Report:
    """Go on with a job from wherever it was cut off; of a finished one, complete what MLflow lacks.

    Raises:
        InvalidInput: there is no such job, or somebody is at work on it.
    """
    job = find_job(job_id, home=home)
    if not job.on_this_machine:
        raise InvalidInput(
            f"job {job_id} is on the cluster: surefoot resume {job_id} goes on there"
        )
    return run_job(job, job.make_problem, workers=workers, listen=progress, announce=_warn)


def load_report(job: str | Job, *, home: str | Path | None = None) -> Report:
    """The report of a job, on this machine or on the cluster of SUREFOOT_STORAGE_URL, worked out
    from its study; of one that is not done, the report of what there is.

    Args:
        job: its id.
        home: look in this folder only.

    Raises:
        InvalidInput: there is no such job, or nothing has been done yet.
        Unreachable: the cluster's database is away.
    """
    found = find_job(job, home=home) if isinstance(job, str) else job
    results = results_of(found.study())
    if not results:
        raise InvalidInput(f"job {found.id} has no results yet; surefoot status {found.id} tells")
    saved = saved_facts(found)
    run = saved or run_facts(found, results, 0.0)
    # Only a picture of one weight needs the problem, whose data or module may be gone by now.
    problem: Problem | None = None
    lacking: tuple[str, ...] = ()
    if found.header["problem"]["parameters"] == 1:
        try:
            problem = found.make_problem()
        except InvalidInput as error:
            lacking = (f"The paths over J(w) are not drawn: {error}.",)
    report = report_of(found, problem, results, run, done=saved is not None)
    return replace(report, warnings=(*report.warnings, *lacking))


def load_study(job_id: str, *, home: str | Path | None = None) -> optuna.Study:
    """The job's Optuna study: `optuna.visualization`, optuna-dashboard and `trials_dataframe` work
    on it.

    Of a job that is done its user attribute `recommended` is the number of the trial to use, or
    None: `study.trials[study.user_attrs["recommended"]]`. Its `best_trial` is the one whose
    restarts ended lowest on average, of those of the search within `max_unstable`; it is no trial
    on fresh starts, but in studies that earlier versions wrote. A trial's user attribute `role`
    says why it was tried; its duration is that of its training and judging; its intermediate values
    are the median loss of its restarts. All that the report needs is in a system attribute.

    Raises:
        InvalidInput: there is no such job.
        Unreachable: the cluster's database is away.
    """
    return find_job(job_id, home=home).study().optuna_study
