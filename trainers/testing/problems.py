"""What every problem must keep to."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import numpy as np

from trainers.problem import Evaluate, Evaluator, FloatArray, Problem, evaluator
from trainers.randomness import starts
from trainers.training.checks import check_returns

__all__ = ["check_problem"]

_EPSILON = float(np.finfo(float).eps)
_STEP = 1e-6  # of 1 + |w|: between rounding and truncation of a central difference
_COLUMNS = 40  # parameters that are moved, at most
_DIRECTIONS = 4  # by which a product with the Hessian is tried


def check_problem(
    problem: Problem, *, restarts: int = 5, seed: int = 0, rounding: float = 1e-12
) -> None:
    """Hold `problem` to the interface `trainers.Problem`, at a few of its starts.

    Its starts follow from the generator alone; loss (R,) and gradient (R, P) are finite float64
    there; the gradient is the slope of the loss; a row does not depend on the others, nor on being
    asked before; `w` is left as it is; no start is below the known minimum; all examples are what
    no batch means; a pickled copy computes the same; weights that overflow raise nothing. If it
    offers products with the Hessian, they are the slope of the gradient along random directions,
    symmetric (u . H v = v . H u), and a row does not depend on the others.

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
    _check_product(name, evaluate, w, rounding)
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
            evaluate.hessian_product(np.full_like(w, size), w)


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


def _check_product(name: str, evaluate: Evaluator, w: FloatArray, rounding: float) -> None:
    """Hold products with the Hessian, if there are any, against differences of the gradient."""
    what, rng = f"{name}.hessian_product", np.random.default_rng(0)
    u, hu = np.empty(0), np.empty(0)
    for _ in range(_DIRECTIONS):
        v = rng.standard_normal(w.shape)
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        product = evaluate.hessian_product(w.copy(), v.copy())
        if product is None:
            return
        assert product.dtype == np.float64, f"{what}: the product is {product.dtype}, not float64"
        hv = product.copy()
        assert np.isfinite(hv).all(), f"{what}: the product at a start is not finite"
        _check_slope_of_gradient(what, evaluate, w, v, hv)
        for row in range(len(w)):
            one = slice(row, row + 1)
            alone = evaluate.hessian_product(w[one], v[one])
            near = alone is not None and _near(alone, hv[one], rounding)
            assert near, f"{what}: restart {row} has another product beside other restarts"
        if u.size:
            size = np.linalg.norm(hu, axis=1) + np.linalg.norm(hv, axis=1)
            apart = np.abs((u * hv).sum(axis=1) - (v * hu).sum(axis=1))
            # Sums of P terms of at most `size`, rounded some times on their way: far below this.
            assert (apart <= 1e-10 * size).all(), f"{what} is not symmetric: u . H v is not v . H u"
        u, hu = v, hv


def _check_slope_of_gradient(
    what: str, evaluate: Evaluate, w: FloatArray, v: FloatArray, hv: FloatArray
) -> None:
    """Compare H v with the difference of the gradient along `v`, central or to one side: the other
    side may have a kink of the loss within the step."""
    h = _STEP * (1.0 + np.linalg.norm(w, axis=1, keepdims=True))
    up, here, down = (_copies(evaluate, w + s * h * v)[1] for s in (1.0, 0.0, -1.0))
    slopes = np.stack([(up - down) / (2.0 * h), (up - here) / h, (here - down) / h])
    # As for the gradient: rounding over the step, and a part for the truncation; a part of the
    # product, for that of a slope would be anything where there is a kink.
    size = np.maximum(np.abs(here).max(axis=1), 1.0)
    slack = 20.0 * _EPSILON * size / h[:, 0] + 1e-5 * np.abs(hv).max(axis=1)
    wrong = (np.abs(slopes - hv).max(axis=2) > slack).all(axis=0)
    if wrong.any():
        row = int(wrong.argmax())
        column = int(np.abs(slopes[0, row] - hv[row]).argmax())
        raise AssertionError(
            f"{what}: the product is {hv[row, column]:.6g} along parameter {column}, and the "
            f"gradient rises by {slopes[0, row, column]:.6g}"
        )
