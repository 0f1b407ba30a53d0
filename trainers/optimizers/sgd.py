"""Gradient descent, plain and with a velocity: what PyTorch calls SGD."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from trainers.optimizers.base import Optimizer, OptimizerState, check_fraction
from trainers.problem import FloatArray

__all__ = ["GradientDescent", "Momentum", "Nesterov", "VelocityState"]

LISTED_AT = 1


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """Gradient descent: w := w - lr dJ/dw. Stable on a quadratic while lr <= 2 / curvature.

    Source: Cauchy 1847, C. R. Acad. Sci. Paris 25.
    """

    name = "gd"

    def init(self, w: FloatArray) -> OptimizerState:
        return OptimizerState(scratch=np.empty_like(w))

    def step(
        self, w: FloatArray, gradient: FloatArray, rate: FloatArray, state: OptimizerState
    ) -> None:
        np.multiply(rate, gradient, out=state.scratch)
        w -= state.scratch

    @property
    def stability_limit(self) -> float:
        return 2.0


@dataclass(kw_only=True)
class VelocityState(OptimizerState):
    """velocity (R, P): v, the gradients so far, each step counting beta times the one after it."""

    velocity: FloatArray


@dataclass(frozen=True)
class _WithVelocity(Optimizer):
    """What the heavy ball and Nesterov's method share: v := beta v + g."""

    beta: float = 0.9

    def __post_init__(self) -> None:
        check_fraction(self.name, "beta", self.beta)

    def init(self, w: FloatArray) -> VelocityState:
        return VelocityState(scratch=np.empty_like(w), velocity=np.zeros_like(w))

    def step(
        self, w: FloatArray, gradient: FloatArray, rate: FloatArray, state: VelocityState
    ) -> None:
        state.velocity *= self.beta
        state.velocity += gradient
        self._move(gradient, rate, state)
        w -= state.scratch

    @abstractmethod
    def _move(self, gradient: FloatArray, rate: FloatArray, state: VelocityState) -> None:
        """Write the step to take into the scratch."""


@dataclass(frozen=True)
class Momentum(_WithVelocity):
    """Heavy ball: v := beta v + g;  w := w - lr v  (Polyak 1964; the form of PyTorch's SGD).

    Stable on a quadratic with largest curvature L while lr <= 2 (1 + beta) / L.

    Args:
        beta: how much of the velocity stays, in [0, 1).

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods", USSR
    Comput. Math. Math. Phys. 4, with v = (w_{t-1} - w_t) / lr.
    """

    name = "momentum"

    def _move(self, gradient: FloatArray, rate: FloatArray, state: VelocityState) -> None:
        np.multiply(rate, state.velocity, out=state.scratch)

    @property
    def stability_limit(self) -> float:
        return 2.0 * (1.0 + self.beta)


@dataclass(frozen=True)
class Nesterov(_WithVelocity):
    """Nesterov's accelerated gradient: v := beta v + g;  w := w - lr (g + beta v).

    Stable on a quadratic with largest curvature L while lr <= 2 (1 + beta) / ((1 + 2 beta) L).

    Args:
        beta: how much of the velocity stays, in [0, 1).

    Source: Nesterov 1983, Soviet Math. Dokl. 27, written in the extrapolated point as by Sutskever
    et al. 2013, "On the importance of initialization and momentum in deep learning", and PyTorch.
    """

    name = "nesterov"

    def _move(self, gradient: FloatArray, rate: FloatArray, state: VelocityState) -> None:
        np.multiply(state.velocity, self.beta, out=state.scratch)
        state.scratch += gradient
        state.scratch *= rate

    @property
    def stability_limit(self) -> float:
        return 2.0 * (1.0 + self.beta) / (1.0 + 2.0 * self.beta)
