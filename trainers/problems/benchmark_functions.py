"""Published test functions of global optimisation, with all their local minima.

Formulas and domains follow Surjanovic & Bingham 2013, "Virtual Library of Simulation Experiments",
unless a class says otherwise. Coordinates are refined by Newton's method when an instance is made.
"""

from __future__ import annotations

import math

import numpy as np

from trainers.problem import FloatArray
from trainers.problems.landscape_base import MOST_MINIMA, Landscape, newton, real, whole

__all__ = [
    "Himmelblau",
    "Rastrigin",
    "Rosenbrock",
    "SixHumpCamel",
    "StyblinskiTang",
    "ThreeHumpCamel",
]

LISTED_AT = 2


class Rastrigin(Landscape):
    """A bowl full of dents: J(w) = A n + sum_i (w_i^2 - A cos(2 pi w_i)), with A the amplitude.

    Rastrigin 1974, "Systems of Extremal Control"; in n dimensions Muehlenbein et al. 1991.

    Minima: J = 0 at the origin. In each coordinate one minimum lies just inside every integer as
    far as about pi A (63 for A = 10, 11 of them in the span), and every combination of them is a
    minimum. All are listed if they are at most 4096, else the global one alone.

    Args:
        dimensions: n, at least 1.
        amplitude: A, at least 0; below 1 / (2 pi^2) the origin is the only minimum.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "rastrigin"
    span = (-5.12, 5.12)

    def __init__(self, *, dimensions: int = 1, amplitude: float = 10.0) -> None:
        self.parameters = whole("dimensions", dimensions, least=1)
        self.amplitude = real("amplitude", amplitude, least=0.0)
        crowded = 2.0 * math.pi * self.amplitude > MOST_MINIMA
        right = [] if crowded else self._right_of_origin()
        self._set_product([0.0, *right, *(-x for x in right)], complete=not crowded, lowest=0.0)

    def _right_of_origin(self) -> list[float]:
        """The positive minima of one coordinate."""
        slope, dent = 2.0 * math.pi * self.amplitude, 2.0 * math.pi**2 * self.amplitude
        if dent <= 1.0:  # convex
            return []
        # J'' > 0 exactly within `half` of an integer k. There J' increases, and it is positive at
        # k, so it has a root, a minimum, where it is negative at k - half: up to some k.
        half = math.acos(-1.0 / dent) / (2.0 * math.pi)
        found = []
        for k in range(1, math.ceil(math.pi * self.amplitude) + 1):
            low, high = k - half, float(k)
            if 2.0 * low + slope * math.sin(2.0 * math.pi * low) >= 0.0:
                break
            for _ in range(60):
                middle = 0.5 * (low + high)
                if 2.0 * middle + slope * math.sin(2.0 * math.pi * middle) < 0.0:
                    low = middle
                else:
                    high = middle
            found.append(0.5 * (low + high))
        return found

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P)."""
        angle = (2.0 * math.pi) * w
        # A (1 - cos) as a squared sine: the plain sum loses half the digits near the origin.
        sine = np.sin(0.5 * angle)
        loss = (w * w + (2.0 * self.amplitude) * (sine * sine)).sum(axis=1)
        return loss, 2.0 * w + (2.0 * math.pi * self.amplitude) * np.sin(angle)


class Himmelblau(Landscape):
    """Four equal wells: J(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2.

    Himmelblau 1972, "Applied Nonlinear Programming".

    Minima: J = 0 at (3, 2), (-2.805118, 3.131313), (-3.779310, -3.283186), (3.584428, -1.848127).
    """

    name = "himmelblau"
    parameters = 2
    span = (-5.0, 5.0)

    def __init__(self) -> None:
        guesses = [(3.0, 2.0), (-2.8, 3.1), (-3.8, -3.3), (3.6, -1.8)]
        self._set_minima([newton(self, guess) for guess in guesses], lowest=0.0)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, 2) at `w` (R, 2)."""
        x, y = w[:, 0], w[:, 1]
        first, second = x * x + y - 11.0, x + y * y - 7.0
        gradient = np.empty_like(w)
        gradient[:, 0] = 4.0 * x * first + 2.0 * second
        gradient[:, 1] = 2.0 * first + 4.0 * y * second
        return first * first + second * second, gradient


class ThreeHumpCamel(Landscape):
    """One deep well between two shallow ones: J(x, y) = 2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2.

    Branin & Hoo 1972, "A method for finding multiple extrema of a function of n variables". The
    library's domain is [-5, 5]; the span here is [-2, 2], where the three wells are.

    Minima: J = 0 at the origin; J = 0.298638 at +-(-1.747552, 0.873776).
    """

    name = "three-hump-camel"
    parameters = 2
    span = (-2.0, 2.0)

    def __init__(self) -> None:
        guesses = [(0.0, 0.0), (-1.75, 0.87), (1.75, -0.87)]
        self._set_minima([newton(self, guess) for guess in guesses], lowest=0.0)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, 2) at `w` (R, 2)."""
        x, y = w[:, 0], w[:, 1]
        square = x * x
        gradient = np.empty_like(w)
        gradient[:, 0] = x * (4.0 + square * (square - 4.2)) + y
        gradient[:, 1] = x + 2.0 * y
        return square * (2.0 + square * (square / 6.0 - 1.05)) + y * (x + y), gradient


