"""When a restart counts as diverged, at which step, and what that costs the others: nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trainers.optimizers.registry import get_optimizer
from trainers.problem import FloatArray, Problem
from trainers.problems.landscapes import SingleWeight
from trainers.randomness import starts
from trainers.training.engine import train

GD = get_optimizer("gd")


class Slide(Problem):
    """One weight that goes down by 1 a step at rate 1; at `step` something stops being finite."""

    parameters = 1

    def __init__(self, what: str = "nothing", value: float = math.nan, step: int = 5) -> None:
        self.what, self.value, self.step = what, value, step

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return np.zeros(1)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        loss, gradient = w[:, 0] + 1000.0, np.ones_like(w)
        late = w[:, 0] <= -self.step
        if self.what == "loss":
            loss[late] = self.value
        elif self.what == "gradient":
            gradient[late] = self.value
        return loss, gradient


class Counted(Problem):
    """Another problem, and the sizes of all that it was asked for."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.parameters = problem, problem.parameters
        self.rows: list[int] = []

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return self.problem.initial(rng)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        self.rows.append(len(w))
        return self.problem.loss_and_gradient(w)


def test_divergence_is_at_the_step_of_the_closed_form() -> None:
    problem = SingleWeight(curvature=2.0)
    w0 = starts(problem, restarts=40, seed=2)
    rates = np.linspace(1.05, 4.0, 40)
    run = train(problem, GD, learning_rate=rates, starts=w0, steps=300)
    # J_t = (1 - lr c)^(2 t) J_0, and it has diverged when J_t >= 1e8 max(J_0, 1).
    first = w0[:, 0] ** 2
    needed = np.log(1e8 * np.maximum(first, 1.0) / first) / (
        2.0 * np.log(np.abs(1.0 - 2.0 * rates))
    )
    np.testing.assert_array_equal(run.diverged_at, np.ceil(needed))
    for i, t in enumerate(run.diverged_at):
        assert np.isfinite(run.losses[:t, i]).all()
        assert np.isnan(run.losses[t:, i]).all()
        assert run.final_losses[i] == run.losses[t - 1, i]
    assert np.isfinite(run.weights).all()


def test_restarts_that_diverged_leave_the_batch() -> None:
    problem = Counted(SingleWeight(curvature=2.0))
    w0 = np.ones((4, 1))
    rates = np.array([0.5, 1.5, 3.0, 0.1])
    run = train(problem, GD, learning_rate=rates, starts=w0, steps=40)
    ended = np.where(run.diverged, run.diverged_at, 40)
    assert list(run.diverged) == [False, True, True, False]
    # Two are looked at before the start; a diverging restart is last evaluated when it diverges.
    assert problem.rows == [2, *(int((ended >= t).sum()) for t in range(41))]


def test_nothing_is_evaluated_when_all_have_diverged() -> None:
    problem = Counted(SingleWeight(curvature=2.0))
    run = train(problem, GD, learning_rate=50.0, starts=np.ones((3, 1)), steps=1000)
    assert run.diverged.all()
    assert len(problem.rows) == 1 + run.diverged_at[0] + 1
    assert (run.cosine == 0.0).all()
    assert (run.displacement == 1.0).all()


class Product(Problem):
    """J = (u v)^2 / 2, the network of two weights on which Lewkowycz et al. 2020 find the
    catapult."""

    parameters = 2
    known_minimum = 0.0

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.standard_normal(2)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        f = w[:, 0] * w[:, 1]
        return 0.5 * f * f, f[:, None] * w[:, ::-1]


def test_a_catapult_is_not_divergence() -> None:
    w0 = np.array([[30.0, 0.03]])
    sharpness = float((w0**2).sum())  # u^2 + v^2
    run = train(Product(), GD, learning_rate=3.0 / sharpness, starts=w0, steps=300)
    losses = run.losses[:, 0]
    assert losses.max() > 1e4 * losses[0]
    assert not run.diverged[0]
    assert losses[-1] < 1e-10 * losses[0]
    assert (run.weights**2).sum() < 2.0 / 3.0 * sharpness  # it came down where lr < 2 / lambda
    beyond = train(Product(), GD, learning_rate=4.5 / sharpness, starts=w0, steps=300)
    assert beyond.diverged[0]  # the paper's upper limit is 4 / lambda


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_the_step_at_which_something_stops_being_finite(
    what: str, value: float, beside: bool
) -> None:
    # Whatever becomes of another restart, here one that fails at the same step or at another.
    others = [[0.0], [0.0 - 2.0], [100.0]] if beside else []
    w0 = np.array([[0.0], *others])
    run = train(Slide(what, value), GD, learning_rate=1.0, starts=w0, steps=20)
    assert run.diverged_at[0] == 5
    if beside:
        assert list(run.diverged_at[1:]) == [5, 3, -1]
    np.testing.assert_array_equal(run.losses[:5, 0], 1000.0 - np.arange(5))
    assert np.isnan(run.losses[5:, 0]).all()
    assert run.weights[0, 0] == -5.0  # finite when the loss was not


def test_a_loss_however_large_is_no_divergence_while_the_parameters_shrink() -> None:
    class Ridge(Slide):
        def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
            loss, gradient = super().loss_and_gradient(w)
            return np.where(np.abs(w[:, 0] - self.at) < 0.5, 1e30, loss), gradient

        at = 4.0

    run = train(Ridge(), GD, learning_rate=1.0, starts=np.array([[9.0]]), steps=12)
    assert run.losses.max() == 1e30
    assert not run.diverged[0]
    Ridge.at = -2.0  # the same on the way out
    run = train(Ridge(), GD, learning_rate=1.0, starts=np.array([[9.0]]), steps=12)
    assert run.diverged_at[0] == 11


def test_parameters_that_overflow() -> None:
    run = train(Slide(), GD, learning_rate=1.5e307, starts=np.zeros((1, 1)), steps=20)
    # 11 steps of 1.5e307 are 1.65e308, the 12th is beyond the largest number, 1.798e308.
    assert run.diverged_at[0] == 12
    assert run.weights[0, 0] == pytest.approx(-1.65e308)
    np.testing.assert_array_equal(np.isnan(run.losses[:, 0]), np.arange(21) >= 12)


def test_a_start_whose_loss_is_not_finite_diverges_at_once() -> None:
    problem = Slide("loss", math.inf)
    run = train(problem, GD, learning_rate=1.0, starts=np.array([[-9.0], [50.0]]), steps=3)
    assert list(run.diverged_at) == [0, -1]
    assert np.isnan(run.losses[:, 0]).all()
    assert run.weights[0, 0] == -9.0
