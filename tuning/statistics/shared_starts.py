"""What is known of settings that share their starts, settings at the same rate pooled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainers.errors import InvalidInput

__all__ = ["SharedStarts"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class SharedStarts:
    """S settings of R starts at K distinct rates.

    Attributes:
        rates (S,), unstable (S, R), trained (S, R): as given.
        distinct (K,): the rates, ascending.
        there (K, R): which starts were trained at each rate. fraction (K, R): of their trainings
            there, the unstable part; 0 where there was none.
        observed (K,): unstable fraction. restarts (K,): trainings. weights (K,): trainings over R.
    """

    rates: FloatArray
    unstable: BoolArray
    trained: BoolArray
    distinct: FloatArray
    there: BoolArray
    fraction: FloatArray
    observed: FloatArray
    restarts: NDArray[np.intp]
    weights: FloatArray

    @classmethod
    def of(cls, rates: ArrayLike, unstable: ArrayLike, trained: ArrayLike | None = None) -> Self:
        """Args: as `fit_cliff` has them.

        Raises:
            InvalidInput: for wrong shapes or types, or a rate that is not positive and finite.
        """
        rate, verdicts, known = _checked(rates, unstable, trained)
        distinct, setting = np.unique(rate, return_inverse=True)
        fallen, tries = (np.zeros((distinct.size, verdicts.shape[1])) for _ in range(2))
        np.add.at(fallen, setting, verdicts & known)
        np.add.at(tries, setting, known)
        fraction, there = fallen / np.maximum(tries, 1.0), tries > 0
        return cls(
            rates=rate,
            unstable=verdicts,
            trained=known,
            distinct=distinct,
            there=there,
            fraction=fraction,
            observed=fraction.mean(axis=1) / there.mean(axis=1),
            restarts=tries.sum(axis=1).astype(np.intp),
            weights=tries.sum(axis=1) / verdicts.shape[1],
        )


def _checked(
    rates: ArrayLike, unstable: ArrayLike, trained: ArrayLike | None
) -> tuple[FloatArray, BoolArray, BoolArray]:
    rate, verdicts = np.asarray(rates, dtype=float), np.asarray(unstable)
    if verdicts.ndim != 2 or verdicts.size == 0 or rate.shape != verdicts.shape[:1]:
        raise InvalidInput(
            f"fit_cliff: rates {rate.shape} and unstable {verdicts.shape}; "
            "pass rates (S,) and unstable (S, R) with at least one setting and one restart"
        )
    if verdicts.dtype != bool:
        raise InvalidInput(f"fit_cliff: unstable is {verdicts.dtype}; pass booleans")
    if not (np.isfinite(rate).all() and (rate > 0).all()):
        raise InvalidInput("fit_cliff: rates must all be positive and finite")
    known = np.ones(verdicts.shape, dtype=bool) if trained is None else np.asarray(trained)
    if known.shape != verdicts.shape or known.dtype != bool or not known.any(axis=1).all():
        raise InvalidInput(
            f"fit_cliff: trained is {known.dtype} {known.shape}; pass booleans "
            f"{verdicts.shape} with at least one restart in each setting"
        )
    return rate, verdicts, known
