from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trainers.errors import InvalidInput
from trainers.optimizers.registry import OPTIMIZERS, get_optimizer
from trainers.problem import Problem
from trainers.problems.landscapes import DoubleWell, Himmelblau, Rastrigin, SingleWeight
from trainers.problems.mlp import MLP, XOR
from trainers.randomness import starts
from trainers.training.engine import train
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trajectories import recorded_steps

GD = get_optimizer("gd")


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "problem", [DoubleWell(), Himmelblau(), XOR()], ids=lambda p: type(p).__name__
)
def test_losses_and_path_are_those_of_a_naive_loop(name: str, problem: Problem) -> None:
    optimizer, w0 = get_optimizer(name), starts(problem, restarts=3)
    rates = np.array([0.001, 0.003, 0.01])
    run = train(problem, optimizer, learning_rate=rates, starts=w0, steps=50, record_path=True)
    assert run.path is not None
    for i in range(3):
        w = w0[i : i + 1].copy()
        state = optimizer.init(w)
        for t in range(51):
            # XOR's BLAS may add in another order for another number of restarts: a few eps a step,
            # which 50 steps at stable rates hardly magnify. The landscapes are exact.
            tolerance = 1e-11 if isinstance(problem, XOR) else 0.0
            np.testing.assert_allclose(run.path[t, i], w[0], rtol=0, atol=tolerance)
            loss, gradient = problem.loss_and_gradient(w)
            np.testing.assert_allclose(run.losses[t, i], loss[0], rtol=tolerance)
            if t < 50:
                optimizer.step(w, gradient.copy(), rates[i : i + 1, None], state)
        expected = optimizer.preconditioner(state)
        if expected is None:
            assert run.preconditioner is None
        else:
            assert run.preconditioner is not None
            np.testing.assert_allclose(run.preconditioner[i], expected[0], rtol=tolerance)
    np.testing.assert_array_equal(run.weights, run.path[-1])
    np.testing.assert_array_equal(run.starts, run.path[0])
    np.testing.assert_array_equal(run.final_losses, run.losses[-1])
    np.testing.assert_array_equal(run.recorded, np.arange(51))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_landscape_s_restart_is_the_same_alone_and_beside_divergent_ones(name: str) -> None:
    problem, optimizer = DoubleWell(), get_optimizer(name)
    w0 = starts(problem, restarts=8, seed=1)
    rates = np.geomspace(0.01, 3.0, 8)  # gd, momentum and nesterov blow up at the last ones
    run = train(problem, optimizer, learning_rate=rates, starts=w0, steps=200)
    if name in ("gd", "momentum", "nesterov"):
        assert 0 < run.diverged.sum() < 8
    for i in range(8):
        alone = train(problem, optimizer, learning_rate=rates[i], starts=w0[i], steps=200)
        for field in ("weights", "diverged_at", "cosine", "displacement", "final_losses"):
            np.testing.assert_array_equal(getattr(run, field)[i], getattr(alone, field)[0])
        np.testing.assert_array_equal(run.losses[:, i], alone.losses[:, 0])


def test_a_network_s_restart_is_the_same_alone_up_to_rounding() -> None:
    problem = MLP(data="wine", hidden=[6])
    w0 = starts(problem, restarts=40)
    run = train(problem, GD, learning_rate=0.1, starts=w0, steps=60, batch_size=16, seed=4)
    for i in (0, 17, 39):
        alone = train(problem, GD, learning_rate=0.1, starts=w0[i], steps=60, batch_size=16, seed=4)
        # At this stable rate the rounding of BLAS (a few eps a step) is not magnified.
        np.testing.assert_allclose(run.weights[i], alone.weights[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(run.losses[:, i], alone.losses[:, 0], rtol=1e-11)


def test_one_step_of_one_restart() -> None:
    run = train(SingleWeight(), GD, learning_rate=0.25, starts=np.array([2.0]), steps=1)
    np.testing.assert_array_equal(run.weights, [[1.0]])
    np.testing.assert_array_equal(run.losses, [[4.0], [1.0]])
    assert len(run) == 1
    assert run.path is None
    assert run.batch_size is None


def test_the_starts_of_the_caller_stay_as_they_are() -> None:
    w0 = starts(Rastrigin(), restarts=3)
    copy = w0.copy()
    train(Rastrigin(), GD, learning_rate=0.01, starts=w0, steps=3)
    np.testing.assert_array_equal(w0, copy)


def test_the_tail_of_a_period_two_and_of_a_straight_line() -> None:
    bounce = train(
        SingleWeight(curvature=2.0), GD, learning_rate=1.0, starts=np.ones((1, 1)), steps=400
    )
    assert bounce.cosine[0] == -1.0
    assert bounce.displacement[0] == 0.0
    slow = SingleWeight(curvature=2.0)
    straight = train(slow, GD, learning_rate=1e-4, starts=np.ones((1, 1)), steps=400)
    assert straight.cosine[0] == pytest.approx(1.0)
    assert straight.displacement[0] == pytest.approx(1.0)


@pytest.mark.parametrize(("steps", "length"), [(1, 1), (9, 9), (99, 10), (500, 50), (5000, 500)])
def test_length_of_the_tail(steps: int, length: int) -> None:
    assert TailStatistics.length(steps) == length


@pytest.mark.parametrize(
    ("steps", "batch_size", "least", "most", "late"),
    [
        (10_000, None, 10_001, 10_001, 1000),
        (50_000, None, 250, 301, 100),
        (5000, 8, 90, 101, 40),
        (50, 8, 51, 51, 10),
    ],
)
def test_which_steps_are_recorded(
    steps: int, batch_size: int | None, least: int, most: int, late: int
) -> None:
    recorded = recorded_steps(steps, at_no_cost=batch_size is None)
    assert recorded[0] == 0
    assert recorded[-1] == steps
    assert (np.diff(recorded) > 0).all()
    assert least <= len(recorded) <= most
    assert (recorded >= steps - TailStatistics.length(steps)).sum() >= late


def test_a_long_run_records_the_losses_of_the_steps_it_names() -> None:
    problem = SingleWeight(curvature=2.0)
    run = train(problem, GD, learning_rate=1e-4, starts=np.ones((1, 1)), steps=10_001)
    # J_t = (1 - 2 lr)^(2 t), with a rounding of eps a step.
    np.testing.assert_allclose(run.losses[:, 0], (1.0 - 2e-4) ** (2.0 * run.recorded), rtol=1e-11)


def one_line(error: pytest.ExceptionInfo[InvalidInput], words: str) -> None:
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"starts": np.ones((3, 2))}, "starts have shape (3, 2); it must be (restarts, 1)"),
        ({"starts": np.ones((0, 1))}, "starts have shape (0, 1)"),
        ({"starts": np.full((2, 1), np.nan)}, "starts hold values that are not finite"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and above 0"),
        ({"learning_rate": math.inf}, "learning_rate must be finite"),
        ({"learning_rate": np.array([0.1, -0.1])}, "learning_rate must be finite and above 0"),
        (
            {"learning_rate": np.ones(3)},
            "learning_rate has shape (3,); it must be a number or (2,)",
        ),
        ({"steps": 0}, "steps = 0 is not valid; it must be at least 1"),
        ({"batch_size": 4}, "batch_size = 4: SingleWeight has no examples to draw from"),
    ],
)
def test_wrong_arguments(changes: dict[str, Any], words: str) -> None:
    arguments = {"learning_rate": 0.1, "starts": np.ones((2, 1)), "steps": 5, **changes}
    with pytest.raises(InvalidInput) as error:
        train(SingleWeight(), GD, **arguments)
    one_line(error, words)
