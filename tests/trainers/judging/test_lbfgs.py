"""L-BFGS: its directions are those of the textbook's recursion."""

from __future__ import annotations

import numpy as np
import pytest

from trainers import get_problem, starts
from trainers.judging.lbfgs import Lbfgs
from trainers.problem import FloatArray, evaluator


def two_loops(descent: Lbfgs, row: int) -> FloatArray:
    """-H g by the recursion of Nocedal & Wright 2006, "Numerical Optimization", algorithm 7.4."""
    m = descent.pairs.shape[1] // 2
    newest, count = int(descent.newest[row]), int(descent.count[row])
    order = [(newest - k) % m for k in range(count)]
    steps, changes = descent.pairs[row, :m], descent.pairs[row, m:]
    q, along = descent.gradient[row].copy(), {}
    for i in order:
        along[i] = steps[i] @ q / (steps[i] @ changes[i])
        q -= along[i] * changes[i]
    q *= descent.scale[row]
    for i in reversed(order):
        q += steps[i] * (along[i] - changes[i] @ q / (steps[i] @ changes[i]))
    return np.asarray(-q)


@pytest.mark.parametrize("sweeps", [3, 8, 60])  # with as many pairs as it remembers, and more
def test_directions_are_those_of_the_recursion(sweeps: int) -> None:
    problem = get_problem("mlp", data="wine", hidden=[4], weight_decay=1e-3)
    evaluate = evaluator(problem)
    w = starts(problem, restarts=6, seed=0)
    loss, gradient = (array.copy() for array in evaluate(w))
    descent = Lbfgs.begin(w, loss, gradient, np.full(6, 1.0))
    for _ in range(sweeps):
        descent.sweep(evaluate)
    fresh = np.flatnonzero(descent.shortened == 0)
    assert fresh.size >= 3
    for row in fresh.tolist():
        expected = two_loops(descent, row)
        error = np.linalg.norm(descent.direction[row] - expected)
        assert error < 1e-8 * np.linalg.norm(expected)
