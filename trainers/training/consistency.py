"""Whether a problem's own code agrees with itself: the same start from the same generator, the same
loss at the same place, and a gradient that is the loss's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trainers.errors import InvalidInput, ProblemFailed
from trainers.problem import FloatArray, Problem, evaluator
from trainers.randomness import Purpose, generator, starts

__all__ = ["check_consistency"]

_STARTS = 8  # that must not all be alike
_MORE = 64  # that must not all be undefined
_DIRECTIONS = 4
# A central difference is right to about the square of its length, and noise over its length.
_LENGTH = 1 / 3
_NOISE = 100.0
# A sum with random signs has the length of the gradient for its size. One coordinate of P that is
# wrong by itself shows in it as 1 / sqrt(P) of that: up to a million can be told.
_TOLERANCE = 1e-3


def check_consistency(problem: Problem, seed: int = 0) -> None:
    """Try a problem at a few starts before anything is trained; some 70 evaluations of its loss.

    The gradient g is held to differences of J along random directions u of signs: at most starts
    g.u must be (J(w + h u) - J(w - h u)) / 2h, within the rounding of J, the change of the
    difference from h to 2h, and 1e-3 of |g|. Where there are kinks in between, most directions
    decide (Dennis & Schnabel 1983, section 5.4, for h).

    Raises:
        InvalidInput: naming the method, with both answers.
        ProblemFailed: nothing is finite at any of 64 starts.
    """
    name = type(problem).__name__
    w = _repeated_starts(problem, name, seed)
    evaluate = evaluator(problem.in_float64())
    loss, gradient = (np.array(a) for a in evaluate(w))
    again = evaluate(w)
    for what, one, other in zip(("loss", "gradient"), (loss, gradient), again, strict=True):
        if not np.allclose(one, other, rtol=1e-9, atol=0.0, equal_nan=True):
            at = np.unravel_index(int(np.argmax(~np.isclose(one, other, rtol=1e-9))), one.shape)
            raise InvalidInput(
                f"{name}.loss_and_gradient gives another {what} each time at the same w: "
                f"{one[at]:.9g}, then {other[at]:.9g}; draw random numbers in initial alone, from "
                "its rng"
            )
    finite = np.isfinite(loss) & np.isfinite(gradient).all(axis=1)
    if not finite.any():
        _refuse_undefined(problem, name, seed)
        return
    if (loss == loss[0]).all() and not gradient.any():
        raise InvalidInput(
            f"{name}: the loss is {loss[0]:g} and the gradient 0 at each of {len(w)} starts: there "
            "is nothing to learn from"
        )
    _check_gradient(name, evaluate, w[finite], loss[finite], gradient[finite])


def _repeated_starts(problem: Problem, name: str, seed: int) -> FloatArray:
    """Some starts (r, P), which are the same in any order."""
    w = starts(problem, restarts=_STARTS, seed=seed)
    for i in reversed(range(_STARTS)):
        other = starts(problem, restarts=1, seed=seed, first=i)[0]
        if not np.array_equal(w[i], other):
            p = int(np.argmax(w[i] != other))
            raise InvalidInput(
                f"{name}.initial gives another start each time: w[{p}] of start {i} is "
                f"{w[i][p]:.6g}, then {other[p]:.6g}; draw from the rng that it is given, and from "
                "nothing else"
            )
    return w


def _refuse_undefined(problem: Problem, name: str, seed: int) -> None:
    w = starts(problem, restarts=_MORE, seed=seed)
    loss, gradient = evaluator(problem)(w)
    undefined = ~(np.isfinite(loss) & np.isfinite(gradient).all(axis=1))
    if undefined.all():
        what = "loss" if not np.isfinite(loss).any() else "gradient"
        raise ProblemFailed(
            f"{name}: {_MORE} of {_MORE} starts: {what} not finite before any step, so no learning "
            "rate can be told; look at initial and loss_and_gradient"
        )


def _check_gradient(
    name: str,
    evaluate: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    w: FloatArray,
    loss: FloatArray,
    gradient: FloatArray,
) -> None:
    """At w (r, P), where loss (r,) and gradient (r, P) are finite."""
    rng = generator(0, Purpose.CURVATURE, 1)
    unit = float(np.finfo(loss.dtype if loss.dtype.kind == "f" else float).eps)
    h = unit**_LENGTH * np.maximum(1.0, np.abs(w).max(axis=1))
    wrong, shown = np.zeros(len(w), dtype=int), (0.0, 0.0)
    for _ in range(_DIRECTIONS):
        u = rng.choice([-1.0, 1.0], size=w.shape[1])
        said = gradient @ u
        near, far = (
            (evaluate(w + step * u)[0] - evaluate(w - step * u)[0]) / (2 * step[:, 0])
            for step in (h[:, None], 2 * h[:, None])
        )
        size = np.sqrt((gradient**2).sum(axis=1))
        allowed = _TOLERANCE * size + 10 * np.abs(near - far) + _NOISE * unit * np.abs(loss) / h
        # NaN, beyond the edge of where J is defined, says nothing.
        off = np.abs(near - said) > allowed
        if off.any():
            worst = int(np.argmax(np.where(off, np.abs(near - said), -1.0)))
            shown = float(said[worst]), float(near[worst])
        wrong += off
    if 2 * (2 * wrong > _DIRECTIONS).sum() > len(w):
        raise InvalidInput(
            f"{name}.loss_and_gradient: the gradient is not that of the loss: along a direction "
            f"it says {shown[0]:.6g}, differences of the loss say {shown[1]:.6g}; correct it, or "
            "write check = false in [problem]"
        )
