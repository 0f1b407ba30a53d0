"""Losses of a few weights whose every minimum is known: bowls and wells.

The published test functions are in `trainers.benchmark_functions` and are exported here too. All
take keyword arguments only, compute in float64, and let overflow become inf or nan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from trainers._landscape import Landscape, newton, real, reals
from trainers.benchmark_functions import (
    Himmelblau,
    Rastrigin,
    Rosenbrock,
    SixHumpCamel,
    StyblinskiTang,
    ThreeHumpCamel,
)
from trainers.problem import FloatArray

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
]


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
