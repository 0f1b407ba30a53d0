"""How far a job is and what it found, as tags of its experiment: MLflow's note, and what
Surefoot's entrance shows (`tuning/tracking/entrance.html`)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum

from tuning.analysis.judgements import unstable_share
from tuning.analysis.status import status_alone
from tuning.jobs.base import Job
from tuning.report.formatting import count, number
from tuning.report.model import Report, Status
from tuning.runner.mlflow_note import answer_line, final_note, running_note
from tuning.runner.mlflow_projection import median_loss
from tuning.spec.job import JobSpec
from tuning.tracking import Tracker, view_tags
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

__all__ = ["Ending", "LiveDescription"]

_PAUSE_SECONDS = 5.0  # between two descriptions
_SIGN_OF_LIFE_SECONDS = 15.0  # after which one is due though nothing is new
_MOST_CHARACTERS = 19_000  # of 20,000 that MLflow takes

#: Optimizer -> (log10 of the rate, loss, P(unstable)) of each setting; None where not known.
Points = dict[str, list[tuple[float, float | None, float | None]]]


class Ending(StrEnum):
    """What the entrance shows of a job whose coordinator has said that it ended."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class LiveDescription:
    """Keeps the description of a job's experiment up to date, every few seconds at most."""

    def __init__(self, job: Job, tracker: Tracker) -> None:
        self._job, self._tracker = job, tracker
        self._report_key = f"{job.id}/report"
        self._results: Sequence[SettingResult] = ()
        self._new = True
        self._over = False
        self._last = -math.inf

    def told(self, results: Sequence[SettingResult]) -> None:
        """There are so many results now, labelled."""
        self._results, self._new = results, True

    def beat(self) -> None:
        """Called again and again while the job is carried on."""
        pause = _PAUSE_SECONDS if self._new else _SIGN_OF_LIFE_SECONDS
        if not self._over and time.monotonic() >= self._last + pause:
            self._say("running")

    def ended(self, ending: Ending, why: str = "") -> None:
        """It has ended before it was done."""
        self._over = True
        self._say(ending.value, why)

    def done(self, report: Report, written: Mapping[str, bytes | str]) -> None:
        """All is known. `written`: the report's files, of which pictures are shown."""
        self._over = True
        rows = (*report.settings, *report.confirmations, *report.rivals)
        points: Points = {}
        for row in rows:
            here = math.log10(row.learning_rate), row.loss, row.unstable.estimate
            points.setdefault(row.optimizer, []).append(here)
        best = report.best_stable
        pictures = [name for name in written if name.endswith(".png")]
        tags = {
            **view_tags(len(rows)),
            **self._common(Ending.DONE.value, points),
            "surefoot.progress": f"{count(len(rows))} settings",
            "surefoot.answer": answer_line(report),
            "surefoot.best": ""
            if best is None
            else json.dumps([best.optimizer, math.log10(best.learning_rate)]),
        }
        self._tracker.describe(
            self._report_key,
            lambda experiment, run: {
                **tags,
                "surefoot.report": run or "",
                "mlflow.note.content": final_note(report, pictures, experiment, run),
            },
        )

    def _say(self, state: str, why: str = "") -> None:
        spec, results = self._job.spec, gathered(self._results)
        progress, best = _progress(spec, results), _best(spec, results)
        so_far = "no rate looks stable yet"
        if best is not None:
            name = spec.search.rules[best.setting.optimizer].label
            so_far = f"best so far {number(best.setting.learning_rate)} with {name}, not confirmed"
        answer = why.splitlines()[0] if why else so_far
        tags = {
            **self._common(state, _points(spec, results)),
            "surefoot.progress": progress,
            "surefoot.answer": answer,
            "mlflow.note.content": running_note(state, progress, answer),
        }
        self._tracker.describe(self._report_key, lambda *_: tags)
        self._last, self._new = time.monotonic(), False

    def _common(self, state: str, points: Points) -> dict[str, str]:
        here = self._job.on_this_machine
        return {
            "surefoot.state": state,
            "surefoot.heard": f"{time.time():.0f}",
            "surefoot.points": _fitting(points),
            "surefoot.log": f"surefoot {'status' if here else 'logs'} {self._job.id}",
        }


def _progress(spec: JobSpec, results: Sequence[SettingResult]) -> str:
    size, unit = spec.search_size
    search = [r for r in results if r.setting.role.is_search]
    done = sum(len(r.restarts) for r in search) if unit == "restarts" else len(search)
    fresh = len(results) - len(search)
    confirming = f", {count(fresh)} on fresh starts" if fresh else ""
    return f"{count(done)} of {count(max(size, done))} {unit}{confirming}"


def _best(spec: JobSpec, results: Sequence[SettingResult]) -> SettingResult | None:
    """Of the settings that look stable the one with the lowest loss: for progress only."""
    stable = (
        r
        for r in results
        if r.setting.role is Role.SEARCH and status_alone(r, spec) is Status.LOOKS_STABLE
    )
    return min(stable, key=lambda r: r.value, default=None)


def _points(spec: JobSpec, results: Sequence[SettingResult]) -> Points:
    points: Points = {}
    for result in results:
        if result.setting.role is not Role.PROBE:
            name = spec.search.rules[result.setting.optimizer].label
            unstable = unstable_share(result.restarts).estimate
            here = math.log10(result.setting.learning_rate), median_loss(result.restarts), unstable
            points.setdefault(name, []).append(here)
    return points


def _fitting(points: Points) -> str:
    """As JSON, by the rate; every second, third, ... setting where all are too many for a tag."""
    ordered = {
        name: [
            [None if v is None else float(f"{v:.4g}") for v in point]
            for point in sorted(some, key=lambda point: point[0])
        ]
        for name, some in points.items()
    }
    every = 1
    while True:
        text = json.dumps(
            {name: some[::every] for name, some in ordered.items()}, separators=(",", ":")
        )
        if len(text) <= _MOST_CHARACTERS:
            return text
        every += 1
