"""A small network on a table of scikit-learn's: which optimizer, and how fast, in five lines.

Run it where you like: `python examples/torch/mlp_on_a_table.py`.
"""

from __future__ import annotations

import functools

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

import tuning

table = load_diabetes()
X, y = scale(table.data), scale(table.target).reshape(-1, 1)


def net():
    return torch.nn.Sequential(torch.nn.Linear(10, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))


report = tuning.find_learning_rate(
    model=net,
    loss=torch.nn.functional.mse_loss,
    data=(X, y),
    optimizers=["sgd", functools.partial(torch.optim.AdamW, weight_decay=0.01)],
    steps=100,
    settings=8,
    restarts=12,
)

print(report)
best = report.best_stable
print(f"\nuse {best.optimizer} at {best.learning_rate:.3g}")
