"""The verdict on trainings of your own: a plain NumPy loop, its results in a table, the report.

Logistic regression on 40 points, from 60 random starts, at eight learning rates. The loop knows
nothing of Surefoot; what it writes could come from any script. The same from a shell:
`surefoot verdict results.csv`.

Run it where you like: `python examples/verdict.py`. It takes a few seconds.
"""

from __future__ import annotations

import csv
import json

import numpy as np

import tuning

RATES = np.geomspace(0.03, 100, 8)
data = np.random.default_rng(0)
x = data.normal(size=(40, 3))
y = x @ [2.0, -1.0, 0.5] + data.normal(size=40) > 0


def train(rate, seed, steps=100):
    """The losses before each step, and after the last."""
    w, losses = np.random.default_rng(seed).normal(size=3), []
    for _ in range(steps + 1):
        margin = np.clip(x @ w, -500, 500)
        losses.append(np.mean(np.logaddexp(0, margin) - y * margin) + 0.05 * w @ w)
        w = w - rate * (x.T @ (1 / (1 + np.exp(-margin)) - y) / len(y) + 0.1 * w)
        if np.abs(w).max() > 1e6:
            return losses + [np.nan] * (steps + 1 - len(losses))
    return losses


with open("results.csv", "w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["optimizer", "learning_rate", "seed", "loss"])
    for rate in RATES:
        for seed in range(60):
            table.writerow(["gd", rate, seed, json.dumps(train(rate, seed))])

report = tuning.verdict("results.csv", stability={"margin": 1.5})
print(report)
