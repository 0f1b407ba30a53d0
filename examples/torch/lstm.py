"""A recurrent network that reads a digit row by row, with clipped gradients, as such ones need.

Run it where you like: `python examples/torch/lstm.py`.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import tuning

digits = load_digits(n_class=3)
X = torch.tensor(digits.images[:120] / 16)  # (120, 8, 8): 8 rows of 8 pixels
y = torch.tensor(digits.target[:120])


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, rows):
        states, _ = self.lstm(rows)
        return self.head(states[:, -1])


report = tuning.find_learning_rate(
    model=Reader,
    loss=nn.functional.cross_entropy,
    data=(X, y),
    optimizers=["adam"],
    learning_rate=(1e-3, 10.0),
    clip_norm=1.0,
    batch_size=20,
    steps=80,
    settings=6,
    restarts=8,
)

print(report)
