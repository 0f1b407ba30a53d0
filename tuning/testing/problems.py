"""Problems whose answer is known, each with one thing about it that a pool must cope with."""

from __future__ import annotations

from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from trainers import Problem
from trainers.problem import FloatArray

__all__ = ["Bowl", "Leaving", "Raising", "Threads", "of_a_script"]


class Bowl(Problem):
    """J(w) = |w|^2 / 2: stable below a learning rate of 2, and the Hessian is 1."""

    known_minimum = 0.0
    parameters = 2

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-1.0, 1.0, 2)

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        return 0.5 * (w * w).sum(axis=1), w.copy()


class Raising(Bowl):
    """Raises far out, where only a rate above the limit of 2 leads."""

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        if np.abs(w).max() > 10.0:
            raise ArithmeticError("too far")
        return super().loss_and_gradient(w, *batch)


class Leaving(Bowl):
    """Ends the program, as a script's `main` would."""

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        raise SystemExit("no licence")


class Threads(Bowl):
    """Its validation loss is the number of threads of the busiest BLAS."""

    def validation_loss(self, w: FloatArray) -> FloatArray:
        assert np.isfinite(w @ w.T).all()
        blas = [library["num_threads"] for library in threadpool_info()]
        return np.full(len(w), float(max(blas)))


_SCRIPT = """
from __future__ import annotations
import numpy as np
from trainers import Problem

class Tilted(Problem):
    parameters = 3
    def initial(self, rng):
        return rng.uniform(-1.0, 1.0, 3)
    def loss_and_gradient(self, w):
        return HEIGHT * (w**4 - w**2 + 0.1 * w).sum(axis=1), HEIGHT * (4 * w**3 - 2 * w + 0.1)

HEIGHT = 1.5
"""


def of_a_script() -> Problem:
    """A problem whose class is one of `__main__`, and what it refers to there: nowhere to import
    it from, so that it can only travel by value."""
    script: dict[str, Any] = {"__name__": "__main__"}
    exec(_SCRIPT, script)
    problem: Problem = script["Tilted"]()
    return problem
