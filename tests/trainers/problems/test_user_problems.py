"""Problems as users write them: with mini-batches, mistakes, and arrays that they use again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainers.errors import InvalidInput
from trainers.optimizers.registry import OPTIMIZERS, get_optimizer
from trainers.outcomes.classify import classify
from trainers.problem import FloatArray, IntArray, Problem, evaluator
from trainers.problems.landscapes import Quadratic
from trainers.randomness import Purpose, batches, generator, starts
from trainers.training.engine import train

GD = get_optimizer("gd")


class Line(Problem):
    """Least squares through twenty points; remembers the batches. `batch` has no default."""

    parameters = 2
    examples = 20

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.x = np.column_stack([rng.standard_normal(20), np.ones(20)])
        self.y = self.x @ np.array([2.0, -1.0]) + 0.3 * rng.standard_normal(20)
        self.calls: list[tuple[int, IntArray]] = []

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.standard_normal(2)

    def loss_and_gradient(self, w: FloatArray, /, batch: IntArray) -> tuple[FloatArray, FloatArray]:
        self.calls.append((len(w), batch.copy()))
        x, y = self.x[batch], self.y[batch]
        off = w @ x.T - y
        return 0.5 * (off**2).mean(axis=1), off @ x / len(batch)


class Optional(Line):
    """The same with a default, as the interface's documentation shows it."""

    def loss_and_gradient(
        self, w: FloatArray, /, batch: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        return super().loss_and_gradient(w, np.arange(20) if batch is None else batch)


@pytest.mark.parametrize("kind", [Line, Optional])
def test_full_batch_sees_all_examples_in_their_order(kind: type[Line]) -> None:
    problem = kind()
    train(problem, GD, learning_rate=0.1, starts=np.zeros((3, 2)), steps=5)
    for _, batch in problem.calls:
        np.testing.assert_array_equal(batch, np.arange(20))


@pytest.mark.parametrize("kind", [Line, Optional])
def test_each_epoch_covers_the_examples_and_losses_are_of_all_of_them(kind: type[Line]) -> None:
    problem, w0 = kind(), np.random.default_rng(1).standard_normal((3, 2))
    run = train(
        problem, GD, learning_rate=0.05, starts=w0, steps=40, batch_size=5, seed=9, record_path=True
    )
    small = [(rows, batch) for rows, batch in problem.calls if len(batch) == 5]
    assert len(small) == 41  # the last only for the step that would follow
    assert all(rows == 3 for rows, _ in small)  # one call for all restarts: the same order for all
    for epoch in range(10):
        seen = np.concatenate([batch for _, batch in small[4 * epoch : 4 * epoch + 4]])
        np.testing.assert_array_equal(np.sort(seen), np.arange(20))
    assert len({tuple(batch) for _, batch in small}) > 30  # shuffled anew
    w = w0.copy()
    assert run.path is not None
    for t in range(41):
        np.testing.assert_array_equal(run.path[t], w)
        expected = problem.loss_and_gradient(w, np.arange(20))[0]
        np.testing.assert_array_equal(run.losses[t], expected)
        w = w - 0.05 * problem.loss_and_gradient(w, small[t][1])[1]


def test_the_order_of_batches_depends_on_the_seed_alone() -> None:
    first = [next(batches(50, 7, seed)) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])


def test_an_incomplete_batch_is_dropped() -> None:
    endless = batches(10, 4, 0)
    for _ in range(5):
        epoch = np.concatenate([next(endless), next(endless)])
        assert len(epoch) == len(set(epoch)) == 8


@pytest.mark.parametrize("size", [0, 21])
def test_batch_sizes_that_cannot_be(size: int) -> None:
    with pytest.raises(InvalidInput, match=r"is not valid; from 1 to 20 examples"):
        train(Line(), GD, learning_rate=0.1, starts=np.zeros((1, 2)), steps=1, batch_size=size)


class HiddenInfinity(Optional):
    """All examples together overflow where no mini-batch does."""

    def loss_and_gradient(
        self, w: FloatArray, /, batch: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        loss, gradient = super().loss_and_gradient(w, batch)
        if batch is None:
            loss[w[:, 0] > 1.0] = np.inf
        return loss, gradient


def test_no_infinity_is_recorded_with_mini_batches() -> None:
    w0 = np.array([[0.0, 0.0], [-5.0, 0.0]])
    run = train(HiddenInfinity(), GD, learning_rate=0.1, starts=w0, steps=60, batch_size=5)
    assert not np.isinf(run.losses).any()
    assert run.diverged.any()


class Reusing(Problem):
    """Returns w itself as the gradient, and the same array of losses each time."""

    parameters = 3
    known_minimum = 0.0

    def __init__(self) -> None:
        self.store: FloatArray | None = None

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-1.0, 1.0, 3)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        if self.store is None or len(self.store) != len(w):
            self.store = np.empty(len(w))
        self.store[:] = 0.5 * (w * w).sum(axis=1)
        return self.store, w


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arrays_that_a_problem_uses_again(name: str) -> None:
    ours, plain = Reusing(), Quadratic(curvatures=[1.0, 1.0, 1.0])
    w0 = starts(ours, restarts=4)
    rates = np.array([0.1, 0.3, 0.01, 5.0])  # the last diverges under gd: rows leave the batch
    runs = [
        train(problem, get_optimizer(name), learning_rate=rates, starts=w0, steps=100)
        for problem in (ours, plain)
    ]
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
    np.testing.assert_array_equal(runs[0].weights, runs[1].weights)
    found = [classify(p, run) for p, run in zip((ours, plain), runs, strict=True)]
    assert list(found[0].dynamics) == list(found[1].dynamics)
    assert list(found[0].basin) == list(found[1].basin)


