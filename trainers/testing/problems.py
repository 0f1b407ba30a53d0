"""What every problem must keep to."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np

from trainers.problem import Evaluate, FloatArray, Problem, evaluator
from trainers.randomness import starts
from trainers.training.checks import check_returns

__all__ = ["check_problem"]

_EPSILON = float(np.finfo(float).eps)
_STEP = 1e-6  # of 1 + |w|: between rounding and truncation of a central difference
_COLUMNS = 40  # parameters that are moved, at most


def check_problem(
    problem: Problem, *, restarts: int = 5, seed: int = 0, rounding: float = 1e-12
) -> None:
    """Hold `problem` to the interface `trainers.Problem`, at a few of its starts.

    Its starts follow from the generator alone; loss (R,) and gradient (R, P) are finite float64
    there; the gradient is the slope of the loss; a row does not depend on the others, nor on being
    asked before; `w` is left as it is; no start is below the known minimum; all examples are what
    no batch means; a pickled copy computes the same; weights that overflow raise nothing.

    Args:
        rounding: what a row may differ by when it is alone, in parts of the largest number. Matrix
            products may add in another order; 0 for a problem that must not.

    Raises:
        AssertionError: the first of these that does not hold.
        InvalidInput: it cannot be trained at all.
    """
    name, evaluate = type(problem).__name__, evaluator(problem)
    w = starts(problem, restarts=restarts, seed=seed)
    again = starts(problem, restarts=restarts, seed=seed)
    assert np.array_equal(w, again), f"{name}.initial gives another start for the same generator"
    check_returns(problem, w)
    loss, gradient = _copies(evaluate, w)
    for what, array in (("loss", loss), ("gradient", gradient)):
        assert array.dtype == np.float64, f"{name}: the {what} is {array.dtype}, not float64"
        assert np.isfinite(array).all(), f"{name}: the {what} at a start is not finite"
    for row, (alone_loss, alone_gradient) in enumerate(_one_by_one(evaluate, w)):
        near = _near(alone_loss, loss[row : row + 1], rounding)
        near &= _near(alone_gradient, gradient[row : row + 1], rounding)
        assert near, f"{name}: restart {row} has another loss or gradient beside other restarts"
    twice = _copies(evaluate, w)
    same = np.array_equal(twice[0], loss) and np.array_equal(twice[1], gradient)
    assert same, f"{name}: asked twice, it gives two answers"
    _check_slope(name, evaluate, w, gradient)
    known = problem.known_minimum
    if known is not None:
        slack = 1e-9 * max(1.0, abs(known))
        assert (loss >= known - slack).all(), f"{name}: a start lies below known_minimum = {known}"
    if problem.examples is not None:
        everything = problem.loss_and_gradient(w, np.arange(problem.examples))
        near = _near(everything[0], loss, max(rounding, 1e-12))
        assert near, f"{name}: the loss on all examples is not the loss without a batch"
    copy: Problem = pickle.loads(pickle.dumps(problem))
    same = np.array_equal(_copies(evaluator(copy), w)[0], loss)
    assert same, f"{name}: a pickled copy computes something else"
    for size in (1e160, np.inf, np.nan):
        with np.errstate(all="ignore"):
            evaluate(np.full_like(w, size))


def _copies(evaluate: Evaluate, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Loss and gradient at a copy of `w`: arrays that a problem returns may be its own."""
    loss, gradient = evaluate(w.copy())
    return loss.copy(), gradient.copy()


def _one_by_one(evaluate: Evaluate, w: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    for row in range(len(w)):
        yield _copies(evaluate, w[row : row + 1])


def _near(found: FloatArray, expected: FloatArray, rounding: float) -> bool:
    scale = max(1.0, float(np.abs(expected).max()))
    return bool((np.abs(found - expected) <= rounding * scale).all())


def _check_slope(name: str, evaluate: Evaluate, w: FloatArray, gradient: FloatArray) -> None:
    """Compare the gradient with central differences of the loss, along 40 parameters at most."""
    parameters = w.shape[1]
    columns = np.unique(np.linspace(0, parameters - 1, min(parameters, _COLUMNS)).astype(int))
    for column in columns.tolist():
        h = _STEP * (1.0 + np.abs(w[:, column]))
        above, below = w.copy(), w.copy()
        above[:, column] += h
        below[:, column] -= h
        up, down = _copies(evaluate, above)[0], _copies(evaluate, below)[0]
        slope = (up - down) / (above[:, column] - below[:, column])
        # Rounding of the losses, a few times over, and a part of the gradient for the truncation.
        slack = 20.0 * _EPSILON * np.maximum(np.abs(up), 1.0) / h
        slack += 1e-5 * np.abs(gradient).max(axis=1)
        wrong = np.abs(slope - gradient[:, column]) > slack
        if wrong.any():
            row = int(wrong.argmax())
            raise AssertionError(
                f"{name}: the gradient along parameter {column} is {gradient[row, column]:.6g}, "
                f"and the loss rises by {slope[row]:.6g}"
            )
