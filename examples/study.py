"""A study scripted in Python: a problem of your own, the report, and the Optuna study below it.

Run it where you like: `python examples/study.py`. It needs no Ray: `workers="inline"` trains in
this process.
"""

from __future__ import annotations

import numpy as np

import tuning
from trainers import Problem


class Banana(Problem):
    """Rosenbrock's valley, written in ten lines: two facts and two methods."""

    known_minimum = 0.0
    parameters = 2

    def initial(self, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-2, 2, 2)

    def loss_and_gradient(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = w[:, 0], w[:, 1]
        across = y - x**2
        gradient = np.stack([-2 * (1 - x) - 40 * x * across, 20 * across], axis=1)
        return (1 - x) ** 2 + 10 * across**2, gradient


report = tuning.tune(
    problem=Banana(),
    search={
        "optimizers": ["gd", {"name": "momentum", "beta": 0.9}],
        "learning_rate": {"low": 1e-4, "high": 1.0},
    },
    training={"steps": 1000},
    workers="inline",
)

best = report.best_stable
if best is None:
    print(report.explanation)
else:
    print(f"use {best.optimizer} at {best.learning_rate:.3g}")
    print(f"unstable: {best.unstable}; trapped: {best.trapped}")
for name, cliff in report.cliffs.items():
    print(f"{name}: {cliff.explanation}")

study = tuning.load_study(report.run.job_id)  # a real optuna.Study
print(
    study.trials_dataframe()[["number", "params_optimizer", "params_learning_rate", "value"]].head()
)
