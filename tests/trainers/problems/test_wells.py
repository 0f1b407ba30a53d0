from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import optimize

from trainers import classify, get_optimizer, get_problem, train
from trainers.errors import InvalidInput
from trainers.problem import FloatArray
from trainers.problems.landscapes import DoubleWell, Wells
from trainers.randomness import starts

CASES: dict[str, dict[str, float]] = {
    "default": {},
    "one": {"dimensions": 1, "wells": 1},
    "two": {"dimensions": 2, "wells": 1, "tilt": -1.2},
    "all": {"dimensions": 4, "wells": 4, "tilt": 1.0, "rotation_seed": 3},
    "even": {"dimensions": 5, "wells": 2, "tilt": 0.0, "condition": 1.0},
    "wide": {"dimensions": 60, "wells": 4, "tilt": 0.5, "condition": 30.0},
}


@pytest.fixture(params=CASES)
def wells(request: pytest.FixtureRequest) -> Wells:
    problem = get_problem("wells", **CASES[request.param])
    assert isinstance(problem, Wells)
    return problem


def hessian(problem: Wells, w: FloatArray) -> FloatArray:
    h = 1e-5 * np.eye(len(w))
    up = np.array(problem.loss_and_gradient(w + h)[1])
    return np.asarray((up - problem.loss_and_gradient(w - h)[1]) / 2e-5)


def test_loss_is_the_formula_and_the_gradient_its_slope(wells: Wells) -> None:
    w = starts(wells, restarts=20)
    loss, gradient = (np.array(part) for part in wells.loss_and_gradient(w))
    for r, row in enumerate(w):
        u = wells.rotation.T @ row
        expected = sum(
            (x**2 - 1) ** 2 + tilt * x for x, tilt in zip(u, wells.tilts, strict=False)
        ) + sum(c * x**2 / 2 for c, x in zip(wells.curvatures, u[wells.wells :], strict=True))
        assert loss[r] == pytest.approx(expected, rel=1e-12, abs=1e-13)
        h = 1e-5 * np.eye(wells.parameters)
        up = wells.loss_and_gradient(row + h)[0]
        slope = (up - wells.loss_and_gradient(row - h)[0]) / 2e-5
        # h^2 J''' / 6 = 1e-9 (J''' is 48 at most), eps J / h = 1e-8 for J of 500.
        np.testing.assert_allclose(gradient[r], slope, rtol=0, atol=1e-7)


def test_the_rotation_is_one(wells: Wells) -> None:
    product = wells.rotation @ wells.rotation.T
    np.testing.assert_allclose(product, np.eye(wells.parameters), atol=1e-14)


def test_minima_are_strict_and_complete(wells: Wells) -> None:
    loss, gradient = wells.loss_and_gradient(wells.minima)
    assert len(wells.minima) == 2**wells.wells
    np.testing.assert_array_equal(loss, wells.minimum_losses)
    assert np.abs(gradient).max() < 1e-13
    for minimum in wells.minima:
        assert np.linalg.eigvalsh(hessian(wells, minimum))[0] > 1e-3
    assert wells.known_minimum == pytest.approx(loss[0], abs=1e-14)
    if wells.tilts[0] != 0.0:
        assert (np.diff(wells.minimum_losses) > 1e-3).all()  # all levels differ
    else:
        assert wells.known_minimum == 0.0


def test_gradient_flow_ends_in_the_basin_that_is_told(wells: Wells) -> None:
    w = starts(wells, restarts=200, seed=1)
    expected = wells.basins(w)
    # 44 is the largest curvature within the span, and 1/50 is short enough to cross no barrier.
    for _ in range(2000):
        w = w - 0.02 * wells.loss_and_gradient(w)[1]
    away = np.linalg.norm(w[:, None] - wells.minima, axis=2)
    np.testing.assert_array_equal(away.argmin(axis=1), expected)
    assert away.min(axis=1).max() < 1e-2
    np.testing.assert_array_equal(wells.basins(wells.minima), np.arange(len(wells.minima)))


