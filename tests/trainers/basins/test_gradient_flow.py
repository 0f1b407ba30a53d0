from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from scipy import integrate

from trainers.basins.descent import few_budget, find_endpoints
from trainers.basins.endpoints import Point
from trainers.basins.gradient_flow import Flow, coefficients
from trainers.curvature.finite_differences import hessians, largest_curvature
from trainers.problem import FloatArray, IntArray, evaluator
from trainers.problems.landscape_base import Landscape
from trainers.problems.landscapes import DoubleWell, Himmelblau, Quadratic, Rosenbrock, SixHumpCamel
from trainers.randomness import starts
from trainers.thresholds import Thresholds

STAGES = [2, 3, 5, 8, 13, 40]


def reach(stages: int) -> float:
    """Sommeijer, Shampine & Verwer 1998, equation 2.8 with epsilon = 2 / 13."""
    return 2.0 / 3.0 * (stages**2 - 1) * (1.0 - 2.0 / 15.0 * 2.0 / 13.0)


def stability_function(stages: int, z: Any) -> Any:
    """What one step multiplies y by, on y' = lambda y with z = h lambda."""
    mu, nu, mu_t, gamma_t = coefficients(stages)
    one = z * 0.0 + 1.0
    older, newer = one, one + mu_t[1] * z
    for j in range(2, stages + 1):
        older, newer = (
            newer,
            (1.0 - mu[j] - nu[j]) * one
            + mu[j] * newer
            + nu[j] * older
            + mu_t[j] * z * newer
            + gamma_t[j] * z,
        )
    return newer


@pytest.mark.parametrize("stages", STAGES)
def test_a_step_is_stable_as_far_as_the_paper_says(stages: int) -> None:
    z = np.linspace(-reach(stages), 0.0, 20_001)
    size = np.abs(stability_function(stages, z))
    # The recursion of s stages rounds a few times a stage.
    assert size.max() <= 1.0 + 1e-12
    # Damped inside, by about epsilon / 3 = 0.05 (section 2 of the paper), so that stiff parts die
    # out.
    assert size[z < -0.5].max() <= 0.97
    # And hardly further, but for few stages: 0.653 s^2 is the limit for many.
    if stages >= 8:
        beyond = np.linspace(-1.05 * reach(stages), -reach(stages), 2_001)
        assert np.abs(stability_function(stages, beyond)).max() > 1.0


@pytest.mark.parametrize("stages", [2, 3, 5, 8])
def test_a_step_is_of_second_order(stages: int) -> None:
    polynomial = stability_function(stages, Polynomial([0.0, 1.0]))
    # exp(z) = 1 + z + z^2 / 2 + ...: the first three agree to rounding, the fourth does not.
    np.testing.assert_allclose(polynomial.coef[:3], [1.0, 1.0, 0.5], atol=1e-12)
    assert polynomial.degree() == stages


def quartic(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """J = w^4 / 4, whose flow from w0 is w0 / sqrt(1 + 2 w0^2 t)."""
    return 0.25 * (w**4).sum(axis=1), w**3


@pytest.mark.parametrize("first", [1.0, 2.0])
def test_flow_is_of_second_order_where_it_is_not_linear(first: float) -> None:
    errors = []
    for count in (20, 40, 80):
        flow = Flow.begin(quartic, np.array([[first]]))
        for _ in range(count):
            flow.h[:] = 1.0 / count
            flow.advance(quartic, tolerance=1.0)
        errors.append(abs(flow.w[0, 0] - first / np.sqrt(1.0 + 2.0 * first**2)))
    # Halving the step divides the error at time 1 by 2^2, but for the next order.
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.1)
    assert errors[2] < 1e-3


def test_flow_refuses_a_step_that_leaves_the_path() -> None:
    flow = Flow.begin(quartic, np.array([[2.0], [0.001]]))
    flow.h[:] = 100.0
    flow.advance(quartic, tolerance=1e-6)
    assert flow.w[0, 0] == 2.0
    assert flow.h[0] < 100.0
    assert np.isinf(flow.drop[0])


