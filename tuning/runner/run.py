"""Carrying a job through: pool, loop, tracking, report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from trainers import Problem, ProblemFailed
from tuning import tracking
from tuning.analysis.running_labels import RunningLabels
from tuning.analysis.status import status_alone
from tuning.execution.registry import Workers, pool_maker
from tuning.execution.signals import deferred_interrupts
from tuning.jobs import files
from tuning.jobs.base import Job
from tuning.report.model import Report
from tuning.runner.mlflow_description import Ending, LiveDescription
from tuning.runner.mlflow_projection import setting_run
from tuning.runner.mlflow_under_way import SettingsUnderWay
from tuning.runner.outputs import (
    note_place,
    report_of,
    run_facts,
    runs_of,
    saved_facts,
    write_files,
)
from tuning.search.loop import (
    Announce,
    EndedEarly,
    LeaseRenewer,
    Listener,
    Listeners,
    Progress,
    Writing,
    ignore,
    run_loop,
)
from tuning.search.plan import JobPlan
from tuning.search.records import results_of
from tuning.study import StudyStore
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role
from tuning.trial.task import TrainingConfig

__all__ = ["run_job"]

#: The study's attribute that names the trial to use.
RECOMMENDED = "recommended"
_TRACKING_PATIENCE_SECONDS = 60.0
_PARTING_SECONDS = 3.0  # for MLflow to be told that a job ended early
_POLL_SECONDS = 1.0
_WRITING_STEPS = 3  # the report, its files, MLflow


def run_job(
    job: Job,
    make_problem: Callable[[], Problem],
    *,
    workers: Workers = None,
    listen: Listener | None = None,
    announce: Announce | None = None,
    failing: Callable[[ProblemFailed], None] | None = None,
    heartbeat: Callable[[], None] | None = None,
    patient_ctrl_c: bool = False,
    patience: float = _TRACKING_PATIENCE_SECONDS,
) -> Report:
    """Carry `job` through from wherever its study stands; write its report and its projection to
    MLflow.

    Args:
        make_problem: called when the lease is held: data may take minutes to come.
        announce: called with a line when something happens that people should know.
        failing: called with what the problem raised, before the job counts as failed.
        heartbeat: called every few seconds; what it raises ends the work.
        patient_ctrl_c: whether the first Ctrl-C ends the job with what is in flight.
        patience: seconds to wait for MLflow when all else is done.
    """
    pool_maker(workers)  # it is refused before anything is begun
    with (
        deferred_interrupts() as heard,
        job.writing() as store,
        contextlib.ExitStack() as stack,
    ):

        def check() -> None:
            heard.check()
            live.beat()
            if heartbeat is not None:
                heartbeat()

        last = Progress((), 0, 0, 0.0, 0)

        def progress(now: Progress) -> None:
            nonlocal last
            last = now
            if listen is not None:
                listen(now)

        listener = Listeners(progress, announce or ignore, check, lambda: heard.asked)

        @contextlib.contextmanager
        def patiently() -> Iterator[None]:
            heard.patient = patient_ctrl_c
            try:
                yield
            finally:
                heard.patient = False

        job.remove(files.FAILURE)
        job.remove(files.EVENTS)
        begin = time.monotonic()
        tracker = _tracker(job)
        live = LiveDescription(job, tracker)
        tracker.start()  # its imports and migrations take seconds: beside those of Ray
        stack.callback(tracker.close, 0.0)
        problem = make_problem()
        before = results_of(store)
        try:
            results = _train(
                job, problem, workers, store, before, tracker, live, listener, failing, patiently
            )
        except ProblemFailed as error:
            live.ended(Ending.FAILED, str(error))
            tracker.wait(_PARTING_SECONDS)
            raise
        except KeyboardInterrupt as end:
            live.ended(Ending.INTERRUPTED)
            tracker.wait(_PARTING_SECONDS)
            if isinstance(end, EndedEarly) and end.results:
                facts = run_facts(job, end.results, time.monotonic() - begin)
                end.report = report_of(job, problem, end.results, facts, done=False)
            raise

        def writing(what: str, done: int, detail: str = "") -> None:
            spent = time.monotonic() - begin
            step = Writing(what, done, _WRITING_STEPS, detail)
            progress(
                replace(last, told=results, seconds=spent, finished=True, news=(), writing=step)
            )

        writing("the report", 0)
        saved = saved_facts(job) if len(results) == len(before) else None
        run = saved or run_facts(job, results, time.monotonic() - begin)
        report = report_of(job, problem, results, run, done=True)
        # Before the report is written: a job with a report counts as done, and whoever shows it
        # then shows this address too.
        note_place(job, tracker)
        store.note(RECOMMENDED, None if report.best_stable is None else report.best_stable.number)
        writing("its pictures", 1)
        written = write_files(job, report)
        writing("runs in MLflow", 2)
        tracker.reconcile(runs_of(job, report, results, written))
        live.done(report, written)
        _wait_for(
            tracker,
            patience,
            store,
            listener,
            lambda left: writing("runs in MLflow", 2, f"{left} to go"),
        )
        missing = tracker.close(0.0)
        store.hold()  # raises if somebody has taken over: then MISSING is theirs to write
        if missing:
            why = tracker.problem or "it is slow"
            lacks = (
                f"MLflow lacks {len(missing)} runs ({why}); surefoot resume {job.id} completes it"
            )
            job.write(files.MLFLOW_MISSING, lacks + "\n")
            listener.announce(lacks)
        else:
            job.remove(files.MLFLOW_MISSING)
        note_place(job, tracker)
    return report


def _train(
    job: Job,
    problem: Problem,
    workers: Workers,
    store: StudyStore,
    before: Sequence[SettingResult],
    tracker: tracking.Tracker,
    live: LiveDescription,
    listener: Listeners,
    failing: Callable[[ProblemFailed], None] | None,
    patiently: Callable[[], contextlib.AbstractContextManager[None]],
) -> list[SettingResult]:
    """Carry the study to its end; each result goes to MLflow as soon as it has been told."""
    spec, facts = job.spec, job.header["problem"]
    known = facts["known_minimum"]
    config = TrainingConfig.of(spec)
    numbers = facts["flops"], known, facts.get("restart_bytes", 0.0)
    plan = JobPlan(spec, *numbers)
    complete = bool(before) and not JobPlan(spec, *numbers).begin(before)
    running = RunningLabels(known, spec.thresholds)
    under_way = SettingsUnderWay(job.id, spec, tracker)

    if before:
        live.told(running.of(before).results)

    def told(results: list[SettingResult]) -> None:
        added = results[-1].setting
        under_way.told(added.number)
        labels = running.of(results)
        live.told(labels.results)
        if added.role is Role.PROBE:
            return  # a few starts that stand for no others: in the report, and no run of their own
        alike = gathered([r for r in labels.results if r.setting.resembles(added)])
        # The last of several, where a sampler proposed the same setting again.
        latest = next(r for r in reversed(alike) if added.blocks[-1] in r.setting.blocks)
        basins, status = labels.basins_of(latest.restarts), status_alone(latest, spec)
        tracker.put(setting_run(job.id, latest, basins, status, spec))

    # Of a complete study only the report is wanted: no workers are started for that.
    maker = pool_maker("inline" if complete else workers)
    with contextlib.closing(maker.make_pool(problem, config, spec.cluster)) as pool:
        try:
            with patiently():
                listener = replace(listener, under_way=under_way.heard)
                return run_loop(spec, plan, pool, store, told, listener)
        except ProblemFailed as error:
            store.hold()  # raises if somebody has taken over: then the failure is theirs to find
            notes = getattr(error, "__notes__", ())
            job.write(files.EVENTS, "".join(f"{note}\n" for note in notes))
            if failing is not None:
                failing(error)
            job.write(files.FAILURE, f"{error}\n")
            raise
        finally:
            under_way.ended()


def _wait_for(
    tracker: tracking.Tracker,
    patience: float,
    store: StudyStore,
    listener: Listeners,
    say: Callable[[int], None],
) -> None:
    """Until MLflow has all, and no longer than `patience` seconds. The lease is kept meanwhile.

    Args:
        say: called with how many runs are left, again and again.
    """
    deadline, renewer = time.monotonic() + patience, LeaseRenewer(store)
    while not tracker.wait(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
        if time.monotonic() >= deadline:
            return
        say(tracker.waiting)
        renewer.renew()
        listener.heartbeat()


def _tracker(job: Job) -> tracking.Tracker:
    uri, artifact_root = job.tracking
    return tracking.Tracker(
        uri,
        job.id,
        artifact_root=artifact_root,
        experiment_tags={"surefoot.job": job.id, "problem": job.spec.problem.name},
    )
