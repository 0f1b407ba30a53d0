"""Losses of a few weights whose every minimum is known: bowls and wells.

The published test functions are in `trainers.problems.benchmark_functions` and are exported here
too. All take keyword arguments only, compute in float64, and let overflow become inf or nan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from trainers.errors import InvalidInput
from trainers.problem import FloatArray, IntArray
from trainers.problems.benchmark_functions import (
    Himmelblau,
    Rastrigin,
    Rosenbrock,
    SixHumpCamel,
    StyblinskiTang,
    ThreeHumpCamel,
)
from trainers.problems.landscape_base import MOST_MINIMA, Landscape, newton, real, reals, whole

__all__ = [
    "DoubleWell",
    "Himmelblau",
    "Landscape",
    "Quadratic",
    "Rastrigin",
    "Rosenbrock",
    "Saddle",
    "SingleWeight",
    "SixHumpCamel",
    "StyblinskiTang",
    "ThreeHumpCamel",
    "Wells",
]

LISTED_AT = 1


class SingleWeight(Landscape):
    """One weight in a bowl: J(w) = curvature / 2 * (w - minimum)^2.

    Gradient descent multiplies the distance to the minimum by 1 - lr * curvature at each step: it
    overshoots above lr = 1 / curvature and diverges above lr = 2 / curvature (Goh 2017, "Why
    Momentum Really Works", Distill). With the default curvature J = w^2 and the limit is lr = 1.

    Minimum: J = 0 at w = `minimum`, the only one.

    Args:
        curvature: J'', above 0.
        minimum: where J is 0.
        span: starts are uniform within this distance of the minimum.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "single-weight"
    parameters = 1

    def __init__(self, *, curvature: float = 2.0, minimum: float = 0.0, span: float = 3.0) -> None:
        self.curvature = real("curvature", curvature, above=0.0)
        self.minimum = real("minimum", minimum)
        width = real("span", span, above=0.0)
        self.span = (self.minimum - width, self.minimum + width)
        self._set_minima([self.minimum], lowest=0.0)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, 1) at `w` (R, 1)."""
        offset = w - self.minimum
        gradient = self.curvature * offset
        return (0.5 * gradient * offset)[:, 0], gradient


class DoubleWell(Landscape):
    """Two wells of different depth: J(w) = (w^2 - 1)^2 + tilt * w.

    The quartic potential of bistable physics (Strogatz 2015, "Nonlinear Dynamics and Chaos",
    section 3.6: the cusp catastrophe), the smallest loss that can trap.

    Minima: the two outer roots of J' = 4 w^3 - 4 w + tilt, by Viete's trigonometric formula; the
    middle root is the `barrier`. The deeper well lies left of it for tilt > 0, right for tilt < 0;
    with tilt = 0 both are global, at -1 and 1 with J = 0. At |tilt| = 8 / (3 sqrt 3) the
    shallower well vanishes.

    Args:
        tilt: the slope added, |tilt| < 8 / (3 sqrt 3), about 1.5396.
        span: starts are uniform in [-span, span].

    Attributes:
        barrier: position of the local maximum between the wells.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "double-well"
    parameters = 1

    def __init__(self, *, tilt: float = 0.3, span: float = 2.0) -> None:
        steepest = 8.0 / (3.0 * math.sqrt(3.0))
        self.tilt = real("tilt", tilt, above=-steepest, below=steepest)
        width = real("span", span, above=0.0)
        self.span = (-width, width)
        angle = math.acos(-self.tilt / steepest) / 3.0
        roots = sorted(
            2.0 / math.sqrt(3.0) * math.cos(angle - 2.0 * math.pi * k / 3.0) for k in range(3)
        )
        left, barrier, right = (newton(self, [root]) for root in roots)
        self.barrier = float(barrier[0])
        self._set_minima([left, right], lowest=0.0 if self.tilt == 0.0 else None)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, 1) at `w` (R, 1)."""
        excess = w * w - 1.0
        return (excess * excess + self.tilt * w)[:, 0], 4.0 * w * excess + self.tilt


class Quadratic(Landscape):
    """A bowl, ill-conditioned by default: J(w) = 1/2 sum_i curvatures[i] * w_i^2.

    The standard model of a loss near a minimum: the largest curvature L limits the rate of gradient
    descent to 2 / L, the smallest sets the pace (Nocedal & Wright 2006, section 3.3).

    Minimum: J = 0 at w = 0, the only one.

    Args:
        curvatures: the eigenvalues of the Hessian, each above 0; as many as there are weights.
        span: starts are uniform in [-span, span] in each coordinate.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "quadratic"

    def __init__(self, *, curvatures: Sequence[float] = (1.0, 100.0), span: float = 3.0) -> None:
        self.curvatures = reals("curvatures", curvatures, above=0.0)
        self.parameters = len(self.curvatures)
        width = real("span", span, above=0.0)
        self.span = (-width, width)
        self._set_minima(np.zeros((1, self.parameters)), lowest=0.0)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P)."""
        gradient = self.curvatures * w
        return 0.5 * (gradient * w).sum(axis=1), gradient


class Saddle(Landscape):
    """Two equal wells with a strict saddle between them: J(x, y) = (x^2 - 1)^2 / 4 + y^2 / 2.

    Gradient descent is drawn to the saddle along y and leaves it along x; from almost every start
    it ends in a well (Lee et al. 2016, "Gradient Descent Only Converges to Minimizers", whose
    example, x^2 / 2 + y^4 / 4 - y^2 / 2, this is, up to a constant and the names of the axes).

    Minima: J = 0 at (-1, 0) and (1, 0), both with curvatures 2 and 1. The saddle is at the origin,
    with J = 1/4 and curvatures -1 and 1.

    Attributes:
        saddle: position of the saddle, (2,).
    """

    name = "saddle-between-wells"
    parameters = 2
    span = (-2.0, 2.0)

    def __init__(self) -> None:
        self.saddle = np.zeros(2)
        self._set_minima([[-1.0, 0.0], [1.0, 0.0]], lowest=0.0)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, 2) at `w` (R, 2)."""
        x, y = w[:, 0], w[:, 1]
        excess = x * x - 1.0
        gradient = np.empty_like(w)
        gradient[:, 0] = x * excess
        gradient[:, 1] = y
        return 0.25 * excess * excess + 0.5 * y * y, gradient


