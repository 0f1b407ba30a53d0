"""A problem and an optimizer of one's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainers import InvalidInput, Problem
from trainers.optimizers.base import Optimizer, OptimizerState
from trainers.problem import FloatArray

__all__ = ["QHM", "Spring", "stiff_spring"]


class Spring(Problem):
    """A chain of masses between springs that harden: J = sum_j k d_j^2 / 2 + h d_j^4 / 4.

    d (masses + 1) are the differences of 0, w, 0: both ends are held. At rest, w = 0, J is 0. The
    largest curvature there is 4 k sin^2(n pi / (2 (n + 1))) with n masses, so gradient descent is
    stable below 2 over that.

    Args:
        masses: how many, at least 1.
        stiffness: k, above 0.
        hardening: h, at least 0.
    """

    known_minimum = 0.0

    def __init__(self, *, masses: int = 4, stiffness: float = 1.0, hardening: float = 0.0) -> None:
        if masses < 1:
            raise InvalidInput(f"masses = {masses!r} is not valid; it must be at least 1")
        if not stiffness > 0:
            raise InvalidInput(f"stiffness = {stiffness!r} is not valid; it must be above 0")
        if not hardening >= 0:
            raise InvalidInput(f"hardening = {hardening!r} is not valid; it must be at least 0")
        self.parameters = masses
        self.stiffness, self.hardening = stiffness, hardening

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-1.0, 1.0, self.parameters)

    def loss_and_gradient(self, w: FloatArray, /) -> tuple[FloatArray, FloatArray]:
        d = _stretch(w)
        square = d * d
        loss = (0.5 * self.stiffness + 0.25 * self.hardening * square) * square
        force = (self.stiffness + self.hardening * square) * d
        return loss.sum(axis=1), force[:, :-1] - force[:, 1:]

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray:
        force = (self.stiffness + 3.0 * self.hardening * _stretch(w) ** 2) * _stretch(v)
        return force[:, :-1] - force[:, 1:]


def _stretch(w: FloatArray) -> FloatArray:
    """Of each spring (R, P + 1)."""
    return np.diff(w, axis=1, prepend=0.0, append=0.0)


def stiff_spring(*, masses: int = 4) -> Problem:
    """The chain with springs a hundred times as stiff."""
    return Spring(masses=masses, stiffness=100.0)


@dataclass(kw_only=True)
class QHMState(OptimizerState):
    """velocity (R, P): v, the running mean of the gradient."""

    velocity: FloatArray


@dataclass(frozen=True)
class QHM(Optimizer):
    """Quasi-hyperbolic momentum: v := beta v + (1 - beta) g;  w := w - lr ((1 - nu) g + nu v).

    On a quadratic the eigenvalues of a step leave the unit circle through -1, at lr * curvature of
    2 (1 + beta) / (1 + beta - 2 beta nu).

    Args:
        beta: how much of v stays, in [0, 1).
        nu: the part of v in a step, in [0, 1]: 0 is gradient descent.

    Source: Ma & Yarats 2018, arXiv 1810.06801, equations 3 and 4.
    """

    beta: float = 0.9
    nu: float = 0.7
    name = "qhm"

    def __post_init__(self) -> None:
        if not 0.0 <= self.beta < 1.0:
            raise InvalidInput(f"qhm: beta = {self.beta!r} is not valid; it must be in [0, 1)")
        if not 0.0 <= self.nu <= 1.0:
            raise InvalidInput(f"qhm: nu = {self.nu!r} is not valid; it must be in [0, 1]")

    @property
    def stability_limit(self) -> float:
        return 2.0 * (1.0 + self.beta) / (1.0 + self.beta - 2.0 * self.beta * self.nu)

    def init(self, w: FloatArray) -> QHMState:
        return QHMState(scratch=np.empty_like(w), velocity=np.zeros_like(w))

    def step(self, w: FloatArray, gradient: FloatArray, rate: FloatArray, state: QHMState) -> None:
        velocity, scratch = state.velocity, state.scratch
        np.multiply(gradient, 1.0 - self.beta, out=scratch)
        velocity *= self.beta
        velocity += scratch
        np.multiply(gradient, 1.0 - self.nu, out=scratch)
        scratch += self.nu * velocity
        scratch *= rate
        w -= scratch
