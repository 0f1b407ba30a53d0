"""Modules as people write them, small, with data; and the script in which they would train them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trainers.randomness import batches

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from torch import nn  # noqa: E402

functional = torch.nn.functional


class MLP(nn.Module):
    """6-8-3."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x: Any) -> Any:
        return self.net(x)


class CNN(nn.Module):
    """A convolution on images of 6 x 6."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(36, 3)),
        )

    def forward(self, x: Any) -> Any:
        return self.net(x.view(-1, 1, 6, 6))


class BatchNorm(nn.Module):
    """With running statistics, which are buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            *(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)),
        )

    def forward(self, x: Any) -> Any:
        return self.net(x)


class Recurrent(nn.Module):
    """The class of a series by the last state."""

    kind = nn.LSTM

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = self.kind(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.cell(x.view(-1, 6, 6))[0][:, -1])


class GRU(Recurrent):
    """The other one."""

    kind = nn.GRU


class Transformer(nn.Module):
    """One block of attention over six vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(6, 6))
        self.block = nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        return self.head(self.block(x.view(-1, 6, 6) + self.place).mean(dim=1))


class Attention(nn.Module):
    """Attention by itself, which gives a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        x = x.view(-1, 6, 6)
        return self.head(self.attend(x, x, x)[0].mean(dim=1))


class Tied(nn.Module):
    """Codes to vectors and back by one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.inner = nn.Embedding(3, 5), nn.Linear(6, 5)
        self.out = nn.Linear(5, 3, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: Any) -> Any:
        return self.out(torch.tanh(self.inner(x)))


class Words(nn.Module):
    """Of whole numbers, by an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(7, 4), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.head(torch.tanh(self.embed(x)).mean(dim=1))


class Dropout(nn.Module):
    """With a mask at each step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3))

    def forward(self, x: Any) -> Any:
        return self.net(x)


def classes(examples: int = 48, inputs: int = 6) -> tuple[Any, Any]:
    """Numbers (N, inputs), and labels 0, 1, 2 that follow from them."""
    x = np.random.default_rng(0).standard_normal((examples, inputs))
    y = (x[:, 0] + x[:, 1] ** 2 > 0.5).astype(int) + (x[:, 2] > 0.8)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


def images() -> tuple[Any, Any]:
    """Of 36 numbers each, as series too."""
    return classes(inputs=36)


def codes() -> tuple[Any, Any]:
    """Sentences of five words out of seven."""
    x = np.random.default_rng(0).integers(0, 7, (48, 5))
    return torch.tensor(x), torch.tensor(x[:, 0] % 3)


#: By name: the module, and its data.
MODULES: Mapping[str, tuple[Any, Callable[[], tuple[Any, Any]]]] = {
    "mlp": (MLP, classes),
    "cnn": (CNN, images),
    "batch norm": (BatchNorm, classes),
    "lstm": (Recurrent, images),
    "gru": (GRU, images),
    "transformer": (Transformer, images),
    "attention": (Attention, images),
    "tied": (Tied, classes),
    "embedding": (Words, codes),
}


@dataclass(frozen=True)
class Script:
    """What somebody would write who trains one module after another, and nothing cleverer.

    Attributes:
        make: the module. optimizer: of the module. clip: see clip_grad_norm_. scheduler: of the
            optimizer. step_seed: of the step, before each step; None for modules that draw nothing.
    """

    make: Callable[[], Any]
    data: tuple[Any, Any]
    optimizer: Callable[[Any], Any]
    batch_size: int | None = None
    seed: int = 0
    dtype: Any = torch.float32
    clip: float | None = None
    scheduler: Callable[[Any], Any] | None = None
    loss: Callable[..., Any] = functional.cross_entropy
    step_seed: Callable[[int], int] | None = None

    def losses(self, seeds: list[int], steps: int, orders: list[int] | None = None) -> Any:
        """On all examples before each step and after the last, (steps + 1, restarts)."""
        rows = [
            self._losses(seed, steps, [] if orders is None else [orders[i]])
            for i, seed in enumerate(seeds)
        ]
        return np.array(rows).T

    def _losses(self, seed: int, steps: int, order: list[int]) -> NDArray[np.float64]:
        x, y = (t.to(self.dtype) if t.is_floating_point() else t for t in self.data)
        torch.manual_seed(seed)
        module = self.make().to(self.dtype)
        optimizer = self.optimizer(module)
        schedule = None if self.scheduler is None else self.scheduler(optimizer)
        numbers = batches(len(x), self.batch_size or len(x), self.seed, *order)
        found = []
        for step in range(steps + 1):
            found.append(float(self._on_all(module, x, y)))
            batch = slice(None) if self.batch_size is None else torch.tensor(next(numbers))
            if self.step_seed is not None:
                torch.manual_seed(self.step_seed(step))
            optimizer.zero_grad()
            self.loss(module(x[batch]), y[batch]).backward()
            if self.clip is not None:
                nn.utils.clip_grad_norm_(module.parameters(), self.clip)
            optimizer.step()
            if schedule is not None:
                schedule.step()
        return np.array(found)

    def _on_all(self, module: Any, x: Any, y: Any) -> Any:
        """Without dropout, but normalised by the batch; on a copy, whose buffers may move."""
        copied = copy.deepcopy(module)
        for part in copied.modules():
            if isinstance(part, nn.Dropout):
                part.eval()
        with torch.no_grad():
            return self.loss(copied(x), y)
