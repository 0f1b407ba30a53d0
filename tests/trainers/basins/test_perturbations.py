"""What is close to a point at rest, and what is far away."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.basins.nonsmooth import settle
from trainers.basins.perturbations import falls_for_ever, lower_nearby, rises_nearby
from trainers.basins.quadratic_model import Quadratic
from trainers.problem import Evaluate, FloatArray
from trainers.problems.landscapes import DoubleWell, Himmelblau
from trainers.thresholds import Thresholds


def monkey(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """x^3 - 3 x y^2: a saddle of three valleys, without curvature at 0."""
    x, y = w[:, 0], w[:, 1]
    return x**3 - 3.0 * x * y**2, np.stack([3.0 * (x**2 - y**2), -6.0 * x * y], axis=1)


def valley(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(x y - 1)^2: a curved valley of minima."""
    x, y = w[:, 0], w[:, 1]
    off = x * y - 1.0
    return off**2, 2.0 * off[:, None] * np.stack([y, x], axis=1)


def lowest(evaluate: Evaluate, w: FloatArray) -> FloatArray:
    loss, gradient = (array.copy() for array in evaluate(w))
    model = Quadratic.at(evaluate, w, gradient)
    flat = np.abs(model.values) <= 1e-5 * np.maximum(model.largest, 1.0)[:, None]
    point, height = lower_nearby(evaluate, model, loss, flat, 1e-2)
    np.testing.assert_allclose(evaluate(point)[0], height, rtol=1e-12)
    return height - loss


def test_pushes_find_the_valleys_of_a_degenerate_saddle() -> None:
    # 20 directions of length 1e-2: the steepest of three valleys falls by 1e-6, half as much is
    # found by a direction within 20 degrees of it.
    assert -1e-6 <= lowest(monkey, np.zeros((1, 2)))[0] < -5e-7


@pytest.mark.parametrize("x", [1.0, 0.3, -4.0])
def test_pushes_along_a_curved_bottom_are_brought_back_to_it(x: float) -> None:
    found = lowest(valley, np.array([[x, 1.0 / x]]))[0]
    assert found == pytest.approx(0.0, abs=1e-20)


def test_what_rises_nearby() -> None:
    flat = np.zeros((1, 3)), np.ones(1)

    def plain(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.ones(len(w)), np.zeros_like(w)

    assert not rises_nearby(plain, *flat, np.full(1, 1e-9))[0]
    bowl = np.zeros((1, 1)), np.zeros(1)
    assert rises_nearby(lambda w: ((w**8).sum(axis=1), 8 * w**7), *bowl, np.full(1, 1e-9))[0]


def endless(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.exp(-w).sum(axis=1), -np.exp(-w)


def rays(evaluate: Evaluate, w: FloatArray) -> FloatArray:
    loss, gradient = (array.copy() for array in evaluate(w))
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # as in `find_endpoints`: a ray the wrong way overflows
        return falls_for_ever(evaluate, w, loss, np.stack([w, -gradient], axis=1))


def test_a_ray_that_falls_for_ever_gives_the_infimum() -> None:
    np.testing.assert_allclose(rays(endless, np.array([[2.0], [-1.0]])), 0.0, atol=1e-300)


def test_a_ray_meets_the_far_wall_of_every_basin() -> None:
    for problem in (DoubleWell(), Himmelblau()):
        w = np.random.default_rng(0).uniform(-2.0, 2.0, (50, problem.parameters))
        assert np.isnan(rays(problem.loss_and_gradient, w)).all()


def test_a_ray_from_a_point_without_slope_tells_nothing() -> None:
    assert np.isnan(rays(lambda w: (np.ones(len(w)), np.zeros_like(w)), np.ones((2, 3)))).all()


def kinks(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """|x| + 2 |y - x| + z^2 / 2: its minimum is 0 at 0, where the gradient jumps."""
    x, y, z = w.T
    first, second = np.sign(x), np.sign(y - x)
    gradient = np.stack([first - 2.0 * second, 2.0 * second, z], axis=1)
    return np.abs(x) + 2.0 * np.abs(y - x) + 0.5 * z * z, gradient


def test_a_bottom_where_the_gradient_jumps() -> None:
    w = np.array([[1e-6, -2e-6, 0.01], [0.02, 0.02, -0.1]])
    enough = np.full(2, 1e-5)
    end, loss, _, rest, kinked = settle(kinks, w, kinks(w)[0], enough, Thresholds())
    assert rest.all()
    assert kinked.all()
    assert (loss < 1e-4).all()
    np.testing.assert_allclose(end, 0.0, atol=0.02)


def test_what_is_smooth_is_no_kink() -> None:
    problem = Himmelblau()
    w = np.random.default_rng(1).uniform(-3.0, 3.0, (20, 2))
    loss = problem.loss_and_gradient(w)[0].copy()
    found = settle(problem.loss_and_gradient, w, loss, np.full(20, 1e-5), Thresholds())
    assert not found.kinked.any()
    assert not found.rest.any()
