"""RMSProp: each coordinate's gradient divided by its own recent size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainers.optimizers.base import Optimizer, OptimizerState, check_fraction, check_positive
from trainers.problem import FloatArray

__all__ = ["RMSProp", "RMSPropState"]

LISTED_AT = 2


@dataclass(kw_only=True)
class RMSPropState(OptimizerState):
    """square (R, P): s, the running mean of the squared gradient."""

    square: FloatArray


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """RMSProp: s := alpha s + (1 - alpha) g^2;  w := w - lr g / (sqrt(s) + epsilon).

    Preconditioner P = sqrt(s) + epsilon, stable while lr * lambda_max(P^-1 H) <= 2 (Cohen et al.
    2022, arXiv 2207.14484).

    Args:
        alpha: how much of s stays, in [0, 1).
        epsilon: above 0; keeps the division finite.

    Source: Tieleman & Hinton 2012, "Neural Networks for Machine Learning", lecture 6.5; names and
    defaults of PyTorch.
    """

    alpha: float = 0.99
    epsilon: float = 1e-8
    name = "rmsprop"

    def __post_init__(self) -> None:
        check_fraction(self.name, "alpha", self.alpha)
        check_positive(self.name, "epsilon", self.epsilon)

    def init(self, w: FloatArray) -> RMSPropState:
        return RMSPropState(scratch=np.empty_like(w), square=np.zeros_like(w))

    def step(
        self, w: FloatArray, gradient: FloatArray, rate: FloatArray, state: RMSPropState
    ) -> None:
        square, scratch = state.square, state.scratch
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

    def preconditioner(self, state: RMSPropState) -> FloatArray:
        return np.sqrt(state.square) + self.epsilon
