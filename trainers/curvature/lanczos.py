"""Extreme eigenvalues of Hessians too large to form: Lanczos' method for R restarts at once.

The operator of each restart is S H S, with H the Hessian of the loss at its w and S diagonal: the
identity, or 1 / sqrt(P) for the eigenvalues of P^-1 H under an optimizer's preconditioner P. It is
known by its products alone, and each of them is one central difference of the gradient, for all
restarts in one call.

How long the difference is. With d the distance moved to either side, a smooth gradient is wrong by
d^2 / 6 times its third derivative along the way, and rounding adds about eps |g| / d. In units of
1 + |w| the two balance near 3e-7 on tanh networks of breast-cancer and wine, where the largest
curvature is right to 2e-10; at 1e-5 it is right to 2e-8, at 1e-8 to 7e-10. Kinks (ReLU) ask for
less: one that is stepped over adds its jump / (2 d), which made the largest curvature up to a
thousand times too large, and the shorter the step, the rarer that is. On breast-cancer with 16
ReLUs it was off by more than 1 % in 33 % of 256 restarts at 1e-5, in 7 % at 1e-6, in 0.8 % at 1e-7,
in none at 3e-8. So `STEP` is 3e-8: that costs half a digit of ten. Who needs fewer digits may step
less. A kink that was met shows in the residual, which is then a large part of the value (measured:
17 % and more, where it was 0.02 % and less without).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.randomness import Purpose, generator

__all__ = ["STEP", "Extremes", "Ritz", "extreme_curvatures", "fixed_direction", "lanczos"]

#: Distance from w at which the gradient is taken, in units of 1 + |w|.
STEP = 3e-8

# A remainder this small beside the operator is the rounding of the differences (near 1e-9) and
# no direction: the vectors so far span an invariant subspace.
_NOTHING = 1e-8


@dataclass(frozen=True)
class Ritz:
    """What Lanczos' method found of R operators, each by itself.

    Attributes:
        values (R, k): Ritz values, ascending; NaN at the end where a restart has fewer.
        residuals (R, k): |A y - theta y| of each Ritz pair (theta, y): some eigenvalue is within
            that of theta, up to the rounding of the differences. The largest Ritz value is never
            above the largest eigenvalue, nor the smallest below the smallest; that there is none
            further out no residual can say.
        size (R,): how many a restart has: k, or P if that is less, or 0 where the first product was
            not finite.
    """

    values: FloatArray
    residuals: FloatArray
    size: IntArray
    _basis: FloatArray  # (R, k, P), orthonormal rows
    _mixing: FloatArray  # (R, k, k): column i holds Ritz vector i in that basis

    def vectors(self) -> FloatArray:
        """(R, P, k): the Ritz vectors, orthonormal columns; NaN where there is none."""
        return np.asarray(self._basis.transpose(0, 2, 1) @ self._mixing)

    def largest_vectors(self) -> FloatArray:
        """(R, P): the Ritz vector of the largest value; NaN where there is none."""
        last = np.maximum(self.size - 1, 0)
        column = np.take_along_axis(self._mixing, last[:, None, None], axis=2)
        return np.asarray((self._basis.transpose(0, 2, 1) @ column)[:, :, 0])


class Extremes(NamedTuple):
    """Smallest and largest Ritz value (R,), and the residual of each (R,); NaN if not finite."""

    smallest: FloatArray
    largest: FloatArray
    smallest_residual: FloatArray
    largest_residual: FloatArray


def fixed_direction(parameters: int, index: int = 0, seed: int = 0) -> FloatArray:
    """(P,): a pseudo-random unit vector, the same at every call."""
    v = generator(seed, Purpose.CURVATURE, index).standard_normal(parameters)
    return np.asarray(v / np.linalg.norm(v))


def lanczos(
    evaluate: Evaluate,
    w: FloatArray,
    start: FloatArray,
    iterations: int,
    scaling: FloatArray | None = None,
    *,
    step: float = STEP,
) -> Ritz:
    """Lanczos' method with full re-orthogonalisation on S H S at every row of `w` (R, P).

    Args:
        evaluate: loss and gradient; called once an iteration, with 2 R rows.
        start (R, P): first directions, of any length; of a row that is zero or not finite a fixed
            pseudo-random one is taken.
        iterations: k. Basis and vectors take 8 R k P bytes each.
        scaling (R, P): the diagonals of S; None for the identity.
        step: of the differences, in units of 1 + |w|.

    Where the vectors of a row span an invariant subspace, the row goes on with a fixed
    pseudo-random vector orthogonal to them, so that multiple eigenvalues and those that `start`
    knows nothing of are found too. A row whose product is not finite keeps what it had before. No
    row touches another; `evaluate` sees the same number of rows to the end.
    """
    restarts, parameters = w.shape
    k = min(iterations, parameters)
    basis = np.zeros((restarts, k, parameters))
    diagonal, below = np.zeros((restarts, k)), np.zeros((restarts, k))
    defect = np.zeros((restarts, k))  # of a column: what the tridiagonal matrix leaves out of it
    size = np.zeros(restarts, dtype=np.intp)
    with np.errstate(all="ignore"):
        known = w if scaling is None else np.concatenate([w, scaling], axis=1)
        alive = np.asarray(np.isfinite(known).all(axis=1))
        product = _Product(evaluate, w, scaling, alive, step)
        v = _unit(start, basis[:, :0], np.zeros(restarts))[0]
        scale = np.zeros(restarts)
        for j in range(k):
            basis[:, j] = v
            after = product(v)
            alive &= np.isfinite(_norm(after))  # a square that overflows is as bad as infinity
            if not alive.any():
                break
            after[~alive] = 0.0
            size[alive] = j + 1
            # Twice is enough: Parlett 1998, section 6.9.
            along = _remove(after, basis[:, : j + 1])
            along += _remove(after, basis[:, : j + 1])
            diagonal[alive, j] = along[alive, j]
            expected = np.zeros_like(along)
            expected[:, j] = along[:, j]
            if j:
                expected[:, j - 1] = below[:, j - 1]
            left_out = ((along - expected) ** 2).sum(axis=1)
            scale = np.maximum(scale, np.abs(along).max(axis=1))
            v, length, fresh = _unit(after, basis[:, : j + 1], _NOTHING * scale)
            scale = np.maximum(scale, length)
            left_out += np.where(fresh, length * length, 0.0)
            defect[alive, j] = np.sqrt(left_out)[alive]
            below[alive, j] = np.where(fresh, 0.0, length)[alive]
    return _ritz(diagonal, below, defect, size, basis)


def extreme_curvatures(
    evaluate: Evaluate,
    w: FloatArray,
    iterations: int,
    scaling: FloatArray | None = None,
    *,
    seed: int = 0,
) -> Extremes:
    """Smallest and largest eigenvalue of S H S at every row of `w` (R, P), from the pseudo-random
    direction that `seed` gives; the other arguments are those of `lanczos`."""
    start = np.broadcast_to(fixed_direction(w.shape[1], seed=seed), w.shape)
    found = lanczos(evaluate, w, start, iterations, scaling)
    last = np.maximum(found.size - 1, 0)[:, None]
    return Extremes(
        smallest=found.values[:, 0],
        largest=np.take_along_axis(found.values, last, axis=1)[:, 0],
        smallest_residual=found.residuals[:, 0],
        largest_residual=np.take_along_axis(found.residuals, last, axis=1)[:, 0],
    )


class _Product:
    """S H S times R vectors, by one central difference each."""

    def __init__(
        self,
        evaluate: Evaluate,
        w: FloatArray,
        scaling: FloatArray | None,
        sound: NDArray[np.bool_],
        step: float,
    ) -> None:
        self._evaluate, self._scaling = evaluate, scaling
        self._w = w if sound.all() else np.where(sound[:, None], w, 0.0)
        self._distance = step * (1.0 + _norm(self._w))

    def __call__(self, v: FloatArray) -> FloatArray:
        """(R, P) from (R, P)."""
        move = v if self._scaling is None else self._scaling * v
        length = _norm(move)
        h = (self._distance / np.where(length > 0, length, 1.0))[:, None]
        gradient = self._evaluate(np.concatenate([self._w + h * move, self._w - h * move]))[1]
        difference = (gradient[: len(v)] - gradient[len(v) :]) / (2.0 * h)
        return difference if self._scaling is None else self._scaling * difference


def _norm(v: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.einsum("rp,rp->r", v, v)))


def _remove(v: FloatArray, basis: FloatArray) -> FloatArray:
    """Take the part along the rows of `basis` (R, j, P) out of `v` (R, P), in place; returns the
    coefficients (R, j). One small matrix a row: rows round alike beside whatever other rows."""
    along = (basis @ v[:, :, None])[:, :, 0]
    v -= (along[:, None, :] @ basis)[:, 0]
    return np.asarray(along)


def _unit(
    v: FloatArray, basis: FloatArray, floor: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """`v` (R, P) at length 1, its length (R,), and where it was no longer than `floor` (R,) or not
    finite, so that a fixed direction orthogonal to `basis` (R, j, P) stands for it."""
    length = _norm(v)
    fresh = ~((length > floor) & np.isfinite(length))
    unit = v / np.where(fresh, 1.0, length)[:, None]
    if fresh.any():
        beside = basis[fresh]
        new = np.tile(fixed_direction(v.shape[1], basis.shape[1]), (len(beside), 1))
        for _ in range(2):
            _remove(new, beside)
            new /= np.maximum(_norm(new), np.finfo(float).tiny)[:, None]
        unit[fresh] = new
    return unit, length, fresh


def _ritz(
    diagonal: FloatArray, below: FloatArray, defect: FloatArray, size: IntArray, basis: FloatArray
) -> Ritz:
    """Eigenpairs of the tridiagonal matrices, those of one size together."""
    restarts, k = diagonal.shape
    values, residuals = np.full((restarts, k), np.nan), np.full((restarts, k), np.nan)
    mixing = np.full((restarts, k, k), np.nan)
    for m in np.unique(size[size > 0]).tolist():
        rows = np.flatnonzero(size == m)
        matrix = np.zeros((len(rows), m, m))
        i = np.arange(m)
        matrix[:, i, i] = diagonal[rows, :m]
        matrix[:, i[1:], i[:-1]] = below[rows, : m - 1]  # eigh reads the lower triangle
        values[rows, :m], vectors = np.linalg.eigh(matrix)
        # With A V = V T + beta v e_m' + D, D the columns' defects: |A V s - theta V s|.
        beyond = below[rows, m - 1, None] * np.abs(vectors[:, -1])
        inside = (defect[rows, :m, None] * np.abs(vectors)).sum(axis=1)
        residuals[rows, :m] = np.hypot(beyond, inside)
        mixing[rows, :, :m] = 0.0
        mixing[rows, :m, :m] = vectors
    return Ritz(values, residuals, size, basis, mixing)
