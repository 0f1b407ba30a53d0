"""Adam: momentum, each coordinate divided by its own recent size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainers.optimizers.base import Optimizer, OptimizerState, check_fraction, check_positive
from trainers.problem import FloatArray

__all__ = ["Adam", "AdamState"]

LISTED_AT = 3


@dataclass(kw_only=True)
class AdamState(OptimizerState):
    """mean (R, P): m, the running mean of the gradient. square (R, P): s, that of its square.
    steps: t, how many were taken, by which both are corrected for having begun at 0."""

    mean: FloatArray
    square: FloatArray
    steps: int = 0


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1), with bias correction.

    m := beta1 m + (1 - beta1) g;  s := beta2 s + (1 - beta2) g^2;
    w := w - lr (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + epsilon).

    Preconditioner P = (1 - beta1^t) (sqrt(s / (1 - beta2^t)) + epsilon), stable while
    lr * lambda_max(P^-1 H) <= 2 (1 + beta1) / (1 - beta1) (Cohen et al. 2022, arXiv 2207.14484).

    Args:
        beta1: how much of m stays, in [0, 1). beta2: of s.
        epsilon: above 0; keeps the division finite.

    Source: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    name = "adam"

    def __post_init__(self) -> None:
        check_fraction(self.name, "beta1", self.beta1)
        check_fraction(self.name, "beta2", self.beta2)
        check_positive(self.name, "epsilon", self.epsilon)

    def init(self, w: FloatArray) -> AdamState:
        return AdamState(scratch=np.empty_like(w), mean=np.zeros_like(w), square=np.zeros_like(w))

    def step(self, w: FloatArray, gradient: FloatArray, rate: FloatArray, state: AdamState) -> None:
        mean, square, scratch = state.mean, state.square, state.scratch
        state.steps += 1
        mean *= self.beta1
        np.multiply(gradient, 1.0 - self.beta1, out=scratch)
        mean += scratch
        square *= self.beta2
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1.0 - self.beta2
        square += scratch
        # Both corrections as scalars: sqrt(s / c2) + e = (sqrt(s) + e sqrt(c2)) / sqrt(c2).
        root = float(np.sqrt(1.0 - self.beta2**state.steps))
        np.sqrt(square, out=scratch)
        scratch += self.epsilon * root
        np.divide(mean, scratch, out=scratch)
        scratch *= rate * (root / (1.0 - self.beta1**state.steps))
        w -= scratch

    @property
    def stability_limit(self) -> float:
        return 2.0 * (1.0 + self.beta1) / (1.0 - self.beta1)

    def preconditioner(self, state: AdamState) -> FloatArray:
        corrected = np.sqrt(state.square / (1.0 - self.beta2**state.steps)) + self.epsilon
        return (1.0 - self.beta1**state.steps) * corrected
