"""A model with an `if` on its data: restarts cannot share one program, and are trained one by one.

Nothing has to be done for it. One line says which line of the model it is, and what to write in its
place; the answer would be the same, sooner.

Run it where you like: `python examples/torch/needs_the_loop.py`.
"""

from __future__ import annotations

import torch
from torch import nn

import tuning

X = torch.linspace(-2, 2, 32)[:, None]
y = torch.sin(2 * X)


class Bounded(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(1, 6), nn.Linear(6, 1)

    def forward(self, x):
        h = torch.tanh(self.hidden(x))
        if h.abs().mean() > 0.9:
            h = 0.9 * h
        return self.head(h)


report = tuning.find_learning_rate(
    model=Bounded,
    loss=nn.functional.mse_loss,
    data=(X, y),
    learning_rate=(1e-2, 10.0),
    steps=100,
    settings=6,
    restarts=6,
)

print(report)
