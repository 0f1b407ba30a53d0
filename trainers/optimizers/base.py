"""The update rules, each as published, applied to many restarts at once and in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np

from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.problem import FloatArray

__all__ = [
    "OPTIMIZERS",
    "Adam",
    "GradientDescent",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "get_optimizer",
]


class Optimizer(ABC):
    """One update rule; a frozen dataclass whose fields are its hyperparameters.

    The state of R restarts is a list of `slots` arrays (R, P) that start at zero. It belongs to the
    caller, who may drop rows from it when restarts leave the batch.
    """

    name: ClassVar[str]
    slots: ClassVar[int]

    @abstractmethod
    def step(
        self,
        w: FloatArray,
        gradient: FloatArray,
        rate: FloatArray,
        state: list[FloatArray],
        t: int,
        scratch: FloatArray,
    ) -> None:
        """Update `w` (R, P) and `state` in place by step `t` (from 1) at `rate` (R, 1).

        `gradient` (R, P) is only read, for it may be the problem's own array, or even `w` itself;
        `scratch` (R, P) is overwritten.
        """

    @property
    @abstractmethod
    def stability_limit(self) -> float:
        """Largest stable lr * lambda_max(P^-1 H) on a quadratic with Hessian H; P as below."""

    def preconditioner(self, state: list[FloatArray], t: int) -> FloatArray | None:
        """Diagonal (R, P) by which the gradient is divided after `t` steps; None for identity."""
        return None

    @property
    def hyperparameters(self) -> dict[str, float]:
        """Name and value of each hyperparameter but the learning rate."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={value:g}" for key, value in self.hyperparameters.items())
        return f"{self.name}({inside})" if inside else self.name


