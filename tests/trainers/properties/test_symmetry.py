"""What a label may not depend on: the names of hidden units, the batch, the unit of the loss."""

from __future__ import annotations

import warnings
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.brute_force_flow import Formula
from tests.support.known_basins import MADE, network
from trainers import Dynamics, Outcomes, Point, classify, get_optimizer, train
from trainers.problem import FloatArray, Problem
from trainers.problems.network import Network
from trainers.problems.teachers import TeacherStudent
from trainers.randomness import starts

pytestmark = pytest.mark.science
NAMES = ["four wells", "turned", "mixture", "bent", "hill"]


def outcomes(
    problem: Problem, w0: FloatArray, *, rate: float = 0.02, steps: int = 600, name: str = "gd"
) -> Outcomes:
    run = train(problem, get_optimizer(name), learning_rate=rate, starts=w0, steps=steps)
    return classify(problem, run)


def same(a: Outcomes, b: Outcomes, loss: float) -> None:
    """The same labels, and bottoms within `loss` of the descent. Who is not proven is followed
    until its interval is a quarter of a thousandth, and no further."""
    for field in ("dynamics", "basin", "point", "diverged_at"):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)
    scale = np.maximum(a.start_loss - a.basin_loss, 1.0)
    bound = np.where(a.point == Point.UNDETERMINED, 2.5e-4, loss)
    assert (np.abs(a.basin_loss - b.basin_loss) / scale <= bound).all()


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(3)), st.integers(0, 2**32))
def test_hidden_units_have_no_names(order: list[int], seed: int) -> None:
    # 13 weights: 3 rows of 3 in the first layer, 3 outputs and a bias. Sums over the units are
    # taken in another order, so the last bits differ along the way.
    problem = network(3, 0.02)
    w0 = starts(problem, restarts=8, seed=seed)
    rows = np.arange(9).reshape(3, 3)[order].ravel()
    moved = w0[:, [*rows, *(9 + np.array(order)), 12]]
    np.testing.assert_allclose(
        problem.loss_and_gradient(moved)[0], problem.loss_and_gradient(w0)[0], rtol=1e-13
    )
    plain, permuted = (
        outcomes(problem, w, rate=0.05, steps=3000, name="momentum") for w in (w0, moved)
    )
    same(plain, permuted, 1e-9)


def test_hidden_units_of_a_teacher_student_network_have_no_names() -> None:
    problem = TeacherStudent(hidden=3, teacher_hidden=3, inputs=2, examples=40)  # 9 weights
    w0 = starts(problem, restarts=40, seed=1)
    moved = w0[:, [4, 5, 0, 1, 2, 3, 8, 6, 7]]
    plain, permuted = (
        outcomes(problem, w, rate=0.05, steps=2000, name="momentum") for w in (w0, moved)
    )
    same(plain, permuted, 1e-9)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 2**32), st.integers(1, 11))
def test_order_and_cuts_change_no_label(name: str, seed: int, cut: int) -> None:
    problem, rng = MADE[name], np.random.default_rng(seed)
    w0 = starts(problem, restarts=12, seed=seed)
    order = rng.permutation(12)
    whole, shuffled = outcomes(problem, w0), outcomes(problem, w0[order])
    parts = [outcomes(problem, w0[:cut]), outcomes(problem, w0[cut:])]
    # These also depend on the best among those in the call, and on the median of J0.
    for field in ("basin", "dynamics", "unstable", "hover"):
        np.testing.assert_array_equal(getattr(whole, field)[order], getattr(shuffled, field))
    for field in ("motion", "point", "basin_loss", "tail_gap"):
        values = getattr(whole, field)
        np.testing.assert_array_equal(values[order], getattr(shuffled, field))
        joined = np.concatenate([getattr(part, field) for part in parts])
        np.testing.assert_array_equal(values, joined)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 2**32), st.integers(-20, 20))
def test_the_unit_of_the_loss_changes_no_label(name: str, seed: int, power: int) -> None:
    problem, factor = MADE[name], 2.0**power

    def scaled(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        loss, gradient = problem.loss_and_gradient(w)
        return factor * loss, factor * gradient

    other = Formula(scaled, problem.parameters, problem.low, problem.high)
    w0 = starts(problem, restarts=12, seed=seed)
    plain, changed = outcomes(problem, w0), outcomes(other, w0, rate=0.02 / factor)
    for field in ("dynamics", "basin", "point", "reason"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(changed, field))
    np.testing.assert_allclose(changed.basin_loss / factor, plain.basin_loss, rtol=0, atol=1e-9)


def problems() -> list[tuple[str, Problem, float]]:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 1))
    relu = Network(x, y, hidden=[4], activation="relu", loss="squared-error", weight_decay=0.01)
    return [
        ("made", MADE["mixture"], 0.02),
        ("unstable", MADE["four wells"], 0.2),
        ("relu", relu, 0.05),
        ("tanh", TeacherStudent(hidden=4, teacher_hidden=2, inputs=3, examples=40), 0.1),
    ]


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
@pytest.mark.parametrize(("name", "problem", "rate"), problems(), ids=lambda value: str(value)[:9])
def test_the_same_call_twice_gives_the_same_bits_and_no_warning(
    name: str, problem: Problem, rate: float, optimizer: str
) -> None:
    run = train(
        problem,
        get_optimizer(optimizer),
        learning_rate=rate,
        starts=starts(problem, restarts=20, seed=3),
        steps=300,
    )
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        first, second = classify(problem, run), classify(problem, run)
    for field in fields(Outcomes):
        np.testing.assert_array_equal(
            getattr(first, field.name), getattr(second, field.name), err_msg=f"{name} {field.name}"
        )
    if name == "unstable" and optimizer == "gd":
        assert (first.dynamics != Dynamics.SETTLED).any()
