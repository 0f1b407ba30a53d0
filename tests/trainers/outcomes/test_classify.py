from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from trainers.basins.endpoints import Point
from trainers.optimizers.registry import get_optimizer
from trainers.outcomes.basins import (
    Basin,
    Evidence,
    best_known,
    descent_of,
    is_credible,
    label_basins,
    label_evidence,
)
from trainers.outcomes.classify import Outcome, classify
from trainers.outcomes.dynamics import Dynamics
from trainers.problem import FloatArray, Problem
from trainers.problems.landscape_base import Landscape
from trainers.problems.landscapes import DoubleWell, Rastrigin, Saddle, SingleWeight, SixHumpCamel
from trainers.problems.mlp import MLP, XOR
from trainers.randomness import starts
from trainers.thresholds import Thresholds
from trainers.training.engine import train

GD = get_optimizer("gd")


@pytest.mark.parametrize("tilt", [0.3, -0.9])
def test_trapped_in_the_shallow_well_by_the_side_of_the_barrier(tilt: float) -> None:
    problem = DoubleWell(tilt=tilt)
    w0 = starts(problem, restarts=1000, seed=11)
    run = train(problem, GD, learning_rate=0.01, starts=w0, steps=1500)
    found = classify(problem, run)
    # At lr * curvature = 0.4 at most a step never crosses: each restart stays on its side. The
    # shallow well lies right of the barrier for tilt > 0, left for tilt < 0.
    shallow = (w0[:, 0] - problem.barrier) * tilt > 0
    trapped = found.basin == Basin.LOCAL_MINIMUM
    np.testing.assert_array_equal(trapped, shallow)
    np.testing.assert_array_equal(found.basin == Basin.GLOBAL_MINIMUM, ~shallow)
    measure = (2.0 - math.copysign(problem.barrier, tilt * problem.barrier)) / 4.0
    low, high = stats.binom(1000, measure).interval(0.9999)
    assert low <= trapped.sum() <= high
    assert (found.dynamics == Dynamics.SETTLED).all()
    np.testing.assert_allclose(found.basin_loss[~shallow], problem.minimum_losses[0], atol=1e-9)
    np.testing.assert_allclose(found.basin_loss[shallow], problem.minimum_losses[1], atol=1e-9)
    # J'' = 12 w^2 - 4, with the error of central differences.
    bend = 12.0 * problem.minima[shallow.astype(int), 0] ** 2 - 4.0
    np.testing.assert_allclose(found.smallest_curvature, bend, rtol=1e-6)
    np.testing.assert_allclose(found.largest_curvature, bend, rtol=1e-6)


