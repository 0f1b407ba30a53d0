"""Extreme eigenvalues of Hessians too large to form: Lanczos' method for R restarts at once.

The operator of each restart is S H S, with H the Hessian of the loss at its w and S diagonal: the
identity, or 1 / sqrt(P) for the eigenvalues of P^-1 H under an optimizer's preconditioner P. It is
known by its products alone (`hessian_products`), for all restarts in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.curvature.hessian_products import STEP, HessianProducts, norm
from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.randomness import Purpose, generator

__all__ = ["Extremes", "Ritz", "extreme_curvatures", "fixed_direction", "lanczos"]

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
        evaluate: loss and gradient, or an `Evaluator`, whose problem may offer products with its
            Hessian. It is called once an iteration: for a product, else with 2 R rows.
        start (R, P): first directions, of any length; of a row that is zero or not finite a fixed
            pseudo-random one is taken.
        iterations: k. Basis and vectors take 8 R k P bytes each.
        scaling (R, P): the diagonals of S; None for the identity.
        step: of the differences, where it comes to that, in units of 1 + |w|.

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
        product = HessianProducts(evaluate, w, scaling, alive, step)
        v = _unit(start, basis[:, :0], np.zeros(restarts))[0]
        scale = np.zeros(restarts)
        for j in range(k):
            basis[:, j] = v
            after = product(v)
            alive &= np.isfinite(norm(after))  # a square that overflows is as bad as infinity
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
    length = norm(v)
    fresh = ~((length > floor) & np.isfinite(length))
    unit = v / np.where(fresh, 1.0, length)[:, None]
    if fresh.any():
        beside = basis[fresh]
        new = np.tile(fixed_direction(v.shape[1], basis.shape[1]), (len(beside), 1))
        for _ in range(2):
            _remove(new, beside)
            new /= np.maximum(norm(new), np.finfo(float).tiny)[:, None]
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
