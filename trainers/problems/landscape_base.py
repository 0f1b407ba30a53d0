"""What all landscapes share: starts, lists of minima, checks of parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trainers.errors import InvalidInput
from trainers.problem import FloatArray, Problem

__all__ = ["MOST_MINIMA", "Landscape", "newton", "real", "reals", "whole"]

MOST_MINIMA = 4096  # a product of more one-dimensional minima is not listed
_NEWTON_STEPS = 12


class Landscape(Problem):
    """A problem with a formula, whose minima are known.

    A subclass sets `parameters` and `span`, then calls `_set_minima`.

    Attributes:
        known_minimum: J at the global minimum.
        minima: positions (M, P) of the local minima, the lowest first.
        minimum_losses: J at each of them, (M,).
        minima_complete: whether `minima` holds every local minimum there is; it always holds a
            global one.
        span: the interval in which each coordinate of a start is drawn uniformly, and over which
            pictures are drawn. Minima may lie outside.
    """

    known_minimum: float
    minima: FloatArray
    minimum_losses: FloatArray
    minima_complete: bool = True
    span: tuple[float, float]

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Draw a start uniformly from the cube `span`; shape (P,)."""
        return rng.uniform(*self.span, self.parameters)

    def _set_minima(self, points: ArrayLike, *, lowest: float | None = None) -> None:
        """Store `points` (M, P) by loss, then position; `lowest` is the least, where exact."""
        minima = np.array(points, dtype=np.float64).reshape(-1, self.parameters)
        losses = np.array(self.loss_and_gradient(minima)[0])
        # Equal minima differ by rounding, which must not decide their order.
        order = np.lexsort((*minima.T[::-1], np.round(losses, 9)))
        self.minima, self.minimum_losses = minima[order], losses[order]
        self.known_minimum = float(losses.min()) if lowest is None else lowest

    def _set_product(
        self, one: Sequence[float], *, complete: bool = True, lowest: float | None = None
    ) -> None:
        """Minima of a sum of equal terms, one a coordinate: all combinations of `one`, (m,).

        `one` starts with the lowest. With more than `MOST_MINIMA` combinations, or where `one` is
        not complete, only the lowest of all is stored.
        """
        # Compared as logarithms: the power may have a million digits.
        few = self.parameters * math.log(len(one)) <= math.log(MOST_MINIMA) + 1e-9
        self.minima_complete = complete and few
        combinations = product(one if self.minima_complete else one[:1], repeat=self.parameters)
        self._set_minima(list(combinations), lowest=lowest)


def newton(problem: Problem, guess: ArrayLike) -> FloatArray:
    """The stationary point (P,) of `problem` near `guess` (P,), to rounding error.

    Newton's method with the Hessian by central differences. Full steps may raise the gradient on
    the way, so it takes `_NEWTON_STEPS` of them and keeps the best point.
    """

    def gradient(points: FloatArray) -> FloatArray:
        return np.array(problem.loss_and_gradient(points)[1])

    point = best = np.array(guess, dtype=np.float64)
    slope = gradient(point[None])[0]
    least = float(np.linalg.norm(slope))
    h = 1e-5 * np.eye(len(point))
    for _ in range(_NEWTON_STEPS):
        if least == 0.0:
            break
        hessian = (gradient(point + h) - gradient(point - h)) / 2e-5
        point = point - np.linalg.solve(hessian, slope)
        slope = gradient(point[None])[0]
        norm = float(np.linalg.norm(slope))
        if norm < least:
            best, least = point, norm
    return best


def real(
    key: str,
    value: Any,
    *,
    above: float = -math.inf,
    below: float = math.inf,
    least: float = -math.inf,
) -> float:
    """`value` as a float, if it is finite, inside (above, below) and at least `least`.

    Raises:
        InvalidInput: it is not.
    """
    if not isinstance(value, bool) and isinstance(value, Real):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf
        if math.isfinite(number) and above < number < below and number >= least:
            return number
    bounds = [
        f"{words} {bound:.6g}"
        for words, bound in (("above", above), ("at least", least), ("below", below))
        if math.isfinite(bound)
    ]
    valid = " ".join(["a finite number", " and ".join(bounds)]).strip()
    raise InvalidInput(f"{key} = {value!r} is not valid; give {valid}")


def whole(key: str, value: Any, *, least: int) -> int:
    """`value` as an int, if it is a whole number of at least `least`.

    Raises:
        InvalidInput: it is not.
    """
    if not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least:
        return int(value)
    raise InvalidInput(f"{key} = {value!r} is not valid; give a whole number of at least {least}")


def reals(key: str, values: Any, *, above: float = -math.inf) -> FloatArray:
    """A list of at least one number, each checked as by `real`, as an array.

    Raises:
        InvalidInput: it is no list, it is empty, or an element is not valid.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidInput(f"{key} = {values!r} is not valid; give a list of numbers")
    numbers = [real(f"{key}[{i}]", value, above=above) for i, value in enumerate(values)]
    if not numbers:
        raise InvalidInput(f"{key} is empty; give at least one number")
    return np.array(numbers)
