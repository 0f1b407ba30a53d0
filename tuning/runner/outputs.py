"""What a job leaves behind: its report, the report's files, and its runs in MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
from threadpoolctl import threadpool_limits

from trainers import Problem
from tuning import tracking
from tuning.analysis.basin_labels import Labels
from tuning.analysis.build import build_report
from tuning.analysis.problem_info import draw_landscape, host_facts, plugin_versions
from tuning.jobs import files
from tuning.jobs.base import Job
from tuning.report.answer import short_answer
from tuning.report.model import Report, RunFacts
from tuning.runner.mlflow_projection import report_run, setting_run
from tuning.runner.mlflow_ranking import ranked, summary_runs
from tuning.search.plan import is_searching
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role
from tuning.trial.task import TrainingConfig

__all__ = ["note_place", "report_of", "run_facts", "runs_of", "saved_facts", "write_files"]


def run_facts(job: Job, results: Sequence[SettingResult], seconds: float) -> RunFacts:
    """The facts of a run that took `seconds` by the clock."""
    steps = job.spec.training.steps
    gone = np.concatenate([r.restarts.diverged_at for r in results])
    return RunFacts(
        job_id=job.id,
        created=job.header["created"],
        seconds=seconds,
        training_seconds=sum(r.training_seconds for r in results),
        classifying_seconds=sum(r.classifying_seconds for r in results),
        restart_steps=int(np.where(gone >= 0, gone, steps).sum()),
        host={**host_facts(), **plugin_versions(job.spec)},
    )


def saved_facts(job: Job) -> RunFacts | None:
    """The facts of the run that finished the job, if one did and its report can still be read."""
    saved = job.read(files.REPORT)
    try:
        return None if saved is None else RunFacts(**json.loads(saved)["run"])
    except (ValueError, KeyError, TypeError):
        return None


def report_of(
    job: Job,
    problem: Problem | None,
    results: Sequence[SettingResult],
    run: RunFacts,
    *,
    done: bool,
) -> Report:
    """The report, with its landscape if the problem is at hand. `done`: whether all is told."""
    spec, facts = job.spec, job.header["problem"]
    searching = not done and is_searching(spec, facts["known_minimum"], results)
    report = build_report(spec, facts, results, run, searching=searching)
    if problem is None:
        return report
    with threadpool_limits(1):
        return replace(report, landscape=draw_landscape(problem, TrainingConfig.of(spec), report))


def write_files(job: Job, report: Report) -> dict[str, bytes | str]:
    """The report's files; report.json last, for it says that the job is done."""
    from tuning.report.export import to_csv
    from tuning.report.html import page
    from tuning.report.markdown import to_markdown
    from tuning.report.plots.all import pictures

    drawn = pictures(report)
    written: dict[str, bytes | str] = {
        files.REPORT_PAGE: page(report),
        files.REPORT_MARKDOWN: to_markdown(report),
        files.SETTINGS_TABLE: to_csv(report),
        **drawn,
    }
    if "architecture" in report.problem:
        written[files.MODEL] = f"{report.problem['architecture']}\n"
    written[files.REPORT] = report.to_json()
    job.write(files.ANSWER, f"{short_answer(report)}\n")
    for name, content in written.items():
        job.write(name, content)
    return written


def runs_of(
    job: Job, report: Report, results: Sequence[SettingResult], written: Mapping[str, bytes | str]
) -> list[tracking.Run]:
    """All runs that MLflow shall hold, with the labels that hold now that everything is known."""
    spec, header = job.spec, job.header
    known = header["problem"]["known_minimum"]
    labels = Labels.of(gathered(results), known, spec.thresholds)
    status = {row.number: row.status for row in report.rows}
    runs = [
        setting_run(job.id, result, basins, status[result.setting.number], spec)
        for result, basins in zip(labels.results, labels.basins, strict=True)
        if result.setting.role is not Role.PROBE  # they stand for no others
    ]
    created = datetime.fromisoformat(header["created"]).timestamp()
    ended = max(created, *(r.finished_at for r in results))
    seconds = created, ended
    names = [rule.label for rule in spec.search.rules]
    return [
        *ranked(runs, report),
        *summary_runs(report, names, seconds),
        report_run(report, written, seconds),
    ]


def note_place(job: Job, tracker: tracking.Tracker) -> None:
    """Keep where in MLflow the job's report is, if that is known by now."""
    if tracker.path is not None:
        job.write(files.MLFLOW_PATH, tracker.path + "\n")
    if tracker.url is not None:
        job.write(files.MLFLOW_URL, tracker.url + "\n")
