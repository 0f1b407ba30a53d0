"""(b) Restarts a second of a whole job against a plain Optuna loop; (c) its wall time over what
training and judging take by themselves; (d) CPU time of all else, a setting of a long job against
one of a short job.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import tuning
from benchmarks.plain import optuna_loop
from benchmarks.problems import data
from trainers import Problem
from tuning.execution.base import Event, Pool
from tuning.execution.in_process import InProcessPool, InThisProcess
from tuning.spec.cluster_section import ClusterSpec
from tuning.trial.task import TrainingConfig

__all__ = ["job"]

RESTARTS, STEPS, WORKERS = 64, 500, 2
_FEW, _MANY = 24, 144
_PLAIN_FEW, _PLAIN_MANY = 2, 10
_ROUNDS = 3
# Start-up, a short job and a long one; of each how often.
_SHORT, _LONG = 100, 1600
_TRIVIAL = {20: 3, _SHORT: 3, _LONG: 1}


def job() -> list[str]:
    """Lines of Markdown. Rates are slopes between a short and a long run, so start-up does not
    count.
    """
    with tempfile.TemporaryDirectory() as folder:
        return [*_whole(Path(folder)), "", *_machinery(Path(folder))]


def _whole(folder: Path) -> list[str]:
    x, y = data(2, 1, 64, classes=False)
    spent: dict[int, float] = {}
    jobs: dict[int, tuple[float, tuning.Report]] = {}
    # The machine is shared: of each length the best of some rounds, interleaved.
    for _ in range(_ROUNDS):
        for trials in (_PLAIN_FEW, _PLAIN_MANY):
            begin = time.perf_counter()
            optuna_loop(folder, x, y, trials=trials, restarts=RESTARTS, steps=STEPS)
            wall = time.perf_counter() - begin
            spent[trials] = min(wall, spent.get(trials, wall))
        for settings in (_FEW, _MANY):
            found = _tuned(
                folder,
                problem="benchmarks.problems:Regression",
                search={
                    "optimizers": ["gd"],
                    "sampler": "tpe",
                    "settings": settings,
                    "learning_rate": {"low": 1e-3, "high": 1.0},
                },
                training={"restarts": RESTARTS, "steps": STEPS},
                workers=WORKERS,
            )
            jobs[settings] = min(found, jobs.get(settings, found), key=lambda one: one[0])
    plain = RESTARTS * (_PLAIN_MANY - _PLAIN_FEW) / (spent[_PLAIN_MANY] - spent[_PLAIN_FEW])
    ours = RESTARTS * (_MANY - _FEW) / (jobs[_MANY][0] - jobs[_FEW][0])
    wall, report = jobs[_MANY]
    pure = report.run.training_seconds / WORKERS
    both = pure + report.run.classifying_seconds / WORKERS
    return [
        "| | restarts/s | ratio |",
        "| --- | --- | --- |",
        f"| plain Optuna loop with MLflow, one process | {plain:.0f} | 1 |",
        f"| surefoot, {WORKERS} Ray workers | {ours:.0f} | {ours / plain:.1f}x (asked: 9x) |",
        "",
        f"A whole job of {_MANY} settings takes {wall:.1f} s of wall time. "
        f"On {WORKERS} workers its pure training takes {pure:.1f} s, its judging "
        f"{both - pure:.1f} s; wall time over both is {wall / both:.2f} (asked: 1.15), "
        f"and over pure training {wall / pure:.2f}. Without start-up a setting takes "
        f"{(wall - jobs[_FEW][0]) / (both - _both(jobs[_FEW][1])):.2f} times both.",
    ]


def _both(report: tuning.Report) -> float:
    return (report.run.training_seconds + report.run.classifying_seconds) / WORKERS


class _Timed(InThisProcess):
    """A pool in this process that knows how long it worked.

    Attributes:
        seconds: of CPU time.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def make_pool(self, problem: Problem, config: TrainingConfig, limits: ClusterSpec) -> Pool:
        """As `registry.PoolMaker` says."""
        timed = self

        class Timed(InProcessPool):
            def wait(self, timeout: float) -> list[Event]:
                begin = time.thread_time()
                events = super().wait(timeout)
                timed.seconds += time.thread_time() - begin
                return events

        return Timed(problem, config)


def _machinery(folder: Path) -> list[str]:
    """What a setting costs beside its training and judging: proposing, telling, MLflow, report. In
    CPU time, for the machine is shared."""
    rest: dict[int, float] = {}
    for settings, rounds in _TRIVIAL.items():
        for _ in range(rounds):
            pool, begin = _Timed(), time.process_time()
            _tuned(
                folder,
                problem="single-weight",
                search={"optimizers": ["gd"], "settings": settings, "sampler": "random"},
                training={"restarts": RESTARTS, "steps": 50},
                workers=pool,
            )
            left = time.process_time() - begin - pool.seconds
            rest[settings] = min(left, rest.get(settings, left))
    few = min(_TRIVIAL)
    short, long = ((rest[n] - rest[few]) / (n - few) for n in (_SHORT, _LONG))
    return [
        f"Of a trivial job in this process, whose settings are drawn at random, all but training "
        f"and judging takes {1e3 * short:.0f} ms of CPU time a setting where there are {_SHORT}, "
        f"and {1e3 * long:.0f} ms where there are {_LONG}: {long / short:.2f} times as much "
        f"(asked: 1.1).",
    ]


def _tuned(folder: Path, **job: Any) -> tuple[float, tuning.Report]:
    """Seconds by the clock, and the report."""
    begin = time.perf_counter()
    report = tuning.tune(home=folder / "home", **job)
    return time.perf_counter() - begin, report
