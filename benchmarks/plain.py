"""What somebody would write without Surefoot: one restart at a time in plain NumPy, Optuna around
it, MLflow beside it. The yardstick, so it is written the ordinary way and not made slow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

__all__ = ["optuna_loop", "train_one"]


def train_one(
    inputs: Array,
    targets: Array,
    hidden: int,
    rate: float,
    steps: int,
    rng: np.random.Generator,
    *,
    softmax: bool,
) -> Array:
    """Gradient descent on one network with one hidden tanh layer; the losses (steps,)."""
    examples, width = inputs.shape
    outputs = targets.shape[1]
    w1 = rng.uniform(-1, 1, (width, hidden)) * np.sqrt(6 / (width + hidden))
    w2 = rng.uniform(-1, 1, (hidden, outputs)) * np.sqrt(6 / (hidden + outputs))
    b1, b2 = np.zeros(hidden), np.zeros(outputs)
    losses = np.empty(steps)
    for t in range(steps):
        active = np.tanh(inputs @ w1 + b1)
        out = active @ w2 + b2
        if softmax:
            out -= out.max(axis=1, keepdims=True)
            e = np.exp(out)
            p = e / e.sum(axis=1, keepdims=True)
            losses[t] = -np.mean(np.log(p[targets > 0]))
            signal = (p - targets) / examples
        else:
            error = out - targets
            losses[t] = 0.5 * np.mean((error**2).sum(axis=1))
            signal = error / examples
        below = (signal @ w2.T) * (1 - active**2)
        w2 -= rate * (active.T @ signal)
        b2 -= rate * signal.sum(axis=0)
        w1 -= rate * (inputs.T @ below)
        b1 -= rate * below.sum(axis=0)
    return losses


def optuna_loop(
    folder: Path, inputs: Array, targets: Array, *, trials: int, restarts: int, steps: int
) -> None:
    """An ordinary study: every trial trains its restarts one after another and logs to MLflow as
    it goes.
    """
    import mlflow
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'plain.db'}")
    mlflow.set_experiment("plain")

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-3, 1.0, log=True)
        with mlflow.start_run():
            mlflow.log_param("learning_rate", rate)
            curves = [
                train_one(inputs, targets, 16, rate, steps, np.random.default_rng(i), softmax=False)
                for i in range(restarts)
            ]
            middle = np.median(curves, axis=0)
            for step in range(0, steps, steps // 100):  # a curve that can be looked at
                mlflow.log_metric("loss", float(middle[step]), step=step)
            mlflow.log_metric("final_loss", float(middle[-1]))
        return float(middle[-1])

    study = optuna.create_study(
        storage=f"sqlite:///{folder / 'study.db'}", study_name="plain", load_if_exists=True
    )
    study.optimize(objective, n_trials=trials)
