from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from trainers.problem import FloatArray
from trainers.problems.mlp import MLP
from trainers.problems.network import ACTIVATIONS, LOSSES, Network
from trainers.problems.teachers import DeepLinear, TeacherStudent

HIDDEN: list[list[int]] = [[], [4], [3, 5], [4, 2, 3]]


def network(
    activation: str,
    loss: str,
    hidden: list[int],
    outputs: int,
    *,
    decay: float = 0.0,
    biases: bool = True,
    examples: int = 6,
) -> Network:
    rng = np.random.default_rng(examples + 10 * outputs)
    inputs = rng.standard_normal((examples, 3))
    targets = rng.standard_normal((examples, outputs))
    if loss == "cross-entropy":
        targets = targets**2  # not one-hot: any distribution will do
        targets /= targets.sum(axis=1, keepdims=True)
    return Network(
        inputs, targets, hidden=hidden, activation=activation, loss=loss, weight_decay=decay,
        biases=biases,
    )  # fmt: skip


def some(problem: Network, count: int, rows: int = 3) -> list[FloatArray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal((rows, problem.parameters)) for _ in range(count)]


def gradient(problem: Network, w: FloatArray) -> FloatArray:
    return problem.loss_and_gradient(w)[1].copy()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("biases", [True, False], ids=["biases", "bare"])
def test_it_is_the_slope_of_the_gradient(
    activation: str, loss: str, hidden: list[int], outputs: int, biases: bool
) -> None:
    for decay in (0.0, 0.3):
        problem = network(activation, loss, hidden, outputs, decay=decay, biases=biases)
        w, v, u = some(problem, 3)
        found = problem.hessian_product(w, v)
        up, down = gradient(problem, w + 1e-6 * v), gradient(problem, w - 1e-6 * v)
        # Rounding eps / h = 2e-10 of the gradient, some times over; truncation h^2 / 6 = 2e-13 of
        # its third derivative along v, which through four layers is 1e5. No kink is so near.
        tolerance = 1e-8 * (1.0 + np.abs(up).max())
        np.testing.assert_allclose(found, (up - down) / 2e-6, rtol=0, atol=tolerance)
        # Sums of at most some hundred terms, in another order.
        other = (v * problem.hessian_product(w, u)).sum(axis=1)
        size = np.abs(u * found).sum(axis=1) + np.abs(v).sum(axis=1)
        assert (np.abs((u * found).sum(axis=1) - other) <= 1e-13 * size).all()
        if (loss, outputs, decay) == ("cross-entropy", 1, 0.0):
            assert (found == 0.0).all()  # one class is certain, whatever w
        else:
            assert np.abs(found).max() > 1e-3


# name -> s, s' and s'' at z.
SQUASH: dict[str, Callable[[float], tuple[float, float, float]]] = {
    "tanh": lambda z: (math.tanh(z), math.cosh(z) ** -2, -2 * math.tanh(z) * math.cosh(z) ** -2),
    "relu": lambda z: (max(z, 0.0), float(z > 0), 0.0),
    "sigmoid": lambda z: (
        1 / (1 + math.exp(-z)),
        math.exp(-z) / (1 + math.exp(-z)) ** 2,
        math.exp(-z) * (math.exp(-z) - 1) / (1 + math.exp(-z)) ** 3,
    ),
    "erf": lambda z: (
        math.erf(z / math.sqrt(2)),
        math.sqrt(2 / math.pi) * math.exp(-z * z / 2),
        -z * math.sqrt(2 / math.pi) * math.exp(-z * z / 2),
    ),
    "linear": lambda z: (z, 1.0, 0.0),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("weight", [0.8, -0.3])
def test_the_hessian_of_one_unit_is_that_by_hand(activation: str, weight: float) -> None:
    """J = (a s(b x) - y)^2 / 2 + decay (a^2 + b^2) / 2 of one example, without biases."""
    x, y, a, decay = 1.3, 0.7, -1.1, 0.2
    problem = Network(
        np.array([[x]]), np.array([[y]]), hidden=[1], activation=activation,
        loss="squared-error", weight_decay=decay, biases=False,
    )  # fmt: skip
    s, slope, bend = SQUASH[activation](weight * x)
    off = a * s - y
    bb = (a * slope * x) ** 2 + off * a * bend * x * x + decay
    ab = a * slope * x * s + off * slope * x
    aa = s * s + decay
    w = np.tile([weight, a], (2, 1))
    found = problem.hessian_product(w, np.eye(2))
    np.testing.assert_allclose(found, [[bb, ab], [ab, aa]], rtol=1e-14, atol=1e-15)


def test_the_hessian_of_softmax_is_that_by_hand() -> None:
    """Without hidden units it is x x' times diag(p) - p p'."""
    x, targets = np.array([[0.5, -2.0]]), np.array([[0.0, 1.0, 0.0]])
    problem = Network(x, targets, hidden=[], loss="cross-entropy", biases=False)
    w = np.random.default_rng(0).standard_normal(6)
    p = np.exp(w.reshape(3, 2) @ x[0])
    p /= p.sum()
    expected = np.kron(np.diag(p) - np.outer(p, p), np.outer(x, x))
    found = problem.hessian_product(np.tile(w, (6, 1)), np.eye(6))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)
    # Outputs whose exponentials overflow: one class is certain, and nothing is curved.
    assert (problem.hessian_product(400.0 * np.eye(6)[:1], np.ones((1, 6))) == 0.0).all()


def test_relus_that_answer_to_nothing_are_flat() -> None:
    problem = network("relu", "squared-error", [4], 2, decay=0.25)
    w, v = some(problem, 2)
    w[:, :16] = np.tile([0.0, 0.0, 0.0, -1.0], 4)  # all weights 0, all biases -1
    found = problem.hessian_product(w, v)
    # All but the output biases, whose loss is a parabola of curvature 1.
    curvature = np.full(problem.parameters, 0.25)
    curvature[[20, 25]] += 1.0
    np.testing.assert_allclose(found, curvature * v, rtol=0, atol=1e-15)


@pytest.mark.parametrize("hidden", [[16], [8, 8]], ids=str)
def test_a_restart_counts_the_same_alone_and_among_many(hidden: list[int]) -> None:
    problem = network("tanh", "cross-entropy", hidden, 3, examples=300)
    w, v = some(problem, 2, rows=97)
    found = problem.hessian_product(w, v)
    assert len(problem._spaces) == 4  # two tiles of several, the last one shorter
    for r in (0, 40, 96):
        alone = problem.hessian_product(w[r : r + 1], v[r : r + 1])
        # BLAS may add 300 terms in another order.
        np.testing.assert_allclose(found[r], alone[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_gradient_has_the_same_bits_after_a_product(activation: str) -> None:
    problem = network(activation, "cross-entropy", [5, 4], 3)
    w, v = some(problem, 2)
    before = gradient(problem, w)
    first = problem.hessian_product(w, v)
    np.testing.assert_array_equal(gradient(problem, w), before)
    np.testing.assert_array_equal(problem.hessian_product(w, v), first)


@pytest.mark.parametrize(
    "problem",
    [TeacherStudent(biases=True), TeacherStudent(activation="erf"), DeepLinear(), MLP(data="wine")],
    ids=lambda problem: problem.name,
)
def test_whatever_is_built_on_a_network_offers_it_too(problem: Network) -> None:
    w, v = some(problem, 2)
    up, down = gradient(problem, w + 1e-6 * v), gradient(problem, w - 1e-6 * v)
    found = problem.hessian_product(w, v)
    np.testing.assert_allclose(found, (up - down) / 2e-6, atol=1e-8 * (1.0 + np.abs(up).max()))
