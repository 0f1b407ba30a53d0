"""Labels against brute force: the basin of each restart is where its gradient flow ends."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.brute_force_flow import Bottom, Formula, flow_to_bottoms
from tests.support.known_basins import MADE, endless, inflection, network, unevenly_degenerate
from trainers import (
    Basin,
    Dynamics,
    Outcomes,
    Point,
    Thresholds,
    classify,
    get_optimizer,
    get_problem,
    train,
)
from trainers.problem import FloatArray
from trainers.problems.landscapes import Landscape
from trainers.randomness import starts

pytestmark = pytest.mark.science
# Short: 20 steps, on the way down and far from rest. Long: nearly all have settled.
TRAININGS = {
    "gd short": ("gd", 0.005, 20),
    "momentum short": ("momentum", 0.005, 20),
    "adam short": ("adam", 0.02, 20),
    "gd long": ("gd", 0.02, 2000),
    "momentum long": ("momentum", 0.005, 1500),
    "adam long": ("adam", 0.01, 1500),
}
# Two losses are of one bottom when they differ by less than this part of the descent from the
# start. The classifier ends where 1e-12 of the descent is left to gain, or at rounding; brute force
# in extended precision; levels here are 1e-3 and more apart, so anything between would do.
SAME = 1e-7
# Levels are told apart at 1e-3, though the minimum of most of these is not known.
FINE = Thresholds(material=1e-3)
# Error of a curvature, over the largest. Central differences with a step of 1e-6 are right to 1e-9;
# the Hessian is that of the bottom, unless Newton's last steps were shorter than 1e-4 of 1 + |w|.
CURVATURE = 1e-3


def train_and_classify(
    problem: Formula, training: str, *, w0: FloatArray | None = None, rate: float | None = None
) -> tuple[FloatArray, Outcomes]:
    """Where 300 restarts ended, and what was said of them."""
    name, usual, steps = TRAININGS[training]
    first = starts(problem, restarts=300, seed=11) if w0 is None else w0
    run = train(
        problem, get_optimizer(name), learning_rate=rate or usual, starts=first, steps=steps
    )
    assert not run.diverged.any()
    return run.weights, classify(problem, run, FINE)


def agree(found: Outcomes, truth: Bottom) -> None:
    """Every label and every bottom is that of brute force, where either could tell."""
    known = np.isfinite(truth.loss)
    assert known.mean() >= 0.99  # else brute force was too short
    decided = found.basin != Basin.UNDETERMINED
    assert (~decided).mean() <= 0.01
    both = known & decided
    best = truth.loss[known].min()
    tolerance = 1e-3 * (np.median(found.start_loss) - best)
    expected = np.where(truth.loss <= best + tolerance, Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM)
    np.testing.assert_array_equal(found.basin[both].astype(str), expected[both].astype(str))
    off = np.abs(found.basin_loss - truth.loss) / np.maximum(found.start_loss - truth.loss, 1e-6)
    assert off[both].max() <= SAME
    settled = both & (found.dynamics == Dynamics.SETTLED)
    if settled.any():
        scale = truth.largest[settled]
        for name in ("smallest", "largest"):
            error = getattr(found, f"{name}_curvature") - getattr(truth, name)
            assert (np.abs(error[settled]) / scale).max() <= CURVATURE


# Brute force takes 5 s for each training of the network: a few of them.
PAIRS = [
    (name, training)
    for name in MADE
    for training in TRAININGS
    if name != "network" or training in ("momentum short", "gd long", "adam long")
]


@pytest.mark.parametrize(("name", "training"), PAIRS)
def test_labels_are_those_of_the_flow(name: str, training: str) -> None:
    problem = MADE[name]
    w, found = train_and_classify(problem, training)
    if training.endswith("short"):
        assert (found.dynamics == Dynamics.DESCENDING).mean() > 0.9
    agree(found, flow_to_bottoms(problem, w))


# The largest rate is a quarter of 2 / curvature within the span: Rastrigin 397, Styblinski-Tang
# 142, Himmelblau 350.
BUILT_IN = {
    "double-well": 0.01,
    "saddle-between-wells": 0.02,
    "wells": 0.005,
    "rastrigin": 0.001,
    "himmelblau": 0.001,
    "three-hump-camel": 0.002,
    "six-hump-camel": 0.002,
    "styblinski-tang": 0.003,
}


@pytest.mark.parametrize("training", ["gd short", "gd long", "adam short"])
@pytest.mark.parametrize("name", BUILT_IN)
def test_labels_of_the_built_in_landscapes_are_those_of_the_flow(name: str, training: str) -> None:
    landscape = get_problem(name)
    assert isinstance(landscape, Landscape)
    problem = Formula(
        landscape.loss_and_gradient,
        landscape.parameters,
        *landscape.span,
        known_minimum=landscape.known_minimum,
    )
    w0 = starts(landscape, restarts=300, seed=5)
    w, found = train_and_classify(problem, training, w0=w0, rate=BUILT_IN[name])
    truth = flow_to_bottoms(problem, w)
    assert np.nanmin(truth.loss) == pytest.approx(landscape.known_minimum, abs=1e-9)
    agree(found, truth)


@pytest.mark.parametrize("training", TRAININGS)
def test_a_degenerate_minimum_is_a_minimum(training: str) -> None:
    problem = unevenly_degenerate()
    w, found = train_and_classify(problem, training)
    # y does not matter, and x never crosses the barrier at 1.
    right = w[:, 0] > 1.0
    np.testing.assert_array_equal(found.basin == Basin.GLOBAL_MINIMUM, right)
    np.testing.assert_array_equal(found.basin == Basin.LOCAL_MINIMUM, ~right)
    np.testing.assert_allclose(found.basin_loss[right], -8.0 / 15.0, atol=1e-9)
    np.testing.assert_allclose(found.basin_loss[~right], 0.0, atol=1e-8)  # x^4 / 2 at x of 1e-2


@pytest.mark.parametrize("training", TRAININGS)
def test_an_inflection_is_no_minimum(training: str) -> None:
    problem = inflection(0.0)
    w, found = train_and_classify(problem, training)
    # Whoever is right of x = 1 stays there for ever. Beside it no flow that errs can tell.
    held, close = w[:, 0] > 1.0, np.abs(w[:, 0] - 1.0) < 1e-3
    np.testing.assert_array_equal((found.basin == Basin.PLATEAU)[~close], held[~close])
    np.testing.assert_array_equal((found.basin == Basin.GLOBAL_MINIMUM)[~close], ~held[~close])
    np.testing.assert_allclose(found.basin_loss[held & ~close], 5.0 / 12.0, atol=1e-6)
    np.testing.assert_allclose(found.basin_loss[~held & ~close], -11.0 / 12.0, atol=1e-9)


@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("kind", ["exponential", "peak", "logistic"])
def test_a_minimum_at_infinity_is_no_minimum(kind: str, training: str) -> None:
    _, found = train_and_classify(endless(kind), training)
    assert set(found.basin) == {Basin.PLATEAU}
    # What is left of the way to infinity may be negligible.
    assert set(found.dynamics) <= {Dynamics.DESCENDING, Dynamics.SETTLED}
    assert all("no minimum is there" in reason for reason in found.reason)


@pytest.mark.parametrize("training", ["gd short", "momentum short", "gd long", "momentum long"])
def test_on_the_way_to_a_saddle_and_at_it(training: str) -> None:
    # x = 0 is the ridge between the minima of `bent`: there the slope along x is 0 exactly, so the
    # flow stays on it, down to the saddle at the origin: curvatures -1, 1 and 3.
    problem = MADE["bent"]
    w0 = starts(problem, restarts=300, seed=2)
    w0[:, 0] = 0.0
    w, found = train_and_classify(problem, training, w0=w0)
    assert (w[:, 0] == 0.0).all()
    assert set(found.basin) == {Basin.SADDLE}
    np.testing.assert_allclose(found.basin_loss, 0.0, atol=1e-8)
    np.testing.assert_allclose(found.smallest_curvature, -1.0, atol=1e-4)
    np.testing.assert_allclose(found.largest_curvature, 3.0, atol=1e-4)


def test_a_monkey_saddle_seen_from_afar_is_no_minimum() -> None:
    # From y = 0, x > 0 the slope is 3 x^2 + x^3 down to the origin, where all curvatures are 0.
    problem = MADE["monkey"]
    w0 = np.column_stack([np.linspace(1.2, 2.0, 300), np.zeros(300)])
    _, found = train_and_classify(problem, "gd short", w0=w0)
    assert set(found.basin) <= {Basin.PLATEAU, Basin.SADDLE}
    np.testing.assert_allclose(found.basin_loss, 0.0, atol=1e-6)


def test_kinks_are_minima_on_either_side() -> None:
    # | |x| - 1 | + 0.2 x + y^2 / 2: minima with a kink at x = -1 and 1, the divide at x = 0.
    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        x, y = w.T
        loss = np.abs(np.abs(x) - 1) + 0.2 * x + y * y / 2
        return loss, np.stack([np.sign(np.abs(x) - 1) * np.sign(x) + 0.2, y], axis=1)

    problem = Formula(evaluate, 2, -2.0, 2.0)
    w, found = train_and_classify(problem, "gd long", rate=0.01)
    left = w[:, 0] < 0.0
    np.testing.assert_array_equal(found.basin == Basin.GLOBAL_MINIMUM, left)
    np.testing.assert_array_equal(found.basin == Basin.LOCAL_MINIMUM, ~left)
    np.testing.assert_allclose(found.basin_loss, np.where(left, -0.2, 0.2), atol=1e-5)
    assert set(found.point) == {Point.FLAT}
    assert not (found.dynamics == Dynamics.DIVERGED).any()


def test_a_tiny_relu_network_ends_where_small_steps_end() -> None:
    problem = network(2, 0.02, activation="relu")
    w0 = starts(problem, restarts=300, seed=1)
    run = train(problem, get_optimizer("adam"), learning_rate=0.01, starts=w0, steps=3000)
    found = classify(problem, run)
    # Many small Euler steps, the last of them 1e-5: at a kink they end within that of it.
    w = run.weights.copy()
    for size, count in ((1e-2, 6000), (1e-3, 2000), (1e-4, 1000), (1e-5, 500)):
        for _ in range(count):
            w -= size * problem.loss_and_gradient(w)[1]
    bottom = problem.loss_and_gradient(w)[0]
    # Material: a thousandth of the descent. Where some unit dies on the way, steps and flow part;
    # so of those alone that are a tenth of that from their bottom.
    settled = found.hover <= 1e-4
    assert settled.mean() > 0.5
    off = np.abs(found.basin_loss - bottom) / (found.start_loss - bottom)
    assert (off[settled] <= 1e-3).mean() >= 0.99
    assert (found.basin[settled] == Basin.UNDETERMINED).mean() <= 0.01
