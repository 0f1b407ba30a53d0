"""What became of a restart does not depend on what else is in the array, nor on the loss's unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.optimizers.registry import OPTIMIZERS, get_optimizer
from trainers.outcomes.classify import Outcomes, classify
from trainers.outcomes.dynamics import Dynamics
from trainers.problem import FloatArray, Problem
from trainers.problems.landscape_base import Landscape
from trainers.problems.landscapes import (
    DoubleWell,
    Himmelblau,
    Rastrigin,
    Saddle,
    SingleWeight,
    SixHumpCamel,
)
from trainers.randomness import starts
from trainers.training.engine import train

pytestmark = pytest.mark.science
LANDSCAPES: list[Landscape] = [
    DoubleWell(),
    Himmelblau(),
    Rastrigin(),
    Saddle(),
    SingleWeight(),
    SixHumpCamel(),
]
landscapes = st.sampled_from(LANDSCAPES)
optimizers = st.sampled_from(sorted(OPTIMIZERS))
rates = st.floats(-4.0, 0.5).map(lambda exponent: 10.0**exponent)
seeds = st.integers(0, 2**32)


def outcomes(problem: Problem, name: str, rate: float, w0: FloatArray) -> Outcomes:
    run = train(problem, get_optimizer(name), learning_rate=rate, starts=w0, steps=300)
    return classify(problem, run)


@settings(max_examples=40, deadline=None)
@given(landscapes, optimizers, rates, seeds)
def test_the_order_of_restarts_changes_nothing(
    problem: Landscape, name: str, rate: float, seed: int
) -> None:
    w0 = starts(problem, restarts=12, seed=seed)
    order = np.random.default_rng(seed).permutation(12)
    straight, shuffled = (outcomes(problem, name, rate, w) for w in (w0, w0[order]))
    for field in ("dynamics", "basin", "point", "diverged_at", "loss"):
        np.testing.assert_array_equal(getattr(straight, field)[order], getattr(shuffled, field))


@settings(max_examples=40, deadline=None)
@given(landscapes, optimizers, rates, seeds, st.integers(1, 11))
def test_how_restarts_are_cut_into_tasks_changes_no_label(
    problem: Landscape, name: str, rate: float, seed: int, cut: int
) -> None:
    # `basin`, `hover`, `unstable` and who has settled follow from what is compared here and the
    # starts of the whole job, which the coordinator has; a task alone has another median of J0.
    w0 = starts(problem, restarts=12, seed=seed)
    whole = outcomes(problem, name, rate, w0)
    parts = [outcomes(problem, name, rate, w) for w in (w0[:cut], w0[cut:])]

    def joined(field: str) -> Any:
        return np.concatenate([getattr(part, field) for part in parts])

    for field in ("motion", "diverged_at", "loss", "tail_loss", "spikes"):
        np.testing.assert_array_equal(getattr(whole, field), joined(field))
    # The flow takes its number of stages from the rows beside it, so from a point far away, or on a
    # divide, it may end in another well; of a restart that settled there is only one below.
    settled = whole.hover <= 1e-6
    np.testing.assert_array_equal(whole.point[settled], joined("point")[settled])
    scale = 1e-6 * np.maximum(whole.start_loss, 1.0)
    off = np.abs(whole.basin_loss - joined("basin_loss"))
    assert (off <= scale)[settled].all()


class Scaled(Problem):
    """A landscape whose loss is measured in another unit."""

    def __init__(self, landscape: Landscape, factor: float) -> None:
        self.landscape, self.factor = landscape, factor
        self.parameters = landscape.parameters
        self.known_minimum = factor * landscape.known_minimum

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return self.landscape.initial(rng)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        loss, gradient = self.landscape.loss_and_gradient(w)
        return self.factor * loss, self.factor * gradient


@settings(max_examples=60, deadline=None)
@given(landscapes, rates, seeds, st.integers(-10, 10))
def test_the_unit_of_the_loss_changes_no_label(
    problem: Landscape, rate: float, seed: int, power: int
) -> None:
    # Powers of two, from 1e-3 to 1e3, so that gradient descent at lr / factor makes the same steps
    # bit for bit: labels may differ by a threshold that has a unit, and by nothing else.
    factor = 2.0**power
    w0 = starts(problem, restarts=12, seed=seed)
    plain = outcomes(problem, "gd", rate, w0)
    scaled = outcomes(Scaled(problem, factor), "gd", rate / factor, w0)
    # The one unit is in the rule of divergence, loss > 1e8 max(J0, 1): where a loss grows slowly it
    # may be found later, or not before the steps end. So it is compared where both are settled on
    # it.
    same = (plain.dynamics == Dynamics.DIVERGED) == (scaled.dynamics == Dynamics.DIVERGED)
    if not isinstance(problem, SingleWeight):
        assert same.all()
    for field in ("dynamics", "basin", "point"):
        np.testing.assert_array_equal(getattr(plain, field)[same], getattr(scaled, field)[same])


@pytest.mark.parametrize(("factor", "diverged"), [(1.0, True), (1e-6, False)])
def test_the_rule_of_divergence_has_a_unit(factor: float, diverged: bool) -> None:
    # J0 = 1 grows by 1.02^2 a step: to 1e8 in 466 steps. With J0 = 1e-6 the limit is 1e14 J0, and
    # 814 steps are needed: 600 are enough for one and not for the other.
    problem = Scaled(SingleWeight(curvature=2.0), factor)
    found = train(
        problem,
        get_optimizer("gd"),
        learning_rate=1.01 / factor,
        starts=np.ones((1, 1)),
        steps=600,
    )
    assert bool(found.diverged[0]) is diverged
    assert list(classify(problem, found).dynamics) == ["diverged" if diverged else "oscillating"]
