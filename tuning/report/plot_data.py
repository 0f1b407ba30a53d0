"""What the pictures of a report show, as data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LossProfile", "Paths", "QuantileCurves", "SharpnessCurves"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class QuantileCurves:
    """Loss at K steps: quantiles over a setting's restarts; NaN once that part has diverged."""

    steps: NDArray[np.int64]
    p10: FloatArray
    p50: FloatArray
    p90: FloatArray


@dataclass(frozen=True)
class SharpnessCurves:
    """lambda_max(P^-1 H) at K steps: quantiles over a setting's restarts; NaN once that part has
    diverged.

    `limit` is the sharpness above which the optimizer leaves a quadratic at this learning rate: 2 /
    rate for gradient descent.
    """

    limit: float
    steps: NDArray[np.int64]
    p10: FloatArray
    p50: FloatArray
    p90: FloatArray


@dataclass(frozen=True)
class Paths:
    """One weight's walk over J(w): a few restarts under one setting.

    `w` is (T' + 1, n), NaN after divergence; `outcomes` has the n dynamics.
    """

    optimizer: str
    learning_rate: float
    w: FloatArray
    outcomes: tuple[str, ...]


@dataclass(frozen=True)
class LossProfile:
    """J over w for a problem with one weight, and paths on it.

    `sweep` has the first steps at rates close to one another, for a slider over the rate: by
    optimizer, the rates ascending; how they went on is not known, so their `outcomes` are empty.
    """

    w: FloatArray
    loss: FloatArray
    global_minima: FloatArray  # positions
    local_minima: FloatArray
    paths: tuple[Paths, ...]
    sweep: tuple[Paths, ...] = ()