def test_shares_are_the_chances_of_the_basins(wells: Wells) -> None:
    assert wells.shares.sum() == pytest.approx(1.0, rel=1e-14)
    count = 4000
    seen = np.bincount(wells.basins(starts(wells, restarts=count)), minlength=len(wells.minima))
    # 16 basins at most, each within 4.5 standard errors, and the seed is fixed.
    error = np.sqrt(wells.shares * (1 - wells.shares) / count)
    assert (np.abs(seen / count - wells.shares) < 4.5 * error).all()


def test_between_two_minima_lies_a_strict_saddle() -> None:
    wells = Wells()
    saddle = wells.rotation.T @ wells.minima[0]
    saddle[0] = wells.barriers[0]
    saddle = wells.rotation @ saddle
    assert np.abs(wells.loss_and_gradient(saddle[None])[1]).max() < 1e-13
    eigenvalues = np.linalg.eigvalsh(hessian(wells, saddle))
    assert eigenvalues[0] < -3.0
    assert eigenvalues[1] > 0.5


def test_one_well_in_one_dimension_is_the_double_well() -> None:
    single, ours = DoubleWell(tilt=0.4), Wells(dimensions=1, wells=1, tilt=0.4)
    w = np.linspace(-2, 2, 9)[:, None]
    np.testing.assert_allclose(
        ours.loss_and_gradient(w)[0], single.loss_and_gradient(w * ours.rotation)[0], rtol=1e-14
    )
    # The well at -1 is deeper; the barrier lies at 0.1.
    assert ours.shares[0] == pytest.approx((single.barrier + 2) / 4)


def test_a_row_does_not_depend_on_the_others(wells: Wells) -> None:
    w = starts(wells, restarts=65)
    loss, gradient = (np.array(part) for part in wells.loss_and_gradient(w))
    for r in range(len(w)):
        alone, along = wells.loss_and_gradient(w[r : r + 1])
        assert alone[0] == loss[r]
        assert (along[0] == gradient[r]).all()


def test_no_search_beats_the_known_minimum(wells: Wells) -> None:
    def one(w: FloatArray) -> tuple[float, FloatArray]:
        loss, gradient = wells.loss_and_gradient(w[None])
        return float(loss[0]), gradient[0]

    found = [
        optimize.minimize(one, start, jac=True, method="L-BFGS-B").fun
        for start in starts(wells, restarts=50)
    ]
    assert wells.known_minimum - 1e-12 < min(found) < wells.known_minimum + 1e-6


def test_labels_are_those_of_the_basins() -> None:
    """Small steps follow the flow, so the label of each restart follows from its start."""
    wells = Wells()
    w0 = starts(wells, restarts=300)
    run = train(wells, get_optimizer("gd"), learning_rate=0.01, starts=w0, steps=3000)
    basin = classify(wells, run).basin
    home = wells.basins(w0) == 0
    np.testing.assert_array_equal(basin == "global-minimum", home)
    np.testing.assert_array_equal(basin == "local-minimum", ~home)


def test_a_copy_by_pickle_computes_the_same(wells: Wells) -> None:
    copy = pickle.loads(pickle.dumps(wells))
    w = starts(wells, restarts=3)
    assert (copy.loss_and_gradient(w)[0] == wells.loss_and_gradient(w)[0]).all()
    assert (copy.basins(w) == wells.basins(w)).all()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"dimensions": 0}, "dimensions = 0 is not valid"),
        ({"wells": 0}, "wells = 0 is not valid"),
        ({"wells": 11}, "wells = 11 is not valid; it must be at most 10 here"),
        ({"dimensions": 50, "wells": 13}, "it must be at most 12 here"),
        ({"tilt": 1.6}, "tilt = 1.6 is not valid"),
        ({"condition": 0.5}, "condition = 0.5 is not valid"),
        ({"rotation_seed": -1}, "rotation_seed = -1 is not valid"),
        ({"span": 0}, "span = 0 is not valid"),
    ],
)
def test_bad_parameters_are_named(parameters: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        get_problem("wells", **parameters)
