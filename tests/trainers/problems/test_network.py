from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.special import log_softmax

from trainers.errors import InvalidInput
from trainers.optimizers.registry import get_optimizer
from trainers.problem import FloatArray
from trainers.problems.mlp import MLP, XOR
from trainers.problems.network import ACTIVATIONS, INITIALIZERS, LOSSES, Network
from trainers.randomness import starts
from trainers.training.engine import train

HIDDEN: list[list[int]] = [[], [4], [3, 5], [4, 2, 3]]
SQUASH: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "sigmoid": lambda z: 1.0 / (1.0 + math.exp(-z)),
    "erf": lambda z: math.erf(z / math.sqrt(2.0)),
    "linear": lambda z: z,
}


def forward(w: FloatArray, x: FloatArray, sizes: Sequence[int], activation: str) -> list[float]:
    """The outputs for one example, neuron by neuron."""
    values, at = [float(v) for v in x], 0
    for layer, (into, out) in enumerate(itertools.pairwise(sizes)):
        sums = []
        for _ in range(out):
            weights = [float(v) for v in w[at : at + into]]
            total = float(w[at + into])
            for weight, value in zip(weights, values, strict=True):
                total += weight * value
            sums.append(total)
            at += into + 1
        last = layer == len(sizes) - 2
        values = sums if last else [SQUASH[activation](z) for z in sums]
    assert at == len(w)
    return values


def mean_loss(
    w: FloatArray,
    inputs: FloatArray,
    targets: FloatArray,
    sizes: Sequence[int],
    activation: str,
    loss: str,
) -> float:
    """Example by example; softmax cross-entropy by SciPy."""
    total = 0.0
    for x, y in zip(inputs, targets, strict=True):
        outputs = np.array(forward(w, x, sizes, activation))
        if loss == "squared-error":
            total += 0.5 * float(((outputs - y) ** 2).sum())
        else:
            total -= float((y * log_softmax(outputs)).sum())
    return total / len(inputs)


def data(examples: int, features: int, outputs: int, loss: str) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(examples + 10 * outputs)
    inputs = rng.standard_normal((examples, features))
    if loss == "cross-entropy":
        return inputs, np.eye(outputs)[rng.integers(outputs, size=examples)]
    return inputs, rng.standard_normal((examples, outputs))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_loss_and_gradient(activation: str, loss: str, hidden: list[int], outputs: int) -> None:
    inputs, targets = data(6, 3, outputs, loss)
    rng = np.random.default_rng(1)
    for decay, batch in itertools.product((0.0, 0.3), (None, np.array([4, 1]))):
        problem = Network(
            inputs, targets, hidden=hidden, activation=activation, loss=loss, weight_decay=decay
        )
        w = rng.standard_normal((3, problem.parameters))
        value, gradient = (array.copy() for array in problem.loss_and_gradient(w, batch))
        seen = slice(None) if batch is None else batch
        for r in range(3):
            expected = mean_loss(
                w[r], inputs[seen], targets[seen], problem.sizes, activation, loss
            ) + 0.5 * decay * float(w[r] @ w[r])
            # Sums of at most a few dozen terms of order 1.
            assert value[r] == pytest.approx(expected, rel=1e-13, abs=1e-14)
            h = 1e-6 * np.eye(problem.parameters)
            up = problem.loss_and_gradient(w[r] + h, batch)[0].copy()
            down = problem.loss_and_gradient(w[r] - h, batch)[0].copy()
            # Rounding eps J / h = 2e-10 J, truncation h^2 J''' / 6 = 1e-12 J'''.
            tolerance = 3e-9 * (1.0 + abs(expected))
            np.testing.assert_allclose(gradient[r], (up - down) / 2e-6, rtol=0, atol=tolerance)
        if (loss, outputs, decay) == ("cross-entropy", 1, 0.0):
            assert (value == 0.0).all()  # one class is certain
            assert (gradient == 0.0).all()
        else:
            assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", HIDDEN, ids=str)
