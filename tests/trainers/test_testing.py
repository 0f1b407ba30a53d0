"""Each conformance check is passed by what is built in, and fails on what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from trainers.optimizers import OPTIMIZERS, Adam, GradientDescent, Momentum, Optimizer
from trainers.optimizers.base import OptimizerState
from trainers.optimizers.sgd import VelocityState
from trainers.problem import FloatArray, IntArray, Problem, evaluator
from trainers.problems.registry import PROBLEMS, example_of
from trainers.testing import check_optimizer, check_problem
from trainers.testing.problems import _check_slope_of_gradient


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_conforms(name: str) -> None:
    check_problem(example_of(name))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_conforms(name: str) -> None:
    check_optimizer(OPTIMIZERS[name]())


class Bowl(Problem):
    """J = |w|^2 / 2, with one thing wrong."""

    known_minimum = 0.0
    parameters = 3

    def __init__(self, fault: str = "") -> None:
        self.fault, self.calls = fault, 0
        if fault == "minimum":
            self.known_minimum = 50.0
        if fault in ("examples", "none"):
            self.examples = 4
        if fault == "pickle":
            self.own: float | None = 1.0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "own": 2.0} if self.fault == "pickle" else self.__dict__

    def initial(self, rng: np.random.Generator) -> FloatArray:
        if self.fault == "starts":
            self.calls += 1
        return rng.uniform(-1.0, 1.0, 3) + self.calls

    def loss_and_gradient(
        self, w: FloatArray, /, batch: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        loss, gradient = 0.5 * (w * w).sum(axis=1), w.copy()
        if self.fault == "float32":
            return loss.astype(np.float32), gradient
        if self.fault == "infinite":
            loss = loss + np.inf
        if self.fault == "summed":
            loss = loss + loss.sum()
        if self.fault == "memory":
            self.calls += 1
            loss = loss + 1e-9 * (self.calls > 7)
        if self.fault == "slope":
            gradient[:, 1] *= 1.01
        if self.fault == "examples" and batch is not None:
            loss = loss * 2.0
        if self.fault == "pickle":
            loss = loss + (self.own or 0.0)
        if self.fault == "overflow" and not np.isfinite(w).all():
            raise FloatingPointError("overflow")
        return loss, gradient

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray | None:
        match self.fault:
            case "exact":
                return v
            case "infinite product":
                return v + np.inf
            case "float32 product":
                return v.astype(np.float32)
            case "wrong product":
                return np.asarray(v * [1.0, 1.001, 1.0])
            case "skewed product":
                return np.asarray(v + 1e-7 * v[:, :1] * [0.0, 1.0, 0.0])
            case "mixed product":
                return np.asarray(v + 1e-9 * v.sum(axis=0))
        return None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("starts", "Bowl.initial gives another start for the same generator"),
        ("float32", "Bowl: the loss is float32, not float64"),
        ("infinite", "the loss at a start is not finite"),
        ("summed", "restart 0 has another loss or gradient beside other restarts"),
        ("memory", "asked twice, it gives two answers"),
        ("slope", "the gradient along parameter 1 is "),
        ("minimum", "a start lies below known_minimum = 50"),
        ("examples", "the loss on all examples is not the loss without a batch"),
        ("pickle", "a pickled copy computes something else"),
        ("infinite product", "Bowl.hessian_product: the product at a start is not finite"),
        ("float32 product", "Bowl.hessian_product: the product is float32, not float64"),
        ("wrong product", "Bowl.hessian_product: the product is "),
        ("skewed product", "Bowl.hessian_product is not symmetric"),
        ("mixed product", "Bowl.hessian_product: restart 0 has another product beside other"),
    ],
)
def test_a_broken_problem_is_noticed(fault: str, words: str) -> None:
    with pytest.raises(AssertionError) as error:
        check_problem(Bowl(fault))
    assert words in str(error.value)


def test_a_problem_that_conforms_and_one_that_raises_where_weights_overflow() -> None:
    check_problem(Bowl(), rounding=0.0)
    check_problem(Bowl("exact"), rounding=0.0)
    check_problem(Bowl("none"))
    with pytest.raises(FloatingPointError):
        check_problem(Bowl("overflow"))


class Bent(Problem):
    """J = |w|^2 / 2 + |w_0 - c|, with a kink just above w_0 and, of `sides` 2, just below."""

    parameters = 2

    def __init__(self, factor: float, sides: int = 1) -> None:
        self.factor, self.kinks = factor, np.array([0.5 + 1e-8, 0.5 - 1e-8][:sides])

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return np.array([0.5, rng.uniform()])

    def loss_and_gradient(self, w: FloatArray, /) -> tuple[FloatArray, FloatArray]:
        off = w[:, :1] - self.kinks
        gradient = w.copy()
        gradient[:, 0] += np.sign(off).sum(axis=1)
        return 0.5 * (w * w).sum(axis=1) + np.abs(off).sum(axis=1), gradient

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray:
        return self.factor * v


def test_a_kink_beside_a_start_neither_condemns_a_product_nor_hides_a_wrong_one() -> None:
    w = np.array([[0.5, 0.2]])
    for factor, sides, words in ((1.0, 1, ""), (1.01, 1, "the product is 1.01"), (1.0, 2, "rises")):
        problem, v = Bent(factor, sides), np.array([[1.0, 0.0]])
        product = problem.hessian_product(w, v)
        with pytest.raises(AssertionError, match=words) if words else nullcontext():
            _check_slope_of_gradient("Bent", evaluator(problem), w, v, product)


@dataclass(frozen=True)
class Broken(Momentum):
    """The heavy ball with one thing wrong."""

    fault: str = ""

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return {"beta": 0.5 if self.fault == "hyperparameters" else self.beta, "fault": self.fault}

    def __str__(self) -> str:
        return f"broken({self.fault})"

    @property
    def stability_limit(self) -> float:
        return super().stability_limit * {"high": 1.1, "low": 0.9}.get(self.fault, 1.0)

    def init(self, w: FloatArray) -> VelocityState:
        state = super().init(w)
        state.scratch.fill(0.0)
        return Sharing(**vars(state)) if self.fault == "shared" else state

    def step(
        self, w: FloatArray, gradient: FloatArray, rate: FloatArray, state: VelocityState
    ) -> None:
        if self.fault == "still":
            return
        if self.fault == "mixed":
            gradient = gradient + 1e-9 * gradient.mean(axis=0)
        if self.fault == "writes":
            gradient *= 1.0
        if self.fault == "early":
            w -= 0.5 * rate * gradient
        if self.fault == "keeps":
            gradient = gradient + 1e-3 * state.scratch
        super().step(w, gradient, rate, state)

    def preconditioner(self, state: OptimizerState) -> FloatArray | None:
        if self.fault == "shape":
            return np.ones(3)
        return -np.ones_like(state.scratch) if self.fault == "negative" else None


class Sharing(VelocityState):
    """A state whose copies are not copies."""

    def copy(self) -> Sharing:
        return self


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("hyperparameters", "is not made of its hyperparameters"),
        ("still", "steps do not move w"),
        ("mixed", "a restart moves otherwise beside others"),
        ("writes", "a step writes to the gradient"),
        ("early", "the gradient may be w itself"),
        ("keeps", "the scratch is kept"),
        ("shared", "the copy of a state shares something with it"),
        ("shape", "the preconditioner has shape (3,)"),
        ("negative", "the preconditioner is not finite and above 0"),
        ("high", "at 0.995 of its stability_limit 4.18 a quadratic is not stable"),
        ("low", "at 1.005 of its stability_limit 3.42 a quadratic is stable"),
    ],
)
def test_a_broken_optimizer_is_noticed(fault: str, words: str) -> None:
    with pytest.raises(AssertionError) as error:
        check_optimizer(Broken(fault=fault))
    assert words in str(error.value)


MAKERS: list[Callable[[], Optimizer]] = [
    GradientDescent,
    lambda: Momentum(beta=0.0),
    lambda: Momentum(beta=0.99),
    lambda: Adam(beta1=0.0, beta2=0.0),
    lambda: Adam(beta1=0.5, epsilon=1e-3),
]


@pytest.mark.parametrize("make", MAKERS)
def test_other_hyperparameters_conform(make: Callable[[], Optimizer]) -> None:
    check_optimizer(make())
