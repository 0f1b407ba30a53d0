from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainers.judging.intervals import TIGHT, Intervals, find_intervals, leaders
from trainers.problem import Evaluate, FloatArray
from trainers.problems.landscapes import DoubleWell
from trainers.problems.teachers import DeepLinear
from trainers.randomness import starts

TOLERANCES = np.array([1e-3])


class Counted:
    """A loss that counts the rows it is asked for."""

    def __init__(self, evaluate: Evaluate) -> None:
        self.evaluate, self.rows = evaluate, 0

    def __call__(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        self.rows += len(w)
        return self.evaluate(w)


def intervals(
    evaluate: Evaluate, w: FloatArray, *, budget: float = 2000.0, **changes: Any
) -> Intervals:
    loss = evaluate(w)[0]
    options: dict[str, Any] = {
        "middle": float(np.median(loss)),
        "tolerances": TOLERANCES,
        "leading": budget,
        "flow_tolerance": 1e-3,
        "known_minimum": None,
    }
    with np.errstate(all="ignore"):
        return find_intervals(evaluate, w, w, loss, budget=budget, **(options | changes))


def hilly(w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A well with minima at 0 and 0.4 along x, in a stiff bowl of 40 dimensions."""
    stiff = np.geomspace(1e-2, 1e2, 40)
    x, rest = w[:, 0], w[:, 1:]
    loss = (x**2 - 1) ** 2 + 0.2 * (x + 1) + 0.5 * (stiff * rest**2).sum(axis=1)
    slope = np.concatenate([(4 * x * (x**2 - 1) + 0.2)[:, None], stiff * rest], axis=1)
    return loss, slope


def spread(restarts: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (restarts, 41))


# The minima of (x^2 - 1)^2 + 0.2 (x + 1), by its derivative's roots.
ROOTS = np.roots([4.0, 0.0, -4.0, 0.2]).real
LEVELS = np.sort([(x**2 - 1) ** 2 + 0.2 * (x + 1) for x in ROOTS])[:2]


def test_the_interval_holds_the_bottom_of_the_well_it_is_in() -> None:
    w = spread(40)
    found = intervals(hilly, w, known_minimum=None)
    # The wells are parted where the slope along x is 0: the middle root.
    divide = np.sort(ROOTS)[1]
    bottom = np.where(w[:, 0] < divide, LEVELS[0], LEVELS[1])
    assert (found.lower <= bottom + 1e-9).all()
    assert (bottom <= found.loss + 1e-12).all()
    descent = np.median(hilly(w)[0]) - LEVELS[0]
    reached = found.loss <= found.loss.min() + 1e-3 * descent
    trapped = found.lower > found.loss.min() + 1e-3 * descent
    np.testing.assert_array_equal(reached, bottom == LEVELS[0])
    np.testing.assert_array_equal(trapped, bottom == LEVELS[1])


def test_who_is_decided_stops_early_and_the_lowest_go_on_until_they_are_known_well() -> None:
    found = intervals(hilly, spread(40))
    assert found.used.max() < 2000
    descent = np.median(hilly(spread(40))[0]) - LEVELS[0]
    lowest = np.argsort(found.loss)[: leaders(40)]
    assert (found.loss - found.lower)[lowest].max() <= TIGHT * 1e-3 * descent
    assert found.tight[lowest].all()
    assert not found.tight.all()


def test_no_more_than_the_budget_is_spent() -> None:
    # A step of the flow is begun before its stretch ends: 42 gradients more at most, of a sixth.
    for budget in (120.0, 250.0, 700.0):
        counted = Counted(hilly)
        found = intervals(counted, spread(12), budget=budget, tolerances=np.array([1e-12]))
        assert found.used.max() <= budget + 2
        assert counted.rows <= 12 * (budget + 12)  # the first look at the curvature beside it


def test_where_nothing_is_left_of_the_budget_nothing_is_known() -> None:
    found = intervals(hilly, spread(12), budget=60.0)
    assert np.isneginf(found.lower).all()
    assert not found.tight.any()


def test_where_the_budget_is_short_the_lowest_go_on_and_no_other() -> None:
    w, finest = spread(40), np.array([1e-4])
    short = intervals(hilly, w, budget=60.0, tolerances=finest)
    found = intervals(hilly, w, budget=60.0, leading=2000.0, tolerances=finest)
    longer = found.used > 62.0
    assert leaders(40) <= longer.sum() <= 2 * leaders(40)
    assert found.tight[np.argsort(found.loss)[: leaders(40)]].all()
    np.testing.assert_array_equal(found.used[~longer], short.used[~longer])
    near = intervals(hilly, w, budget=60.0, leading=2000.0, known_minimum=float(LEVELS[0]))
    assert near.used.max() <= 62.0  # nobody waits for those


def test_a_loss_that_falls_for_ever_has_no_bottom() -> None:
    def line(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return w.sum(axis=1), np.ones_like(w)

    w = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    with np.errstate(all="ignore"):
        # Where a flow with ever longer steps has come to.
        far = find_intervals(
            line,
            w * 1e150,
            w,
            line(w)[0],
            middle=0.0,
            tolerances=TOLERANCES,
            budget=400.0,
            leading=400.0,
            flow_tolerance=1e-3,
            known_minimum=None,
        )
    below = far.loss < -1e120
    assert below.any()
    assert np.isneginf(far.lower[below]).all()
    assert not far.tight[below].any()


def test_near_a_known_minimum_little_is_done() -> None:
    # Who has reached it is decided by the level alone: nobody must make J* known.
    known, unknown = (
        intervals(hilly, spread(40), known_minimum=k) for k in (float(LEVELS[0]), None)
    )
    assert known.used.sum() < unknown.used.sum()


def test_a_restart_goes_on_when_a_better_one_is_found() -> None:
    """The first stops near its own bottom; a second then finds a bottom just below the first's
    tolerance, and the first must say which side it is on."""
    problem = DeepLinear(inputs=4, outputs=3, hidden=[4])
    w = starts(problem, restarts=24)
    found = intervals(problem.loss_and_gradient, w, known_minimum=None)
    descent = float(np.median(problem.loss_and_gradient(w)[0])) - found.loss.min()
    # All minima of a deep linear network are global (Kawaguchi 2016), so all reach the lowest.
    assert (found.loss <= found.loss.min() + 1e-3 * descent).all()


def test_one_restart_and_one_weight() -> None:
    problem = DoubleWell(tilt=0.3)
    found = intervals(problem.loss_and_gradient, np.array([[1.5]]))
    assert found.loss[0] == pytest.approx(problem.minimum_losses[1], abs=1e-6)
    assert found.tight[0]


@pytest.mark.parametrize(("restarts", "count"), [(1, 3), (8, 3), (39, 3), (40, 4), (640, 64)])
def test_leaders(restarts: int, count: int) -> None:
    assert leaders(restarts) == count