def test_without_biases_a_network_is_the_one_whose_biases_are_zero(
    activation: str, hidden: list[int]
) -> None:
    inputs, targets = data(6, 3, 2, "squared-error")
    whole, bare = (
        Network(
            inputs,
            targets,
            hidden=hidden,
            activation=activation,
            loss="squared-error",
            biases=biases,
        )
        for biases in (True, False)
    )
    weight = np.concatenate(
        [np.tile([1.0] * into + [0.0], out) for into, out in itertools.pairwise(whole.sizes)]
    )
    is_weight = weight == 1.0
    assert bare.parameters == is_weight.sum()
    w = np.random.default_rng(0).standard_normal((3, whole.parameters)) * weight
    for batch in (None, np.array([4, 1])):
        value, gradient = (array.copy() for array in whole.loss_and_gradient(w, batch))
        again, slope = bare.loss_and_gradient(w[:, is_weight].copy(), batch)
        # Sums in another order.
        np.testing.assert_allclose(again, value, rtol=1e-13)
        np.testing.assert_allclose(slope, gradient[:, is_weight], rtol=0, atol=1e-13)
    assert (starts(whole, restarts=2)[:, is_weight] == starts(bare, restarts=2)).all()


def test_soft_targets_and_large_outputs() -> None:
    targets = np.array([[0.2, 0.8], [0.5, 0.5]])
    problem = Network(np.array([[1.0], [-1.0]]), targets, hidden=[], loss="cross-entropy")
    w = np.array([[700.0, 0.0, -700.0, 5.0]])  # exp of the outputs overflows, the loss does not
    value, gradient = problem.loss_and_gradient(w)
    expected = mean_loss(w[0], np.array([[1.0], [-1.0]]), targets, (1, 2), "tanh", "cross-entropy")
    assert value[0] == pytest.approx(expected, rel=1e-13)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("hidden", [[16], [8, 8]], ids=str)
def test_a_restart_counts_the_same_alone_and_among_many(hidden: list[int]) -> None:
    inputs, targets = data(300, 5, 3, "cross-entropy")
    problem = Network(inputs, targets, hidden=hidden)
    w = np.random.default_rng(0).standard_normal((97, problem.parameters))
    value, gradient = (array.copy() for array in problem.loss_and_gradient(w))
    assert len(problem._spaces) > 1  # several tiles, the last one shorter
    for r in (0, 40, 96):
        alone, slope = problem.loss_and_gradient(w[r : r + 1])
        # BLAS may add 300 terms in another order.
        np.testing.assert_allclose(value[r], alone[0], rtol=1e-13)
        np.testing.assert_allclose(gradient[r], slope[0], rtol=0, atol=1e-14)


def test_batches_of_many_sizes_keep_few_buffers() -> None:
    inputs, targets = data(20, 2, 2, "cross-entropy")
    problem = Network(inputs, targets, hidden=[3])
    w = np.random.default_rng(0).standard_normal((2, problem.parameters))
    for size in range(1, 21):
        value, _ = problem.loss_and_gradient(w, np.arange(size))
        expected = mean_loss(
            w[1], inputs[:size], targets[:size], (2, 3, 2), "tanh", "cross-entropy"
        )
        assert value[1] == pytest.approx(expected, rel=1e-13)
        assert len(problem._spaces) <= 12


def test_a_copy_by_pickle_gives_the_same_bits_and_carries_no_buffers() -> None:
    problem = MLP(data="wine", hidden=[5])
    w = starts(problem, restarts=4)
    value, gradient = (array.copy() for array in problem.loss_and_gradient(w))
    size = len(pickle.dumps(problem))
    problem.loss_and_gradient(np.repeat(w, 50, axis=0))
    text = pickle.dumps(problem)
    assert len(text) == size
    copy = pickle.loads(text)
    again = copy.loss_and_gradient(w)
    np.testing.assert_array_equal(again[0], value)
    np.testing.assert_array_equal(again[1], gradient)


# name -> variance of a weight from 60 inputs to 40 outputs, and its bound where it is uniform.
WEIGHTS = {
    "glorot": (2.0 / 100, math.sqrt(6.0 / 100)),
    "glorot-normal": (2.0 / 100, None),
    "he": (2.0 / 60, None),
    "he-uniform": (2.0 / 60, math.sqrt(6.0 / 60)),
    "lecun": (1.0 / 60, None),
    "lecun-uniform": (1.0 / 60, math.sqrt(3.0 / 60)),
}


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_initial_weights(initializer: str) -> None:
    problem = Network(
        np.zeros((1, 60)), np.ones((1, 2)), hidden=[40], initializer=initializer, loss=LOSSES[1]
    )
    w = starts(problem, restarts=20, seed=3)
    first = w[:, : 40 * 61].reshape(20, 40, 61)
    assert (first[:, :, -1] == 0.0).all()  # biases
    weights = first[:, :, :-1].ravel()
    variance, bound = WEIGHTS[initializer]
    # 48,000 draws: 5 standard errors of the mean, and of the variance (kurtosis at most 3).
    assert abs(weights.mean()) < 5.0 * math.sqrt(variance / weights.size)
    assert weights.var() == pytest.approx(variance, rel=5.0 * math.sqrt(2.0 / weights.size))
    if bound is None:
        assert np.abs(weights).max() > 3.5 * math.sqrt(variance)
    else:
        # The largest of N uniform draws misses the bound by bound / N on average.
        assert 0.999 * bound < np.abs(weights).max() <= bound
    second = w[:, 40 * 61 :].reshape(20, 2, 41)
    expected = {"g": 2.0 / 42, "h": 2.0 / 40, "l": 1.0 / 40}[initializer[0]]
    assert second[:, :, :-1].var() == pytest.approx(expected, rel=5.0 * math.sqrt(2.0 / 1600))
    assert (second[:, :, -1] == 0.0).all()


