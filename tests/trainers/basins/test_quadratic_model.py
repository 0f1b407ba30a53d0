"""Steps of the flow with a Hessian: exact where the loss is quadratic, careful where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from trainers.basins.gradient_flow import Flow
from trainers.basins.quadratic_model import Quadratic as Model
from trainers.basins.quadratic_model import newton
from trainers.problem import Evaluate, FloatArray
from trainers.problems.landscapes import DoubleWell, Quadratic, Saddle

NO_TOLERANCE = 1e12


def model_at(evaluate: Evaluate, w: FloatArray) -> Model:
    return Model.at(evaluate, w, evaluate(w)[1].copy())


def step(evaluate: Evaluate, w: FloatArray, h: float, tolerance: float = NO_TOLERANCE) -> Flow:
    flow = Flow.begin(evaluate, w)
    flow.h[:] = h
    model_at(evaluate, w).step(evaluate, flow, tolerance)
    return flow


@pytest.mark.parametrize("h", [1e-3, 0.1, 10.0, 1e6])
def test_a_step_is_exact_on_a_quadratic(h: float) -> None:
    problem = Quadratic(curvatures=[0.1, 3.0, 200.0])
    w = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, 1e-3]])
    after = step(problem.loss_and_gradient, w, h)
    # The flow of each weight is exp(-curvature t). Differences of a linear gradient only round.
    expected = w * np.exp(-h * problem.curvatures)
    np.testing.assert_allclose(after.w, expected, atol=1e-8)


def quartic(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """J = w^4 / 4, whose flow from w0 is w0 / sqrt(1 + 2 w0^2 t)."""
    return 0.25 * (w**4).sum(axis=1), w**3


def test_a_step_is_of_third_order() -> None:
    errors = []
    for count in (4, 8, 16):
        flow = Flow.begin(quartic, np.array([[1.0]]))
        for _ in range(count):
            flow.h[:] = 1.0 / count
            model_at(quartic, flow.w).step(quartic, flow, NO_TOLERANCE)
        errors.append(abs(flow.w[0, 0] - 1.0 / np.sqrt(3.0)))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    # Order 3, approached from either side as the step shrinks.
    np.testing.assert_allclose(orders, 3.0, atol=0.35)


def test_a_long_step_is_newton_s_and_lands_in_the_well() -> None:
    problem = DoubleWell(tilt=0.0)
    after = step(problem.loss_and_gradient, np.array([[0.98], [-1.01]]), 1e9, 1e-2)
    np.testing.assert_allclose(after.w[:, 0], [1.0, -1.0], atol=2e-4)


def test_a_step_that_would_leave_the_path_is_refused_or_cut() -> None:
    problem = DoubleWell(tilt=0.0)
    w = np.array([[0.1], [0.6]])  # beside the barrier, and where the curvature changes its sign
    after = step(problem.loss_and_gradient, w, 1e9, 1e-3)
    assert (after.w[:, 0] > 0).all()  # the flow never crosses the barrier at 0
    assert (after.loss <= problem.loss_and_gradient(w)[0]).all()


def test_a_saddle_is_left_along_the_direction_that_curves_down() -> None:
    problem = Saddle()
    flow = Flow.begin(problem.loss_and_gradient, np.array([[1e-9, 0.0], [-1e-9, 0.5]]))
    for _ in range(60):
        model_at(problem.loss_and_gradient, flow.w).step(problem.loss_and_gradient, flow, 1e-3)
    np.testing.assert_allclose(flow.w, [[1.0, 0.0], [-1.0, 0.0]], atol=1e-6)


def test_a_space_of_products_knows_the_step_of_the_whole() -> None:
    problem = Quadratic(curvatures=list(np.linspace(0.5, 20.0, 30)))
    w = np.random.default_rng(0).standard_normal((3, 30))
    gradient = problem.loss_and_gradient(w)[1].copy()
    part = Model.krylov(problem.loss_and_gradient, w, gradient)
    np.testing.assert_allclose(part.smallest, 0.5, rtol=1e-6)
    np.testing.assert_allclose(part.largest, 20.0, rtol=1e-6)
    left, _ = part.remaining()
    np.testing.assert_allclose(left, 0.5 * (problem.curvatures * w * w).sum(axis=1), rtol=1e-6)
    flow = Flow.begin(problem.loss_and_gradient, w)
    flow.h[:] = 0.3
    part.step(problem.loss_and_gradient, flow, NO_TOLERANCE)
    np.testing.assert_allclose(flow.w, w * np.exp(-0.3 * problem.curvatures), atol=1e-7)


def lands(evaluate: Evaluate, w: float, floor: float = 1e-14) -> tuple[float, bool]:
    point = np.array([[w]])
    model = model_at(evaluate, point)
    trying = model.smallest > 0
    end, landed = newton(evaluate, model, evaluate(point)[0], trying, np.array([floor]), 1e-2)
    return float(end[0, 0]), bool(landed[0])


@pytest.mark.parametrize(("first", "landed"), [(0.6, False), (0.7, False), (0.99, True)])
def test_newton_takes_no_step_that_may_leave_the_well(first: float, landed: bool) -> None:
    # J'' = 12 w^2 - 4 is hardly positive at 0.6: a full step goes to 5.4, and from there anywhere.
    end, found = lands(DoubleWell(tilt=0.0).loss_and_gradient, first)
    assert found is landed
    assert end == pytest.approx(1.0 if landed else first, abs=1e-6)


def inflection(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """J = w^4 / 4 - w^3 / 3: from the left the flow ends at the inflection 0."""
    return (w**4 / 4.0 - w**3 / 3.0).sum(axis=1), w**3 - w**2


def endless(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """J = exp(-w): no minimum."""
    return np.exp(-w).sum(axis=1), -np.exp(-w)


@pytest.mark.parametrize(("evaluate", "w"), [(quartic, 1e-3), (inflection, -1e-4), (endless, 30.0)])
def test_newton_proves_no_minimum_where_there_is_none_with_curvature(
    evaluate: Evaluate, w: float
) -> None:
    # What is left is below this floor at once: it is the steps that tell.
    assert not lands(evaluate, w, floor=1e-9)[1]
