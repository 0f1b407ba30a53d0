"""(b) Restarts a second of a whole job against a plain Optuna loop; (c) wall time over pure
training time.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import tuning
from benchmarks.plain import optuna_loop
from benchmarks.problems import data

__all__ = ["job"]

RESTARTS, STEPS, WORKERS = 64, 500, 2
_FEW, _MANY = 24, 144
_PLAIN_FEW, _PLAIN_MANY = 2, 10
_ROUNDS = 3


def job() -> list[str]:
    """Lines of Markdown. Rates are slopes between a short and a long run, so start-up does not
    count.
    """
    x, y = data(2, 1, 64, classes=False)
    with tempfile.TemporaryDirectory() as folder:
        spent: dict[int, float] = {}
        walls: dict[int, float] = {}
        reports: dict[int, tuning.Report] = {}
        # The machine is shared: of each length the best of some rounds, interleaved.
        for _ in range(_ROUNDS):
            for trials in (_PLAIN_FEW, _PLAIN_MANY):
                begin = time.perf_counter()
                optuna_loop(Path(folder), x, y, trials=trials, restarts=RESTARTS, steps=STEPS)
                wall = time.perf_counter() - begin
                spent[trials] = min(wall, spent.get(trials, wall))
            for settings in (_FEW, _MANY):
                begin = time.perf_counter()
                report = tuning.tune(
                    problem="benchmarks.problems:Regression",
                    search={
                        "optimizers": ["gd"],
                        "settings": settings,
                        "learning_rate": {"low": 1e-3, "high": 1.0},
                    },
                    training={"restarts": RESTARTS, "steps": STEPS},
                    workers=WORKERS,
                    home=Path(folder) / "home",
                )
                wall = time.perf_counter() - begin
                if wall <= walls.get(settings, wall):
                    walls[settings], reports[settings] = wall, report
        plain = RESTARTS * (_PLAIN_MANY - _PLAIN_FEW) / (spent[_PLAIN_MANY] - spent[_PLAIN_FEW])
        ours = RESTARTS * (_MANY - _FEW) / (walls[_MANY] - walls[_FEW])
        run = reports[_MANY].run
    pure = run.training_seconds / WORKERS
    both = pure + run.classifying_seconds / WORKERS
    return [
        "| | restarts/s | ratio |",
        "| --- | --- | --- |",
        f"| plain Optuna loop with MLflow, one process | {plain:.0f} | 1 |",
        f"| surefoot, {WORKERS} Ray workers | {ours:.0f} | {ours / plain:.1f}x (asked: 6x) |",
        "",
        f"A whole job of {_MANY} settings takes {walls[_MANY]:.1f} s of wall time. "
        f"On {WORKERS} workers its pure training takes {pure:.1f} s, its classification "
        f"{both - pure:.1f} s; wall time over pure training is {walls[_MANY] / pure:.2f}, "
        f"and over both {walls[_MANY] / both:.2f}.",
    ]