@pytest.mark.parametrize("hidden", [[2], [3]], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_xor_reaches_its_known_minimum(hidden: list[int], activation: str) -> None:
    problem = XOR(hidden=hidden, activation=activation)
    assert problem.known_minimum == (0.5 if activation == "linear" else 0.0)
    w0 = starts(problem, restarts=32)
    run = train(problem, get_optimizer("adam"), learning_rate=0.03, starts=w0, steps=3000)
    assert problem.known_minimum - 1e-15 < np.nanmin(run.final_losses)
    assert np.nanmin(run.final_losses) < problem.known_minimum + 1e-12


def test_xor_claims_no_minimum_that_it_does_not_know() -> None:
    assert XOR(weight_decay=0.01).known_minimum is None
    assert XOR(hidden=[1]).known_minimum is None
    assert XOR(hidden=[4, 1]).known_minimum is None
    assert XOR(hidden=[]).known_minimum is None


def test_validation_loss() -> None:
    problem = MLP(data="wine", hidden=[4], validation=0.25, weight_decay=0.5)
    w = np.random.default_rng(5).standard_normal((3, problem.parameters))
    found = problem.validation_loss(w)
    assert found is not None
    for r in range(3):
        inputs, targets = (
            problem.loaded_data.validation_inputs,
            problem.loaded_data.validation_targets,
        )
        expected = mean_loss(w[r], inputs, targets, problem.sizes, "tanh", "cross-entropy")
        assert found[r] == pytest.approx(expected, rel=1e-12)
    assert MLP(data="wine", validation=0.0).validation_loss(w) is None
    regression = MLP(data="diabetes", hidden=[3])
    assert regression.loss == "squared-error"
    w = np.random.default_rng(5).standard_normal((1, regression.parameters))
    found = regression.validation_loss(w)
    assert found is not None
    inputs, targets = (
        regression.loaded_data.validation_inputs,
        regression.loaded_data.validation_targets,
    )
    expected = mean_loss(w[0], inputs, targets, regression.sizes, "tanh", "squared-error")
    assert found[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"activation": "tahn"}, "unknown activation 'tahn'; did you mean 'tanh'? valid: tanh, "),
        ({"activation": 3}, "unknown activation 3; valid: tanh"),
        ({"initializer": "glorott"}, "did you mean 'glorot'"),
        ({"hidden": [0]}, "hidden = [0] is not valid; a list of whole numbers from 1 up"),
        ({"hidden": [2.5]}, "hidden = [2.5] is not valid"),
        ({"hidden": "3"}, "hidden = '3' is not valid"),
        ({"hidden": [True]}, "hidden = [True] is not valid"),
        ({"weight_decay": -1.0}, "weight_decay = -1.0 is not valid; it must be at least 0"),
        ({"weight_decay": math.nan}, "weight_decay = nan is not valid"),
        ({"weight_decay": "much"}, "weight_decay = 'much' is not a number"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        XOR(**arguments)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_one_hidden_layer_may_be_a_number() -> None:
    assert XOR(hidden=4).sizes == (2, 4, 1)  # type: ignore[arg-type]


def test_flops_grow_with_what_is_computed() -> None:
    inputs, targets = data(100, 7, 3, "cross-entropy")
    # Per example, a product of (into + bias) x out counts two a multiply-add, and is done once
    # forward and once or twice backward: the first layer's signal goes no further down.
    problem = Network(inputs, targets, hidden=[50, 60])
    products = 2 * (2 * 7 * 50 + 3 * 50 * 60 + 3 * 60 * 3)
    assert problem.flops() == pytest.approx(100 * products, rel=0.2)