class SixHumpCamel(Landscape):
    """Six wells in three depths: J(x, y) = (4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (4 y^2 - 4) y^2.

    Dixon & Szegoe 1978, "Towards Global Optimisation 2". The library's domain is [-3, 3] x [-2, 2].

    Minima: J = -1.031628 at +-(0.089842, -0.712656); J = -0.215464 at +-(1.703607, -0.796084);
    J = 2.104250 at +-(1.607105, 0.568651).
    """

    name = "six-hump-camel"
    parameters = 2
    span = (-2.0, 2.0)

    def __init__(self) -> None:
        guesses = [(0.09, -0.71), (1.70, -0.80), (1.61, 0.57)]
        guesses += [(-x, -y) for x, y in guesses]
        self._set_minima([newton(self, guess) for guess in guesses])

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, 2) at `w` (R, 2)."""
        x, y = w[:, 0], w[:, 1]
        across, along = x * x, y * y
        gradient = np.empty_like(w)
        gradient[:, 0] = x * (8.0 + across * (2.0 * across - 8.4)) + y
        gradient[:, 1] = x + y * (16.0 * along - 8.0)
        loss = across * (4.0 + across * (across / 3.0 - 2.1)) + x * y + 4.0 * along * (along - 1.0)
        return loss, gradient


class StyblinskiTang(Landscape):
    """Two unequal wells in each coordinate: J(w) = 1/2 sum_i (w_i^4 - 16 w_i^2 + 5 w_i).

    Styblinski & Tang 1990, "Experiments in Nonconvex Optimization", Neural Networks 3.

    Minima: each coordinate is either -2.903534 or 2.746803, which makes 2^n of them; the global
    one is negative in all, with J = -39.166166 n. All are listed up to n = 12, then it alone.

    Args:
        dimensions: n, at least 1.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "styblinski-tang"
    span = (-5.0, 5.0)

    def __init__(self, *, dimensions: int = 2) -> None:
        self.parameters = whole("dimensions", dimensions, least=1)
        self._set_product([_styblinski_tang_root(-2.903534), _styblinski_tang_root(2.746803)])

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P)."""
        square = w * w
        loss = 0.5 * (square * (square - 16.0) + 5.0 * w).sum(axis=1)
        return loss, w * (2.0 * square - 16.0) + 2.5


def _styblinski_tang_root(x: float) -> float:
    """The root of the slope in one coordinate near `x`, which has 7 digits: they double twice."""
    for _ in range(2):
        x -= (x * (2.0 * x * x - 16.0) + 2.5) / (6.0 * x * x - 16.0)
    return x


class Rosenbrock(Landscape):
    """A curved, flat valley: J(w) = sum_{i<n} (100 (w_{i+1} - w_i^2)^2 + (1 - w_i)^2).

    Rosenbrock 1960, "An automatic method for finding the greatest or least value of a function",
    in its extended (chained) form; the span is De Jong's (1975).

    Minima: J = 0 at (1, ..., 1). From n = 4 there is a second one, near (-1, 1, ..., 1) for large
    n, with J = 3.7014 for n = 4 and 3.9866 for n = 30; others were sought in vain up to n = 100
    (Shang & Qiu 2006, "A Note on the Extended Rosenbrock Function"; Kok & Sandrock 2009, "Locating
    and Characterizing the Stationary Points of the Extended Rosenbrock Function"). Above n = 100
    only the global one is listed.

    Args:
        dimensions: n, at least 2.

    Raises:
        InvalidInput: a parameter that is not valid.
    """

    name = "rosenbrock"
    span = (-2.048, 2.048)

    def __init__(self, *, dimensions: int = 2) -> None:
        self.parameters = whole("dimensions", dimensions, least=2)
        self.minima_complete = self.parameters <= 100
        points = [np.ones(self.parameters)]
        if 4 <= self.parameters <= 100:
            guess = np.ones(self.parameters)
            guess[0] = -1.0
            points.append(newton(self, guess))
        self._set_minima(points, lowest=0.0)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) at `w` (R, P)."""
        x = w[:, :-1]
        climb, gap = w[:, 1:] - x * x, 1.0 - x
        gradient = np.zeros_like(w)
        gradient[:, :-1] = -400.0 * x * climb - 2.0 * gap
        gradient[:, 1:] += 200.0 * climb
        return (100.0 * climb * climb + gap * gap).sum(axis=1), gradient