def _fraction(optimizer: str, key: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise InvalidInput(f"{optimizer}: {key} = {value!r} is not valid; it must be in [0, 1)")


def _positive(optimizer: str, key: str, value: float) -> None:
    if not 0.0 < value < np.inf:
        raise InvalidInput(f"{optimizer}: {key} = {value!r} is not valid; it must be above 0")


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """Gradient descent: w := w - lr dJ/dw. Stable on a quadratic while lr <= 2 / curvature."""

    name = "gd"
    slots = 0

    def step(
        self,
        w: FloatArray,
        gradient: FloatArray,
        rate: FloatArray,
        state: list[FloatArray],
        t: int,
        scratch: FloatArray,
    ) -> None:
        np.multiply(rate, gradient, out=scratch)
        w -= scratch

    @property
    def stability_limit(self) -> float:
        return 2.0


@dataclass(frozen=True)
class Momentum(Optimizer):
    """Heavy ball: v := beta v + g;  w := w - lr v  (Polyak 1964; the form of PyTorch's SGD).

    Stable on a quadratic with largest curvature L while lr <= 2 (1 + beta) / L.
    """

    beta: float = 0.9
    name = "momentum"
    slots = 1

    def __post_init__(self) -> None:
        _fraction(self.name, "beta", self.beta)

    def step(
        self,
        w: FloatArray,
        gradient: FloatArray,
        rate: FloatArray,
        state: list[FloatArray],
        t: int,
        scratch: FloatArray,
    ) -> None:
        (velocity,) = state
        velocity *= self.beta
        velocity += gradient
        np.multiply(rate, velocity, out=scratch)
        w -= scratch

    @property
    def stability_limit(self) -> float:
        return 2.0 * (1.0 + self.beta)


@dataclass(frozen=True)
class Nesterov(Optimizer):
    """Nesterov's accelerated gradient: v := beta v + g;  w := w - lr (g + beta v).

    Nesterov 1983, written in the extrapolated point as by Sutskever et al. 2013 and PyTorch. Stable
    on a quadratic with largest curvature L while lr <= 2 (1 + beta) / ((1 + 2 beta) L).
    """

    beta: float = 0.9
    name = "nesterov"
    slots = 1

    def __post_init__(self) -> None:
        _fraction(self.name, "beta", self.beta)

    def step(
        self,
        w: FloatArray,
        gradient: FloatArray,
        rate: FloatArray,
        state: list[FloatArray],
        t: int,
        scratch: FloatArray,
    ) -> None:
        (velocity,) = state
        velocity *= self.beta
        velocity += gradient
        np.multiply(velocity, self.beta, out=scratch)
        scratch += gradient
        scratch *= rate
        w -= scratch

    @property
    def stability_limit(self) -> float:
        return 2.0 * (1.0 + self.beta) / (1.0 + 2.0 * self.beta)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp: s := alpha s + (1 - alpha) g^2;  w := w - lr g / (sqrt(s) + epsilon).

    Tieleman & Hinton 2012, lecture 6.5; names and defaults of PyTorch. Preconditioner
    P = sqrt(s) + epsilon, stable while lr * lambda_max(P^-1 H) <= 2 (Cohen et al. 2022).
    """

    alpha: float = 0.99
    epsilon: float = 1e-8
    name = "rmsprop"
    slots = 1

    def __post_init__(self) -> None:
        _fraction(self.name, "alpha", self.alpha)
        _positive(self.name, "epsilon", self.epsilon)

    def step(
        self,
        w: FloatArray,
        gradient: FloatArray,
        rate: FloatArray,
        state: list[FloatArray],
        t: int,
        scratch: FloatArray,
    ) -> None:
        (square,) = state
        square *= self.alpha
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1.0 - self.alpha
        square += scratch
        np.sqrt(square, out=scratch)
        scratch += self.epsilon
        np.divide(gradient, scratch, out=scratch)
        scratch *= rate
        w -= scratch

    @property
    def stability_limit(self) -> float:
        return 2.0

    def preconditioner(self, state: list[FloatArray], t: int) -> FloatArray | None:
        return np.sqrt(state[0]) + self.epsilon


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with bias correction.

    m := beta1 m + (1 - beta1) g;  s := beta2 s + (1 - beta2) g^2;
    w := w - lr (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon).

    Preconditioner P = (1 - beta1^t) (sqrt(s / (1 - beta2^t)) + epsilon), stable while
    lr * lambda_max(P^-1 H) <= 2 (1 + beta1) / (1 - beta1) (Cohen et al. 2022).
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    name = "adam"
    slots = 2

    def __post_init__(self) -> None:
        _fraction(self.name, "beta1", self.beta1)
        _fraction(self.name, "beta2", self.beta2)
        _positive(self.name, "epsilon", self.epsilon)

    def step(
        self,
        w: FloatArray,
        gradient: FloatArray,
        rate: FloatArray,
        state: list[FloatArray],
        t: int,
        scratch: FloatArray,
    ) -> None:
        mean, square = state
        mean *= self.beta1
        np.multiply(gradient, 1.0 - self.beta1, out=scratch)
        mean += scratch
        square *= self.beta2
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1.0 - self.beta2
        square += scratch
        # Both corrections as scalars: sqrt(s / c2) + e = (sqrt(s) + e sqrt(c2)) / sqrt(c2).
        root = float(np.sqrt(1.0 - self.beta2**t))
        np.sqrt(square, out=scratch)
        scratch += self.epsilon * root
        np.divide(mean, scratch, out=scratch)
        scratch *= rate * (root / (1.0 - self.beta1**t))
        w -= scratch

    @property
    def stability_limit(self) -> float:
        return 2.0 * (1.0 + self.beta1) / (1.0 - self.beta1)

    def preconditioner(self, state: list[FloatArray], t: int) -> FloatArray | None:
        corrected = np.sqrt(state[1] / (1.0 - self.beta2**t)) + self.epsilon
        return (1.0 - self.beta1**t) * corrected


OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    rule.name: rule for rule in (GradientDescent, Momentum, Nesterov, RMSProp, Adam)
}


def get_optimizer(name: str, **hyperparameters: float) -> Optimizer:
    """The optimizer called `name`, with the hyperparameters given and defaults for the rest.

    Raises:
        InvalidInput: an unknown name or hyperparameter, or a value out of range.
    """
    if name not in OPTIMIZERS:
        raise InvalidInput(f"unknown optimizer {name!r}{nearest(name, OPTIMIZERS)}")
    rule = OPTIMIZERS[name]
    valid = [f.name for f in fields(rule)]  # type: ignore[arg-type]
    for key, value in hyperparameters.items():
        if key not in valid:
            raise InvalidInput(f"{name}: unknown hyperparameter {key!r}{nearest(key, valid)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInput(f"{name}: {key} = {value!r} is not a number")
    return rule(**{key: float(value) for key, value in hyperparameters.items()})
