"""The problems of the benchmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.problems.network import Network

__all__ = ["Regression", "data"]


def data(
    inputs: int, outputs: int, examples: int, *, classes: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fixed data of a given shape."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, inputs))
    if classes:
        return x, np.eye(outputs)[rng.integers(0, outputs, examples)]
    return x, np.sin(x.sum(axis=1, keepdims=True)) * np.ones((1, outputs))


class Regression(Network):
    """The sine of the sum of two inputs: 64 examples, 2-16-1, tanh."""

    def __init__(self) -> None:
        super().__init__(*data(2, 1, 64, classes=False), hidden=[16], loss="squared-error")
