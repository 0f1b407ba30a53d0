"""Small modules as people write them, and data for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

__all__ = ["CNN", "LSTM", "MLP", "Small", "Transformer", "digits", "series", "waves"]


class Small(nn.Module):
    """2-16-1."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: Any) -> Any:
        return self.net(x)


class MLP(nn.Module):
    """64-128-64-10."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
        )

    def forward(self, x: Any) -> Any:
        return self.net(x)


class CNN(nn.Module):
    """Two convolutions on 8 x 8 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(64, 10)),
        )

    def forward(self, x: Any) -> Any:
        return self.net(x.view(-1, 1, 8, 8))


class LSTM(nn.Module):
    """The class of a series by the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


class Transformer(nn.Module):
    """One block of attention over the rows of a digit."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.place = nn.Linear(8, 32), nn.Parameter(torch.zeros(8, 32))
        self.block = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.block(self.embed(x) + self.place).mean(dim=1))


def waves() -> tuple[torch.Tensor, torch.Tensor]:
    """64 points of a function of two inputs, for `Small`."""
    x = np.random.default_rng(0).uniform(-1, 1, (64, 2)).astype(np.float32)
    return torch.tensor(x), torch.tensor(np.sin(3 * x[:, :1]) * x[:, 1:])


def digits(examples: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits as 64 numbers each, and their classes."""
    x, y = load_digits(return_X_y=True)
    return torch.tensor(x[:examples] / 16, dtype=torch.float32), torch.tensor(y[:examples])


def series(examples: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits as eight rows of eight."""
    x, y = digits(examples)
    return x.view(-1, 8, 8), y
