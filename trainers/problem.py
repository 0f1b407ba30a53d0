"""The one interface that everything trained here implements."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trainers.data.dataset import Dataset

__all__ = ["Evaluate", "FloatArray", "IntArray", "Problem", "evaluator"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

#: Loss (R,) and gradient (R, P) as a function of w (R, P) alone.
Evaluate = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


class Problem(ABC):
    """A loss J(w) over a flat parameter vector, with a way to draw a random start.

    A subclass has two facts and two methods::

        class Bowl(Problem):
            known_minimum = 0.0
            parameters = 3

            def initial(self, rng):
                return rng.uniform(-1, 1, self.parameters)

            def loss_and_gradient(self, w):
                return 0.5 * (w * w).sum(axis=1), w

    A problem over data also sets `examples` and takes the indices of a mini-batch::

            def loss_and_gradient(self, w, batch=None):

    where `batch` is an integer array (B,), or None for all examples. One instance is used by one
    thread at a time and must be picklable; arrays it returns may be reused by the next call.

    Attributes:
        parameters: P, the length of w.
        known_minimum: J at the global minimum, or None where nobody knows it.
        examples: the number of training examples, or None for a problem without data.
        loaded_data: what `trainers.data` loaded by the problem's parameter `data`: the job
            keeps their fingerprint, the report says what they are, and a table travels with the
            job. None where there are none, or the problem has them from elsewhere.
    """

    parameters: int
    known_minimum: float | None = None
    examples: int | None = None
    loaded_data: Dataset | None = None

    @abstractmethod
    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Draw one random start, shape (P,), from `rng` alone."""

    @abstractmethod
    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) of the R parameter vectors in `w` (R, P), row by row."""

    def flops(self) -> float:
        """Floating-point operations of one loss and gradient of one restart; sizes the tasks."""
        return 20.0 * self.parameters

    def validation_loss(self, w: FloatArray) -> FloatArray | None:
        """Loss (R,) on examples held out from training, or None where there are none."""
        return None


def evaluator(problem: Problem) -> Evaluate:
    """The problem's loss and gradient on all its examples, as a function of w alone."""
    if problem.examples is not None:
        parameters = list(inspect.signature(problem.loss_and_gradient).parameters.values())
        if len(parameters) > 1 and parameters[1].default is inspect.Parameter.empty:
            everything = np.arange(problem.examples)
            return lambda w: problem.loss_and_gradient(w, everything)
    return lambda w: problem.loss_and_gradient(w)
