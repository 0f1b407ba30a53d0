"""The one interface that everything trained here implements."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trainers.data.dataset import Dataset
    from trainers.optimizers.base import UpdateRule
    from trainers.training.trainer import Trainer

__all__ = ["Evaluate", "Evaluator", "FloatArray", "IntArray", "Problem", "RealArray", "evaluator"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
#: Of the precision in which is trained, where that need not be double.
RealArray = NDArray[np.floating[Any]]

#: Loss (R,) and gradient (R, P) as a function of w (R, P) alone. Any function will do; who also
#: wants products with the Hessian asks whether it is an `Evaluator`.
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

    where `batch` is an integer array (B,), or None for all examples. One that can multiply by its
    Hessian has a third method, for `Bowl`::

            def hessian_product(self, w, v):
                return v

    One instance is used by one thread at a time and must be picklable; arrays it returns may be
    reused by the next call.

    Attributes:
        parameters: P, the length of w.
        known_minimum: J at the global minimum, or None where nobody knows it.
        examples: the number of training examples, or None for a problem without data.
        loaded_data: what `trainers.data` loaded by the problem's parameter `data`: the job
            keeps their fingerprint, the report says what they are, and a table travels with the
            job. None where there are none, or the problem has them from elsewhere.
        starts_differ: whether `initial` gives another start each time; else restarts differ by the
            order of the examples alone.
        least_judging: gradients on all examples that judging a restart may take, however short the
            training was.
    """

    parameters: int
    known_minimum: float | None = None
    examples: int | None = None
    loaded_data: Dataset | None = None
    starts_differ: bool = True
    least_judging: float = 250

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        # Another loss has another Hessian: a product is not inherited past the loss it is of.
        pair = {"loss_and_gradient", "hessian_product"}
        latest = next(kind for kind in cls.__mro__ if pair & vars(kind).keys())
        if "hessian_product" not in vars(latest):
            cls.hessian_product = Problem.hessian_product  # type: ignore[method-assign]

    @abstractmethod
    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Draw one random start, shape (P,), from `rng` alone."""

    @abstractmethod
    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        """Loss (R,) and gradient (R, P) of the R parameter vectors in `w` (R, P), row by row."""

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray | None:
        """H v (R, P): the Hessians of the loss on all examples, at each row of `w` (R, P), times
        the rows of `v` (R, P); or None, as here, where it is not offered: then central differences
        of the gradient stand for it, at two gradients a product.

        Exact, as by Pearlmutter's R-operator ("Fast Exact Multiplication by the Hessian", 1994).
        Where the gradient jumps, that of one of the pieces. A subclass that overrides
        `loss_and_gradient` offers none but its own.
        """
        return None

    def in_float64(self) -> Problem:
        """The same problem in double precision, by which restarts are judged; itself, if it
        computes in that. Rounding in single precision hides where a bottom is: restarts of a
        problem that has no other are not judged."""
        return self

    def trainer(self) -> Trainer | None:
        """Who trains it; None, as here, for NumPy, by the optimizers of `trainers.optimizers`."""
        return None

    def sources(self) -> list[object]:
        """What of it somebody wrote, as far as it is not known by name: the modules of these
        classes and functions travel with a job to a cluster."""
        return [type(self)]

    def how_to_start(self, seed: int, restart: int) -> str | None:
        """What makes start `restart` of a job of that `seed` in a script of one's own, in a line;
        None where `initial` alone does."""
        return None

    @property
    def reference(self) -> str:
        """By what people know it, as "package.module:Class"."""
        return f"{type(self).__module__}:{type(self).__qualname__}"

    def facts(self) -> dict[str, Any]:
        """Plain JSON: what the report shall say of it, beside what it says of all."""
        return {}

    @property
    def needs_gpu(self) -> bool:
        """Whether it cannot be trained without one; on Ray, `[cluster] gpus_per_task` has one
        reserved."""
        return False

    def check_here(self) -> None:
        """Before it is trained in this process.

        Raises:
            InvalidInput: it cannot be here, as without a GPU.
        """
        return

    def flops(self) -> float:
        """Floating-point operations of one loss and gradient of one restart; sizes the tasks."""
        return 20.0 * self.parameters

    def restart_bytes(self, rule: UpdateRule, batch_size: int | None) -> float:
        """Memory that one restart more takes of a task that trains by `rule` and judges, at the
        most; tasks are cut so that they fit. 0, as here: it is not counted."""
        return 0.0

    def validation_loss(self, w: FloatArray) -> FloatArray | None:
        """Loss (R,) on examples held out from training, or None where there are none."""
        return None


@dataclass(frozen=True)
class Evaluator:
    """The `Evaluate` of a problem on all its examples, and its Hessian where that is offered.

    Attributes:
        batch: all examples, for a problem that must be told which; else nothing.
    """

    problem: Problem
    batch: tuple[IntArray, ...] = ()

    def __call__(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.problem.loss_and_gradient(w, *self.batch)

    def hessian_product(self, w: FloatArray, v: FloatArray) -> FloatArray | None:
        """See `Problem`."""
        return self.problem.hessian_product(w, v)


def evaluator(problem: Problem) -> Evaluator:
    """The problem's loss and gradient on all its examples, as a function of w alone."""
    if problem.examples is not None:
        parameters = list(inspect.signature(problem.loss_and_gradient).parameters.values())
        if len(parameters) > 1 and parameters[1].default is inspect.Parameter.empty:
            return Evaluator(problem, (np.arange(problem.examples),))
    return Evaluator(problem)
