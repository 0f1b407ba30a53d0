from __future__ import annotations

import numpy as np
import pytest

from trainers.judging.lbfgs import Lbfgs
from trainers.problem import Evaluate, FloatArray
from trainers.problems.landscapes import Rosenbrock


def bowl(curvatures: FloatArray) -> Evaluate:
    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return 0.5 * (curvatures * w * w).sum(axis=1), curvatures * w

    return evaluate


def begun(evaluate: Evaluate, w: FloatArray, lipschitz: float) -> Lbfgs:
    loss, gradient = evaluate(w)
    return Lbfgs.begin(w, loss, gradient, np.full(len(w), lipschitz))


def two_loops(descent: Lbfgs, restart: int) -> FloatArray:
    """The direction by the recursion that everybody knows (Nocedal & Wright 2006, algorithm 7.4),
    from the pairs of one restart, the newest last."""
    m = descent.pairs.shape[1] // 2
    count, newest = int(descent.count[restart]), int(descent.newest[restart])
    order = [(newest - k) % m for k in range(count)][::-1]
    steps, changes = descent.pairs[restart, :m][order], descent.pairs[restart, m:][order]
    q = descent.gradient[restart].copy()
    alphas = []
    for s, y in zip(steps[::-1], changes[::-1], strict=True):
        alphas.append((s @ q) / (s @ y))
        q -= alphas[-1] * y
    q *= descent.scale[restart]
    for s, y, alpha in zip(steps, changes, alphas[::-1], strict=True):
        q += s * (alpha - (y @ q) / (s @ y))
    return np.asarray(-q)


def test_the_direction_is_that_of_the_two_loops() -> None:
    # On Rosenbrock's function steps are refused now and then, so that the restarts' rings differ.
    problem = Rosenbrock()
    evaluate: Evaluate = problem.loss_and_gradient
    w = np.random.default_rng(0).uniform(-2.0, 2.0, (6, problem.parameters))
    descent = begun(evaluate, w, 1e3)
    compared = 0
    for _ in range(60):
        descent.sweep(evaluate)
        for restart in np.flatnonzero((descent.count > 0) & (descent.shortened == 0)):
            expected = two_loops(descent, int(restart))
            size = float(np.linalg.norm(expected))
            if descent.rest[restart] or size < 1e-6:
                continue
            # Two solves with a triangle of ten: rounding times its condition.
            np.testing.assert_allclose(descent.direction[restart], expected, atol=1e-5 * size)
            compared += 1
    assert compared > 150
    assert len(set(descent.newest.tolist())) > 1
    assert (descent.loss <= problem.loss_and_gradient(w)[0]).all()


def test_a_bowl_is_descended_in_few_gradients() -> None:
    # Condition 1e4 in 40 dimensions. Ten pairs need some hundred steps, gradient descent as many
    # as the condition; the cap of 1 % of 1 + |w| a step adds what it takes to come near.
    curvatures = np.geomspace(1e-2, 1e2, 40)
    evaluate = bowl(curvatures)
    w = np.random.default_rng(1).standard_normal((5, 40))
    descent = begun(evaluate, w, 100.0)
    start = descent.loss.copy()
    for _ in range(700):
        descent.sweep(evaluate)
    assert (descent.loss < 1e-6 * start).all()


def test_no_step_is_longer_than_a_part_of_the_weights() -> None:
    evaluate = bowl(np.array([1e-3, 1e-3]))
    w = np.full((1, 2), 30.0)
    descent = begun(evaluate, w, 1e-3)
    for _ in range(30):
        before = descent.w.copy()
        descent.sweep(evaluate)
        length = float(np.linalg.norm(descent.w - before))
        assert length <= 1e-2 * (1.0 + np.linalg.norm(before)) * (1 + 1e-12)


def test_it_rests_at_the_bottom_and_stays_there() -> None:
    evaluate = bowl(np.array([1.0, 4.0]))
    descent = begun(evaluate, np.array([[0.0, 0.0], [1.0, 1.0]]), 4.0)
    assert descent.rest.tolist() == [True, False]
    for _ in range(400):
        descent.sweep(evaluate)
    assert descent.rest.all()
    np.testing.assert_allclose(descent.w, 0.0, atol=1e-9)


def test_what_is_not_finite_is_never_entered() -> None:
    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """-log w: falls for ever, and is no number at 0 and below."""
        with np.errstate(all="ignore"):
            return (w - np.log(w)).sum(axis=1), 1.0 - 1.0 / w

    descent = begun(evaluate, np.array([[5.0], [0.01]]), 1e-3)  # far too long a first step
    for _ in range(300):
        descent.sweep(evaluate)
    assert np.isfinite(descent.loss).all()
    np.testing.assert_allclose(descent.w, 1.0, atol=1e-6)


def test_large_problems_remember_fewer_pairs() -> None:
    evaluate = bowl(np.ones(1))
    small, large = (begun(evaluate, np.ones((2, p)), 1.0) for p in (10, 3_000_000))
    assert small.pairs.shape[1] == 20
    assert large.pairs.shape[1] == 8


@pytest.mark.parametrize("kept", [[0, 2], [1]])
def test_a_restart_is_alone(kept: list[int]) -> None:
    """Nothing of one restart is used for another."""
    curvatures = np.geomspace(1e-1, 1e1, 6)
    evaluate = bowl(curvatures)
    w = np.random.default_rng(3).standard_normal((3, 6))
    together, alone = begun(evaluate, w, 10.0), begun(evaluate, w[kept], 10.0)
    for _ in range(40):
        together.sweep(evaluate)
        alone.sweep(evaluate)
    np.testing.assert_allclose(together.w[kept], alone.w, rtol=1e-9, atol=1e-12)