def by_solver(problem: Landscape, points: FloatArray, time: float) -> FloatArray:
    """Where the gradient flow from `points` (R, P) is after `time`, by SciPy's tightest method.

    DOP853 at 1e-10: on so short and mildly stiff a path an explicit method of order 8 is the more
    accurate choice, and all points go as one system.
    """

    def field(_: float, y: FloatArray) -> FloatArray:
        return -problem.loss_and_gradient(y.reshape(points.shape))[1].ravel()

    answer = integrate.solve_ivp(
        field, (0.0, time), points.ravel(), method="DOP853", rtol=1e-10, atol=1e-12
    )
    assert answer.success
    end: FloatArray = answer.y[:, -1].reshape(points.shape)
    return end


@pytest.mark.parametrize(
    ("problem", "time"),
    [
        (DoubleWell(), 10.0),
        (DoubleWell(tilt=-1.2), 20.0),
        (Himmelblau(), 3.0),
        (SixHumpCamel(), 20.0),
    ],
    ids=["double-well", "double-well-left", "himmelblau", "six-hump-camel"],
)
def test_the_bottom_is_the_one_that_the_flow_itself_ends_in(
    problem: Landscape, time: float
) -> None:
    points = starts(problem, restarts=300, seed=7)
    endpoints = find_endpoints(
        evaluator(problem),
        points,
        points,
        problem.loss_and_gradient(points)[0].copy(),
        Thresholds(),
        budget=few_budget(problem.parameters),
    )
    assert (endpoints.point == Point.MINIMUM).all()
    truth = by_solver(problem, points, time)

    def which(w: FloatArray) -> IntArray:
        distance = np.linalg.norm(w[:, None] - problem.minima, axis=2)
        assert (distance.min(axis=1) < 1e-3).all()
        return np.asarray(distance.argmin(axis=1))

    assert len(set(which(truth))) == len(problem.minima)
    np.testing.assert_array_equal(which(endpoints.weights), which(truth))
    # Newton's method leaves 1e-12 of the descent; the minima are listed to rounding.
    nearest = problem.minimum_losses[which(truth)]
    np.testing.assert_allclose(endpoints.loss, nearest, atol=1e-8)


def test_hessians_against_a_closed_form() -> None:
    points = np.array([[1.0, 1.0], [-1.2, 1.0], [0.3, -2.0]])
    x, y = points[:, 0], points[:, 1]
    expected = np.empty((3, 2, 2))  # Rosenbrock, by hand
    expected[:, 0, 0] = 1200.0 * x * x - 400.0 * y + 2.0
    expected[:, 0, 1] = expected[:, 1, 0] = -400.0 * x
    expected[:, 1, 1] = 200.0
    found = hessians(Rosenbrock().loss_and_gradient, points)
    # Truncation h^2 J'''' / 6 = 2e-7 and rounding eps |g| / h = 5e-9, on entries near 500.
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_largest_curvature_of_a_quadratic() -> None:
    problem = Quadratic(curvatures=[1.0, 5.0, 40.0])
    w = np.array([[1.0, 1.0, 1.0], [3.0, -2.0, 0.1]])
    estimate, direction = largest_curvature(problem.loss_and_gradient, w, np.ones((2, 3)), 20)
    # Power iteration converges as (5 / 40)^(2 * 20); what is left is rounding of the difference.
    np.testing.assert_allclose(estimate, 40.0, rtol=1e-7)
    np.testing.assert_allclose(np.abs(direction), [[0, 0, 1], [0, 0, 1]], atol=1e-7)
    scaling = np.array([[1.0, 1.0, 0.1], [1.0, 1.0, 0.1]])  # S H S has 1, 5 and 0.4
    scaled, _ = largest_curvature(problem.loss_and_gradient, w, np.ones((2, 3)), 20, scaling)
    np.testing.assert_allclose(scaled, 5.0, rtol=1e-7)
