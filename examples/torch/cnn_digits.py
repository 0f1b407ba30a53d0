"""A convolutional network on handwritten digits, 8 x 8, with momentum and mini-batches.

Run it where you like: `python examples/torch/cnn_digits.py`.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import tuning

digits = load_digits()
X = torch.tensor(digits.images[:200, None] / 16)  # (200, 1, 8, 8), from 0 to 1
y = torch.tensor(digits.target[:200])


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3),  # 4 maps of 6 x 6
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * 3 * 3, 10),
        )


report = tuning.find_learning_rate(
    model=Net,
    loss=nn.functional.cross_entropy,
    data=(X, y),
    optimizers=[{"name": "sgd", "momentum": 0.9}],
    learning_rate=(1e-3, 10.0),
    batch_size=20,
    steps=100,
    settings=8,
    restarts=8,
)

print(report)
