"""Jobs in MLflow that nobody trained."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.support.made_results import DIVERGED, OSCILLATING, TRAPPED, Row, answer, job, slow
from tests.support.made_results import result as made
from tuning.analysis.build import build_report, next_confirmations
from tuning.jobs import files
from tuning.jobs.local import LocalJob, LocalJobs
from tuning.report.model import Report, RunFacts
from tuning.runner.mlflow_description import LiveDescription
from tuning.runner.outputs import note_place, runs_of
from tuning.tracking import Tracker
from tuning.trial.result import SettingResult

__all__ = ["RESTARTS", "begun", "finish", "large_job", "told_so_far"]

RESTARTS = 64
KNOWN = {"name": "made by hand", "parameters": 1, "known_minimum": 0.0}
OPTIMIZERS = ("momentum", "adam")
#: By optimizer: below it nobody falls, and a decade above it all do.
CLIFFS = (0.8, 0.08)


def _rows(rate: float, optimizer: int) -> list[Row]:
    """Faster with the rate, up to the cliff; a quarter is trapped."""
    cliff = CLIFFS[optimizer]
    fallen = round(RESTARTS * min(1.0, max(0.0, math.log10(rate / cliff))))
    worse = DIVERGED if rate > 6 * cliff else OSCILLATING
    steps = 10 if 0.1 < rate < 0.35 else 100 if rate > 0.003 else 1000
    end = 0.5 / (1.0 + 1000.0 * rate)
    end *= 1 + optimizer
    well = [replace(slow(steps), loss=end), replace(slow(steps, TRAPPED), loss=0.5 + end)]
    return [worse] * fallen + [well[i % 4 == 0] for i in range(RESTARTS - fallen)]


def large_job(home: Path, settings: int) -> tuple[LocalJob, list[SettingResult]]:
    """A job of `settings` settings of two optimizers, over five decades, and what its search and
    its fresh starts gave."""
    names = list(OPTIMIZERS)
    spec = job(settings, name="large", search={"optimizers": names, "settings": settings})
    homes = LocalJobs(home)
    homes.make_writable()
    header = {"created": "2026-01-01T00:00:00+00:00", "folder": str(home), "problem": KNOWN}
    kept = homes.create(spec, header, None)
    results = []
    for number in range(settings):
        # All over the range, in no order, as a search tries them.
        part = (number * 0.6180339887) % 1.0
        rate = 10 ** (-4 + 5 * part)
        results.append(
            made(number, rate, _rows(rate, number % len(names)), optimizer=number % len(names))
        )
    while more := next_confirmations(spec, 0.0, results):
        results += [answer(s, _rows(s.learning_rate, s.optimizer)) for s in more]
    return kept, results


def begun(kept: LocalJob) -> tuple[Tracker, LiveDescription]:
    """Its tracker, at work; and the description that it keeps."""
    uri, root = kept.tracking
    tags = {"surefoot.job": kept.id, "problem": "made by hand"}
    tracker = Tracker(uri, kept.id, artifact_root=root, experiment_tags=tags)
    tracker.start()
    return tracker, LiveDescription(kept, tracker)


def told_so_far(live: LiveDescription, results: Sequence[SettingResult]) -> None:
    """The job is at work, and has these results."""
    live.told(results)
    live.beat()


def finish(
    kept: LocalJob, results: Sequence[SettingResult], tracker: Tracker, live: LiveDescription
) -> Report:
    """All is known, and MLflow is told."""
    facts = RunFacts(kept.id, kept.header["created"], 60.0, 50.0, 5.0, 1000, {})
    report = build_report(kept.spec, KNOWN, results, facts)
    written = {files.REPORT_PAGE: "<h1>The answer</h1>", files.REPORT: json.dumps({})}
    tracker.reconcile(runs_of(kept, report, results, written), timeout=600.0)
    live.done(report, written)
    live.beat()  # the coordinator waits for MLflow now, and its heart goes on
    assert tracker.wait(600.0)
    note_place(kept, tracker)
    assert tracker.close(1.0) == []
    return report