class Answering(Problem):
    """Answers whatever it is told to."""

    parameters = 2

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return np.zeros(2)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0.0, "Answering.loss_and_gradient returned float; it must return loss, gradient"),
        (([0.0, 0.0], np.zeros((2, 2))), "returned a loss of type list; give an array"),
        ((np.zeros(2),), "returned tuple; it must return loss, gradient"),
        (
            (np.zeros(1), np.zeros((2, 2))),
            "returned a loss of shape (1,) for w of shape (2, 2); it must be (2,)",
        ),
        (
            (np.zeros(2), np.zeros(2)),
            "returned a gradient of shape (2,) for w of shape (2, 2); it must be (2, 2)",
        ),
    ],
)
def test_wrong_answers(answer: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        train(Answering(answer), GD, learning_rate=0.1, starts=np.zeros((3, 2)), steps=1)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_user_s_own_exception_comes_through_as_it_is() -> None:
    own = ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError) as error:
        train(Answering(own), GD, learning_rate=0.1, starts=np.zeros((1, 2)), steps=1)
    assert error.value is own


class Starting(Answering):
    """Starts where it is told to."""

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return self.answer  # type: ignore[no-any-return]


@pytest.mark.parametrize("start", [np.zeros(3), np.zeros((1, 2)), np.array([0.0, np.nan]), 1.0])
def test_wrong_starts(start: Any) -> None:
    with pytest.raises(InvalidInput, match=r"Starting.initial returned .* of shape \(2,\)"):
        starts(Starting(start), restarts=2)


def test_start_i_depends_on_the_seed_and_i_alone() -> None:
    problem = Line()
    many = starts(problem, restarts=10, seed=5)
    np.testing.assert_array_equal(starts(problem, restarts=3, seed=5, first=4), many[4:7])
    assert len({tuple(row) for row in many}) == 10
    assert not np.array_equal(starts(problem, restarts=10, seed=6), many)
    expected = problem.initial(generator(5, Purpose.START, 9))
    np.testing.assert_array_equal(many[9], expected)
    with pytest.raises(InvalidInput, match="restarts = 0 is not valid; it must be at least 1"):
        starts(problem, restarts=0)


def test_streams_for_different_purposes_differ() -> None:
    draws = {generator(0, purpose, i).integers(2**62) for purpose in Purpose for i in range(3)}
    assert len(draws) == 3 * len(Purpose)


class Faulty(Problem):
    """A bowl with one thing wrong."""

    parameters = 2

    def __init__(self, fault: str) -> None:
        self.fault = fault
        if fault == "nan":
            self.known_minimum = float("nan")

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-1, 1, 2)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        loss, gradient = (w * w).sum(axis=1), 2 * w
        if self.fault == "complex":
            loss = loss * (1 + 0j)
        if self.fault == "in place":
            w *= 0.5
        return loss, gradient


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nan", "known_minimum is nan; it must be a finite number"),
        ("complex", "a loss of complex128; give real numbers"),
        ("in place", "changed w; it must leave it as it is"),
    ],
)
def test_a_fault_is_refused_before_training(fault: str, message: str) -> None:
    problem = Faulty(fault)
    with pytest.raises(InvalidInput, match=message):
        train(problem, get_optimizer("gd"), learning_rate=0.1, starts=np.ones((3, 2)), steps=5)


@pytest.mark.parametrize("parameters", ["2", 2.0, True, 0, -3])
def test_parameters_is_a_whole_number(parameters: Any) -> None:
    problem = Faulty("")
    problem.parameters = parameters
    with pytest.raises(InvalidInput, match="parameters is"):
        starts(problem, restarts=2)


class Multiplying(Faulty):
    """A bowl that can multiply by its Hessian, or thinks so."""

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray:
        match self.fault:
            case "list":
                return (2 * v).tolist()  # type: ignore[no-any-return]
            case "one row":
                return np.asarray(2 * v[0])
            case "changed":
                v *= 2
        return 2 * v


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("list", "Multiplying.hessian_product returned a product of type list; give an array"),
        ("one row", r"a product of shape \(2,\) for w of shape \(2, 2\); it must be \(2, 2\)"),
        ("changed", "Multiplying.hessian_product changed w or v; it must leave them as they are"),
    ],
)
def test_a_faulty_product_is_refused_before_training(fault: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        train(Multiplying(fault), GD, learning_rate=0.1, starts=np.ones((3, 2)), steps=5)


class Steeper(Multiplying):
    """Another loss."""

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        loss, gradient = super().loss_and_gradient(w)
        return 3 * loss, 3 * gradient


class Mixin:
    """Another loss for whatever problem it is put before."""

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return (w**4).sum(axis=1), 4 * w**3


class Mixed(Mixin, Multiplying):
    """Gets its loss from elsewhere."""


class Knowing(Steeper):
    """Knows the Hessian of its loss."""

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray:
        return 6 * v


def test_a_product_is_inherited_with_its_loss_and_not_past_another() -> None:
    class Renamed(Multiplying):
        pass

    class Heir(Knowing):
        pass

    w = np.ones((1, 2))
    factors: dict[type[Problem], float | None] = {
        Faulty: None, Multiplying: 2.0, Renamed: 2.0, Steeper: None, Mixed: None, Knowing: 6.0,
        Heir: 6.0,
    }  # fmt: skip
    for kind, factor in factors.items():
        found = evaluator(kind("")).hessian_product(w, w)  # type: ignore[call-arg]
        expected = None if factor is None else factor * w
        np.testing.assert_equal(found, expected)