def test_at_rest_on_a_saddle() -> None:
    problem = Saddle()
    w0 = np.array([[0.0, 0.0], [0.0, 1.5], [0.1, 1.5]])
    run = train(problem, GD, learning_rate=0.2, starts=w0, steps=400)
    found = classify(problem, run)
    assert list(found.basin) == [Basin.SADDLE, Basin.SADDLE, Basin.GLOBAL_MINIMUM]
    assert list(found.dynamics) == [Dynamics.SETTLED] * 3
    np.testing.assert_allclose(found.smallest_curvature, [-1.0, -1.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(found.largest_curvature, [1.0, 1.0, 2.0], atol=1e-6)
    np.testing.assert_allclose(found.basin_loss, [0.25, 0.25, 0.0], atol=1e-9)


def test_at_rest_on_the_barrier() -> None:
    problem = DoubleWell(tilt=0.0)  # the barrier is 0 exactly, where the gradient is 0 exactly
    run = train(problem, GD, learning_rate=0.1, starts=np.zeros((1, 1)), steps=200)
    (found,) = classify(problem, run)
    assert found.basin is Basin.SADDLE
    assert found.dynamics is Dynamics.SETTLED
    assert found.smallest_curvature == pytest.approx(-4.0, abs=1e-6)


@pytest.mark.parametrize(
    ("problem", "sharpest"),
    # J'' = 2 + 40 pi^2 cos(2 pi w) is at most 397; the camel's Hessian in its square stays below
    # 200.
    [(Rastrigin(), 400.0), (SixHumpCamel(), 200.0)],
    ids=["rastrigin", "six-hump-camel"],
)
@pytest.mark.parametrize("share", [0.02, 0.9])
def test_labels_are_those_of_the_listed_minimum_below(
    problem: Landscape, sharpest: float, share: float
) -> None:
    w0 = starts(problem, restarts=200, seed=5)
    run = train(problem, GD, learning_rate=share * 2.0 / sharpest, starts=w0, steps=4000)
    found = classify(problem, run)
    assert not run.diverged.any()
    w = run.weights
    for _ in range(8000):  # gradient flow by small Euler steps, each 1/50 of the longest stable one
        w = w - 0.04 / sharpest * problem.loss_and_gradient(w)[1]
    distance = np.linalg.norm(w[:, None] - problem.minima, axis=2)
    assert distance.min(axis=1).max() < 1e-3
    below = problem.minimum_losses[distance.argmin(axis=1)]
    expected = np.where(
        below <= problem.known_minimum + 1e-9, Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM
    )
    np.testing.assert_array_equal(found.basin, expected)
    np.testing.assert_allclose(found.basin_loss, below, atol=1e-7)
    assert len(set(distance.argmin(axis=1))) >= 6


def test_a_flat_manifold_of_global_minima_is_global() -> None:
    problem = XOR(hidden=[3])  # 13 weights for 4 examples: nine directions are flat at the bottom
    w0 = starts(problem, restarts=24)
    run = train(problem, GD, learning_rate=0.1, starts=w0, steps=4000)
    found = classify(problem, run)
    solved = found.loss < 1e-8
    assert solved.sum() >= 8
    assert (found.basin[solved] == Basin.GLOBAL_MINIMUM).all()
    assert (found.dynamics[solved] == Dynamics.SETTLED).all()


def test_where_nobody_knows_the_minimum_the_best_found_stands_for_it() -> None:
    problem = MLP(data="wine", hidden=[2], weight_decay=0.01, validation=0.0)
    run = train(problem, GD, learning_rate=0.5, starts=starts(problem, restarts=12), steps=1500)
    found = classify(problem, run)
    tolerance = 1e-2 * (np.median(found.start_loss) - found.basin_loss.min())
    near = found.basin_loss <= found.basin_loss.min() + tolerance
    settled = found.point == Point.MINIMUM
    assert settled.any()
    np.testing.assert_array_equal(found.basin == Basin.GLOBAL_MINIMUM, near & settled)
    np.testing.assert_array_equal(found.basin == Basin.LOCAL_MINIMUM, ~near & settled)


def points(*values: Point) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array(values, dtype=object)


def test_basins_from_points_and_losses() -> None:
    kinds = points(
        Point.MINIMUM,
        Point.MINIMUM,
        Point.SADDLE,
        Point.FLAT,
        Point.PLATEAU,
        Point.UNDETERMINED,
        Point.NONE,
    )
    losses = np.array([1.0, 2.0, 3.0, 3.0, 3.0, 3.0, np.nan])
    lower = np.where(kinds == Point.UNDETERMINED, 1.0, losses)
    found = label_basins(kinds, losses, lower, 1.0, 0.1, known=False)
    assert list(found) == [
        Basin.GLOBAL_MINIMUM,
        Basin.LOCAL_MINIMUM,
        Basin.SADDLE,
        Basin.LOCAL_MINIMUM,
        Basin.PLATEAU,
        Basin.UNDETERMINED,
        None,
    ]


@pytest.mark.parametrize("known", [True, False])
def test_near_the_best_a_saddle_stays_one_unless_the_best_is_known(known: bool) -> None:
    kinds = points(Point.MINIMUM, Point.FLAT, Point.SADDLE, Point.UNDETERMINED)
    losses = np.array([1.0, 1.05, 1.05, 1.1])
    found = label_basins(kinds, losses, losses - 0.01, 1.0, 0.1, known=known)
    third = Basin.GLOBAL_MINIMUM if known else Basin.SADDLE
    reached = [Basin.GLOBAL_MINIMUM] * 2
    assert list(found) == [*reached, third, Basin.GLOBAL_MINIMUM]


def test_intervals_reach_are_trapped_or_say_nothing() -> None:
    kinds = points(*[Point.UNDETERMINED] * 4)
    losses, lower = np.array([1.1, 1.2, 1.2, 1.2]), np.array([-np.inf, 1.11, 1.1, 0.9])
    found = label_basins(kinds, losses, lower, 1.0, 0.1, known=False)
    assert list(found) == [
        Basin.GLOBAL_MINIMUM,  # by its level, whatever is below
        Basin.LOCAL_MINIMUM,  # no bottom below is low enough
        Basin.UNDETERMINED,  # the bottom may be just low enough
        Basin.UNDETERMINED,
    ]
    assert list(label_evidence(kinds, found)) == [Evidence.LEVEL, Evidence.EXTRAPOLATED, None, None]
    # A J* that is not credible may fall: then nobody has reached it, and who is trapped still is.
    doubted = label_basins(kinds, losses, lower, 1.0, 0.1, known=False, credible=False)
    assert list(doubted) == [Basin.UNDETERMINED, *found[1:]]
    # Where the minimum is known that does not matter.
    assert list(label_basins(kinds, losses, lower, 1.0, 0.1, known=True, credible=False)) == list(
        found
    )


def test_the_best_found_is_credible_when_bottoms_are_known_well() -> None:
    losses = np.array([1.0, 1.05, 2.0, 3.0, np.nan])
    tight, wide = losses - 0.02, np.full(5, -np.inf)
    assert is_credible(losses, tight, 1.0, 0.1, least=3)
    assert not is_credible(losses, wide, 1.0, 0.1, least=3)  # polishing nothing reaches nothing
    assert not is_credible(losses, np.where(losses < 1.5, -np.inf, tight), 1.0, 0.1, least=2)
    assert not is_credible(losses, np.where(losses > 1.01, -np.inf, tight), 1.0, 0.1, least=2)
    # One that is still on its way down does not keep the others from being judged.
    assert is_credible(losses, np.where(losses < 1.01, -np.inf, tight), 1.0, 0.1, least=3)
    assert is_credible(losses[:1], tight[:1], 1.0, 0.1, least=3)


def test_labels_are_renewed_when_the_best_improves() -> None:
    kinds, losses = points(Point.MINIMUM, Point.MINIMUM), np.array([2.0, 3.0])
    first = label_basins(kinds, losses, losses, best_known(losses, None), 0.1, known=False)
    assert list(first) == [Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM]
    later = label_basins(
        kinds, losses, losses, best_known(np.array([2.0, 3.0, 1.0]), None), 0.1, known=False
    )
    assert list(later) == [Basin.LOCAL_MINIMUM, Basin.LOCAL_MINIMUM]


def test_the_best_known_and_the_descent_to_it() -> None:
    assert best_known(np.array([3.0, np.nan, 2.0]), None) == 2.0
    assert best_known(np.array([3.0]), 1.5) == 1.5
    assert math.isnan(best_known(np.array([np.nan]), None))
    assert descent_of(np.array([11.0, 1.0, 21.0, np.inf]), 1.0) == 10.0
    assert descent_of(np.array([0.5]), 1.0) == 0.0
    assert descent_of(np.array([3.0, 5.0, 9.0]), 7.0) == 2.0  # to the lowest start
    assert descent_of(np.array([1.0]), 1.0 - 1e-15) == 0.0  # rounding
    assert descent_of(np.array([1.0]), math.nan) == 0.0
    assert Thresholds().material_for(known=True) == 1e-3
    assert Thresholds().material_for(known=False) == 1e-2
    assert Thresholds(material=0.5).material_for(known=True) == 0.5


def test_a_restart_that_starts_at_the_global_minimum_is_not_trapped() -> None:
    problem = SixHumpCamel()
    w0 = problem.minima[:2] + 1e-12
    found = classify(problem, train(problem, GD, learning_rate=0.01, starts=w0, steps=200))
    assert list(found.basin) == [Basin.GLOBAL_MINIMUM] * 2
    assert list(found.dynamics) == [Dynamics.SETTLED] * 2


def test_outcomes_that_have_all_diverged() -> None:
    problem = MLP(data="wine", hidden=[2], weight_decay=3.0)
    w0 = starts(problem, restarts=3)
    found = classify(problem, train(problem, GD, learning_rate=50.0, starts=w0, steps=100))
    assert list(found.dynamics) == [Dynamics.DIVERGED] * 3
    assert list(found.basin) == [None] * 3
    assert list(found.point) == [Point.NONE] * 3
    assert np.isnan(found.basin_loss).all()
    assert np.isnan(found.smallest_curvature).all()


def test_starts_with_an_infinite_loss_are_diverged_and_spoil_no_tolerance() -> None:
    problem = SingleWeight(curvature=2.0)
    w0 = np.array([[1e200], [1.0], [2.0]])
    found = classify(problem, train(problem, GD, learning_rate=0.2, starts=w0, steps=200))
    assert list(found.dynamics) == [Dynamics.DIVERGED, Dynamics.SETTLED, Dynamics.SETTLED]
    assert list(found.basin) == [None, Basin.GLOBAL_MINIMUM, Basin.GLOBAL_MINIMUM]
    assert found.diverged_at[0] == 0


def test_an_outcome_of_one_restart() -> None:
    problem = SingleWeight(curvature=2.0)
    run = train(problem, GD, learning_rate=0.25, starts=np.array([[1.0], [2.0]]), steps=200)
    found = classify(problem, run)
    assert len(found) == 2
    one = found[1]
    assert isinstance(one, Outcome)
    assert one == list(found)[1]
    assert (one.dynamics, one.basin, one.point) == ("settled", "global-minimum", "minimum")
    assert one.start_loss == 4.0
    assert one.loss == run.losses[-1, 1]
    assert one.diverged_at == -1
    assert one.basin_loss == pytest.approx(0.0, abs=1e-15)
    assert one.smallest_curvature == pytest.approx(2.0, rel=1e-6)
    assert "negligible" in one.reason
    assert "strict minimum" in one.reason


class Single(DoubleWell):
    """In single precision."""

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[Any, Any]:
        loss, gradient = super().loss_and_gradient(w)
        return loss.astype(np.float32), gradient.astype(np.float32)


class SingleThatSaysHow(Single):
    def in_float64(self) -> Problem:
        return DoubleWell(tilt=self.tilt)


def test_single_precision_is_judged_in_double_or_not_at_all() -> None:
    w0 = starts(DoubleWell(tilt=0.3), restarts=16)
    told, judged, double = (
        classify(p, train(p, get_optimizer("gd"), learning_rate=0.05, starts=w0, steps=200))
        for p in (Single(tilt=0.3), SingleThatSaysHow(tilt=0.3), DoubleWell(tilt=0.3))
    )
    np.testing.assert_array_equal(judged.basin, double.basin)
    np.testing.assert_array_equal(judged.evidence, double.evidence)
    # By the level alone one may still see who has reached the known minimum.
    assert set(told.basin) == {Basin.GLOBAL_MINIMUM, Basin.UNDETERMINED}
    assert all("single precision" in reason for reason in told.reason)
    open_ = next(one for one in told if one.basin == Basin.UNDETERMINED)
    assert "in_float64" in open_.explain()


def test_a_loss_without_a_bottom_reaches_none() -> None:
    class Line(Problem):
        parameters = 2

        def initial(self, rng: np.random.Generator) -> FloatArray:
            return rng.uniform(-1, 1, 2)

        def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
            return w.sum(axis=1), np.ones_like(w)

    problem = Line()
    run = train(
        problem,
        get_optimizer("gd"),
        learning_rate=0.5,
        starts=starts(problem, restarts=16),
        steps=100,
    )
    assert Basin.GLOBAL_MINIMUM not in set(classify(problem, run).basin)