class Wells(Landscape):
    """Double wells in many dimensions, their axes turned: minima of many levels, saddles between.

    J(w) = sum_i (u_i^2 - 1)^2 + tilt / 2^i u_i over the first `wells` coordinates (i from 0) of
    u = Q^T w, plus 1/2 sum_i c_i u_i^2 over the others, with Q a random rotation and the curvatures
    c_i spread evenly in the logarithm from 8 / condition to 8 (8 is that of the even well). Since J
    is separable in u, so is gradient flow: u_i never crosses the barrier of its own `DoubleWell`,
    and the basin of every point is known. No coordinate of w is special.

    Minima: the 2^wells combinations of each well's two; all levels differ unless tilt is 0. Each
    combination that takes a barrier instead is a saddle.

    Args:
        dimensions: P.
        wells: number of double wells, from 1 to `dimensions` and at most 12.
        tilt: the slope added to the first well, halved from each to the next, in absolute value
            below 8 / (3 sqrt 3), about 1.5396.
        condition: ratio of the largest to the smallest of the other curvatures, at least 1.
        rotation_seed: seeds the rotation.
        span: starts are uniform in [-span, span] in each coordinate of u.

    Attributes:
        rotation: Q, (P, P).
        barriers: the barrier of each well, (wells,).
        shares: the probability that a start lies in the basin of each of `minima`, (M,).

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "wells"

    def __init__(
        self,
        *,
        dimensions: int = 10,
        wells: int = 3,
        tilt: float = 0.3,
        condition: float = 10.0,
        rotation_seed: int = 0,
        span: float = 2.0,
    ) -> None:
        self.parameters = whole("dimensions", dimensions, least=1)
        self.wells = whole("wells", wells, least=1)
        most = min(self.parameters, MOST_MINIMA.bit_length() - 1)
        if self.wells > most:
            raise InvalidInput(f"wells = {wells!r} is not valid; it must be at most {most} here")
        ratio = real("condition", condition, least=1.0)
        seed = whole("rotation_seed", rotation_seed, least=0)
        first = DoubleWell(tilt=tilt, span=span)
        singles = [DoubleWell(tilt=first.tilt / 2.0**i) for i in range(self.wells)]
        self.span = first.span
        self.tilts = np.array([single.tilt for single in singles])
        self.barriers = np.array([single.barrier for single in singles])
        self.curvatures = 8.0 * np.geomspace(1.0 / ratio, 1.0, self.parameters - self.wells)
        normal = np.random.default_rng(seed).standard_normal((self.parameters, self.parameters))
        basis, triangle = np.linalg.qr(normal)
        self.rotation = basis * np.sign(np.diag(triangle))  # uniform among all rotations
        bottoms = np.zeros((2**self.wells, self.parameters))
        pairs = [sorted(single.minima[:, 0]) for single in singles]
        bottoms[:, : self.wells] = list(product(*pairs))
        self._set_minima(bottoms @ self.rotation.T, lowest=0.0 if first.tilt == 0.0 else None)
        low, high = self.span
        right = np.clip((high - self.barriers) / (high - low), 0.0, 1.0)
        self._right_of = self._turned(self.minima)[:, : self.wells] > self.barriers
        self.shares = np.where(self._right_of, right, 1.0 - right).prod(axis=1)

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Draw a start, uniform in a cube whose sides lie along the wells' axes; shape (P,)."""
        return self.rotation @ super().initial(rng)

    def _turned(self, w: FloatArray) -> FloatArray:
        """u = Q^T w (R, P), one product a row: their number must not change the rounding."""
        return np.asarray(np.matmul(w[:, None, :], self.rotation)[:, 0])

    def basins(self, w: FloatArray) -> IntArray:
        """The row of `minima` to which gradient flow goes from each row of `w` (R, P): (R,)."""
        right = self._turned(w)[:, : self.wells] > self.barriers
        same = (right[:, None] == self._right_of).all(axis=2)
        return np.asarray(same.argmax(axis=1), dtype=np.intp)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P)."""
        u = self._turned(w)
        x, y = u[:, : self.wells], u[:, self.wells :]
        excess = x * x - 1.0
        loss = (excess * excess + self.tilts * x).sum(axis=1)
        loss += 0.5 * (self.curvatures * y * y).sum(axis=1)
        slope = np.empty_like(u)
        slope[:, : self.wells] = 4.0 * x * excess + self.tilts
        slope[:, self.wells :] = self.curvatures * y
        return loss, np.matmul(slope[:, None, :], self.rotation.T)[:, 0]
