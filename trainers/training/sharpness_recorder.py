"""Sharpness along the way: the largest curvature of the loss where each restart is."""

from __future__ import annotations

import numpy as np

from trainers.curvature.lanczos import fixed_direction, lanczos
from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.training.recorder import Moment

__all__ = ["SharpnessRecorder", "products", "sharpness_steps"]

# Lanczos iterations: the first time, from a direction that knows nothing, and then from the last
# direction found with a tenth of that first one beside it, so that a direction that overtakes it is
# seen. Measured against 60 iterations on tanh networks of 16 units, at the edge of stability
# (diabetes: gd at 0.2, 0.4 and 0.8, nesterov, adam, rmsprop; every 50 steps, gd also every 10 and
# every one) and below it (wine, breast-cancer). 99 % of the measurements are right to 1 % from 6
# iterations on where the motion is regular, 8 for rmsprop, 10 for gd at 0.8, just below divergence
# (8 leave 3 %); the median is right to 1e-8. The first time 10 leave 6 % on breast-cancer, 4 % on
# digits (P = 1210), and 20 leave 1e-5.
_FIRST, _AGAIN = 20, 10
_MIXED = 0.1
# Of the differences, for problems that offer no products. Networks of ReLUs are trained towards
# their kinks, and one that is stepped over makes a spike of thousands: on breast-cancer, gd at
# 0.05, in 0.7 % of the measurements at 3e-8, in 0.2 % at 1e-8, in none of 3,168 at 1e-9. Rounding
# is 2e-7 of the value at most (measured on digits, breast-cancer, wine and diabetes with gd, adam
# and rmsprop), which no curve shows.
_STEP = 1e-9


def sharpness_steps(steps: int, every: int) -> IntArray:
    """(K,): the steps of a training of `steps` at which the sharpness is measured, 0 and the last
    among them."""
    return np.unique(np.append(np.arange(0, steps + 1, every), steps)).astype(np.intp)


def products(steps: int, every: int) -> int:
    """Products with the Hessian, each about two gradients, that a training of `steps` takes."""
    return _FIRST + _AGAIN * (len(sharpness_steps(steps, every)) - 1)


class SharpnessRecorder:
    """A `Recorder` of lambda_max(P^-1 H) of each restart every so many steps.

    H is the Hessian of the full-batch loss and P the preconditioner of the step that is about to be
    taken from there: the identity, or what Adam and RMSProp divide by (Cohen et al. 2021, arXiv
    2103.00065, and 2022, arXiv 2207.14484).
    """

    def __init__(self, evaluate: Evaluate, starts: FloatArray, steps: int, every: int) -> None:
        self._evaluate = evaluate
        self.steps = sharpness_steps(steps, every)
        self._row = dict(zip(self.steps.tolist(), range(len(self.steps)), strict=True))
        self.values = np.full((len(self.steps), len(starts)), np.nan)
        self._other = fixed_direction(starts.shape[1])
        self._direction = np.tile(self._other, (len(starts), 1))

    def due(self, t: int) -> bool:
        """Whether to measure before step `t`."""
        return t in self._row

    def add(self, moment: Moment) -> None:
        """Measure the restarts that are live."""
        divisor, live = moment.preconditioner(), moment.live
        scaling = None if divisor is None else 1.0 / np.sqrt(divisor)
        start = self._direction[live] + _MIXED * self._other
        iterations = _AGAIN if moment.t else _FIRST
        found = lanczos(
            self._evaluate, moment.w.astype(np.float64), start, iterations, scaling, step=_STEP
        )
        self.values[self._row[moment.t], live] = np.fmax.reduce(found.values, axis=1)
        self._direction[live] = np.nan_to_num(found.largest_vectors())
