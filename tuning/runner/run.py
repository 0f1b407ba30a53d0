"""Carrying a job through: pool, loop, tracking, report."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from trainers import InvalidInput, Problem, ProblemFailed
from tuning import tracking
from tuning.analysis.basin_labels import Labels
from tuning.analysis.build import build_report
from tuning.analysis.problem_info import draw_landscape, host_facts
from tuning.execution.base import InProcessPool, Pool
from tuning.execution.ray_pool import OnCluster, RayPool
from tuning.execution.signals import deferred_interrupts
from tuning.jobs import files
from tuning.jobs.base import Job
from tuning.report.model import Report, RunFacts
from tuning.runner.mlflow_projection import report_run, setting_run
from tuning.search.loop import (
    Announce,
    LeaseRenewer,
    Listener,
    Listeners,
    make_plan,
    results_of,
    run_loop,
)
from tuning.spec.sections import ClusterSpec
from tuning.study import StudyStore
from tuning.trial.result import SettingResult
from tuning.trial.task import TrainingConfig

__all__ = [
    "Announce",
    "Workers",
    "check_workers",
    "report_of",
    "run_facts",
    "run_job",
    "saved_facts",
]

Workers = int | Literal["inline"] | OnCluster | None

_TRACKING_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 1.0


def run_job(
    job: Job,
    make_problem: Callable[[], Problem],
    *,
    workers: Workers = None,
    listen: Listener | None = None,
    announce: Announce | None = None,
    heartbeat: Callable[[], None] | None = None,
    patience: float = _TRACKING_PATIENCE_SECONDS,
) -> Report:
    """Carry `job` through from wherever its study stands; write its report and its projection to
    MLflow.

    Args:
        make_problem: called when the lease is held: data may take minutes to come.
        announce: called with a line when something happens that people should know.
        heartbeat: called every few seconds; what it raises ends the work.
        patience: seconds to wait for MLflow when all else is done.
    """
    check_workers(workers)
    with (
        deferred_interrupts() as interrupted,
        job.writing() as store,
        contextlib.ExitStack() as stack,
    ):

        def check() -> None:
            interrupted()
            if heartbeat is not None:
                heartbeat()

        listener = Listeners(listen or _silent, announce or _silent, check)
        job.remove(files.FAILURE)
        begin = time.monotonic()
        tracker = _tracker(job)
        tracker.start()  # its imports and migrations take seconds: beside those of Ray
        stack.callback(tracker.close, 0.0)
        problem = make_problem()
        before = results_of(store)
        results = _train(job, problem, workers, store, before, tracker, listener)
        saved = saved_facts(job) if len(results) == len(before) else None
        run = saved or run_facts(job, results, time.monotonic() - begin)
        report = report_of(job, problem, results, run)
        _note_place(job, tracker)  # now, for with the report the job is done, and shown with it
        tracker.reconcile(_runs(job, report, results, _write_files(job, report)))
        _wait_for(tracker, patience, store, listener)
        missing = tracker.close(0.0)
        store.hold()  # what whoever has taken over finds MLflow to lack counts, and not this
        if missing:
            why = tracker.problem or "it is slow"
            lacks = (
                f"MLflow lacks {len(missing)} runs ({why}); surefoot resume {job.id} completes it"
            )
            job.write(files.MLFLOW_MISSING, lacks + "\n")
            listener.announce(lacks)
        else:
            job.remove(files.MLFLOW_MISSING)
        _note_place(job, tracker)
    return report


def check_workers(workers: object) -> None:
    """Raises InvalidInput unless `workers` is None, "inline", a cluster or a whole number from 1 to
    10,000."""
    if workers is None or workers == "inline" or isinstance(workers, OnCluster):
        return
    if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 10_000:
        raise InvalidInput(
            f"workers = {workers!r} is not valid; a whole number from 1 to 10000, or 'inline'"
        )


def _train(
    job: Job,
    problem: Problem,
    workers: Workers,
    store: StudyStore,
    before: Sequence[SettingResult],
    tracker: tracking.Tracker,
    listener: Listeners,
) -> list[SettingResult]:
    """Carry the study to its end; each result goes to MLflow as soon as it has been told."""
    spec, facts = job.spec, job.header["problem"]
    known = facts["known_minimum"]
    config = TrainingConfig.of(spec)
    plan = make_plan(spec, facts["flops"], known)

    def told(results: list[SettingResult]) -> None:
        labels = Labels.of(results, known, spec.outcomes.thresholds)
        tracker.put(setting_run(job.id, results[-1], labels.basins[-1], spec))

    finished = len(before) >= spec.search.settings and not plan.confirm(before)
    pool = _make_pool(problem, config, "inline" if finished else workers, spec.cluster)
    with contextlib.closing(pool):
        try:
            return run_loop(spec, plan, pool, store, told, listener)
        except ProblemFailed as error:
            store.hold()  # what whoever has taken over finds counts, and not this
            job.write(files.FAILURE, f"{error}\n")
            raise


def _runs(
    job: Job, report: Report, results: Sequence[SettingResult], written: Mapping[str, bytes | str]
) -> list[tracking.Run]:
    """All runs that MLflow shall hold, with the labels that hold now that everything is known."""
    spec, header = job.spec, job.header
    labels = Labels.of(results, header["problem"]["known_minimum"], spec.outcomes.thresholds)
    runs = [setting_run(job.id, r, b, spec) for r, b in zip(results, labels.basins, strict=True)]
    created = datetime.fromisoformat(header["created"]).timestamp()
    ended = max(created, *(r.finished_at for r in results))
    return [*runs, report_run(report, written, (created, ended))]


def _note_place(job: Job, tracker: tracking.Tracker) -> None:
    """Keep where in MLflow the job is, if that is known by now."""
    if tracker.experiment_id is not None:
        job.write(files.MLFLOW_EXPERIMENT, tracker.experiment_id + "\n")
    if tracker.url is not None:
        job.write(files.MLFLOW_URL, tracker.url + "\n")


def _wait_for(
    tracker: tracking.Tracker, patience: float, store: StudyStore, listener: Listeners
) -> None:
    """Until MLflow has all, and no longer than `patience` seconds. The lease is kept meanwhile."""
    deadline, renewer = time.monotonic() + patience, LeaseRenewer(store)
    while not tracker.wait(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            return
        renewer.renew()
        listener.heartbeat()


def _silent(news: object) -> None:
    """Nobody is listening."""


def _tracker(job: Job) -> tracking.Tracker:
    uri, artifact_root = job.tracking
    return tracking.Tracker(
        uri,
        job.id,
        artifact_root=artifact_root,
        experiment_tags={"surefoot.job": job.id, "problem": job.spec.problem.name},
    )


def _make_pool(
    problem: Problem, config: TrainingConfig, workers: Workers, cluster: ClusterSpec
) -> Pool:
    if workers == "inline":
        return InProcessPool(problem, config)
    return RayPool(
        problem,
        config,
        workers=None if isinstance(workers, OnCluster) else workers,
        cluster=workers if isinstance(workers, OnCluster) else None,
        timeout=cluster.task_timeout,
        transfer=cluster.transfer_timeout,
    )


def run_facts(job: Job, results: Sequence[SettingResult], seconds: float) -> RunFacts:
    steps = job.spec.training.steps
    gone = np.concatenate([r.restarts.diverged_at for r in results])
    return RunFacts(
        job_id=job.id,
        created=job.header["created"],
        seconds=seconds,
        training_seconds=sum(r.training_seconds for r in results),
        classifying_seconds=sum(r.classifying_seconds for r in results),
        restart_steps=int(np.where(gone >= 0, gone, steps).sum()),
        host=host_facts(),
    )


def saved_facts(job: Job) -> RunFacts | None:
    """The facts of the run that finished the job, if one did and its report can still be read."""
    saved = job.read(files.REPORT)
    try:
        return None if saved is None else RunFacts(**json.loads(saved)["run"])
    except (ValueError, KeyError, TypeError):
        return None


def report_of(
    job: Job, problem: Problem | None, results: Sequence[SettingResult], run: RunFacts
) -> Report:
    """The report, with its landscape if the problem is at hand."""
    spec = job.spec
    report = build_report(spec, job.header["problem"], results, run)
    if problem is None:
        return report
    with threadpool_limits(1):
        return replace(report, landscape=draw_landscape(problem, TrainingConfig.of(spec), report))


def _write_files(job: Job, report: Report) -> dict[str, bytes | str]:
    """The report's files; report.json last, for it says that the job is done."""
    from tuning.report.export import to_csv
    from tuning.report.html import page
    from tuning.report.plots.all import pictures

    drawn = pictures(report)
    written: dict[str, bytes | str] = {
        files.REPORT_PAGE: page(report, drawn),
        files.SETTINGS_TABLE: to_csv(report),
        **drawn,
        files.REPORT: report.to_json(),
    }
    for name, content in written.items():
        job.write(name, content)
    return written
