"""The cliff: the learning rate at which an optimizer stops being stable.

P(unstable) is fitted as a non-decreasing function of the learning rate. Between two tried rates
the fit says nothing, so the cliff is a bracket of two neighbouring rates, and a bootstrap over the
shared starts says how far that bracket may move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from trainers.errors import InvalidInput

__all__ = ["Cliff", "CurvePoint", "fit_cliff"]

_REPLICATES = 400
# Averages of averages round: 1 of 20 must not exceed 0.05.
_ROUNDING = 1e-12

_Floats = NDArray[np.float64]


class CurvePoint(NamedTuple):
    """Fitted P(unstable) at one tried learning rate, with its pointwise band."""

    rate: float
    fitted: float
    low: float
    high: float


@dataclass(frozen=True)
class Cliff:
    """Where `optimizer` stops being stable. All but `curve` are learning rates.

    `estimate` is None when the fit does not cross the limit within the tried rates. `low` is None
    when the restarts bound the cliff by no tried rate from below, `high` when by none from above.
    `lowest_failing` is the lowest tried rate that by itself exceeded the limit. It may lie far
    below the cliff: the boundary of trainability is fractal (Sohl-Dickstein 2024, arXiv
    2402.06184).
    """

    optimizer: str
    estimate: float | None
    low: float | None
    high: float | None
    lowest_failing: float | None
    highest_tried: float
    lowest_tried: float
    curve: tuple[CurvePoint, ...]

    @property
    def explanation(self) -> str:
        """One sentence, such as "never unstable up to 10", without capital and full stop."""
        tried = f"from {self.lowest_tried:.3g} to {self.highest_tried:.3g}"
        match self.estimate, self.low, self.high:
            case None, None, None:
                return f"too few restarts to tell whether any rate {tried} is stable"
            case None, None, high:
                doubt = f", certain only from {high:.3g}" if high != self.lowest_tried else ""
                return f"unstable already at {self.lowest_tried:.3g}{doubt}"
            case None, low, _:
                doubt = f", certain only up to {low:.3g}" if low != self.highest_tried else ""
                failing = self.lowest_failing
                dip = f" but for failures at {failing:.3g}" if failing is not None else ""
                return f"never unstable up to {self.highest_tried:.3g}{dip}{doubt}"
            case estimate, low, high:
                above = "an unknown rate" if low is None else f"{low:.3g}"
                below = "an unknown rate" if high is None else f"{high:.3g}"
                failing = self.lowest_failing
                early = failing is not None and failing < estimate
                dip = f", though {failing:.3g} failed too" if early else ""
                return f"unstable from about {estimate:.3g}, between {above} and {below}{dip}"

    def to_dict(self) -> dict[str, Any]:
        """Every field and the explanation, ready for JSON."""
        return {
            "optimizer": self.optimizer,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "lowest_failing": self.lowest_failing,
            "highest_tried": self.highest_tried,
            "lowest_tried": self.lowest_tried,
            "curve": [point._asdict() for point in self.curve],
            "explanation": self.explanation,
        }


def fit_cliff(
    optimizer: str,
    rates: ArrayLike,
    unstable: ArrayLike,
    max_unstable: float,
    confidence: float,
    seed: int | Sequence[int],
) -> Cliff:
    """Where P(unstable) first exceeds `max_unstable`, with an interval at level `confidence`.

    The fit is the isotonic regression of the unstable fraction (Barlow et al. 1972), settings at
    the same rate pooled; the cliff lies between the last rate it leaves stable and the next, and
    the estimate is their geometric mean.

    The interval comes from a Bayesian bootstrap (Rubin 1981) that reweights whole restarts, because
    the same start is used at every rate. To the R restarts it adds half an imaginary one that is
    unstable at every rate and half a one that is unstable at none. So P(unstable) at each rate
    follows Beta(k + 1/2, R - k + 1/2), Jeffreys' posterior (Brown, Cai and DasGupta 2001), which
    has width where all restarts agree: resampling 0 of 64 would only ever give 0. An end that the
    restarts are too few to place is None: below 0.05 at 95 % even 0 of R bounds nothing until R
    is about 50.

    Args:
        optimizer: name, carried through.
        rates: (S,) learning rates, in any order, repeated or not.
        unstable: (S, R) bool, whether restart i was unstable under each setting.
        max_unstable: the limit on P(unstable), at least 0 and below 1.
        confidence: two-sided level of the interval and of the curve's pointwise band.
        seed: of the bootstrap; the same seed gives the same answer.

    Raises:
        InvalidInput: for wrong shapes, a rate that is not positive and finite, or a level or limit
            out of range.
    """
    rate, verdicts = _checked(rates, unstable, max_unstable, confidence)
    distinct, setting, repeats = np.unique(rate, return_inverse=True, return_counts=True)
    pooled = np.zeros((distinct.size, verdicts.shape[1]))
    np.add.at(pooled, setting, verdicts)
    pooled /= repeats[:, np.newaxis]

    observed = pooled.mean(axis=1)
    fitted = _isotonic(observed, repeats)
    replicates = _replicates(pooled, repeats, seed)

    tail = (1 - confidence) / 2
    first = int(_first_exceeding(fitted, max_unstable))
    firsts = _first_exceeding(replicates, max_unstable)
    # Order statistics, not interpolation: the bracket's ends are tried rates. The interval holds
    # the bracket of the fit itself, within which nothing is known.
    lowest = min(first, int(np.quantile(firsts, tail, method="lower")))
    highest = max(first, int(np.quantile(firsts, 1 - tail, method="higher")))
    edges: list[float | None] = [None, *distinct.tolist(), None]
    low, high = edges[lowest], edges[highest + 1]
    below, above = edges[first], edges[first + 1]

    band = np.quantile(replicates, [tail, 1 - tail], axis=0)
    # Jeffreys' interval is taken to the end where all agree (Brown, Cai and DasGupta 2001, 4.3).
    band_low, band_high = np.minimum(band[0], fitted), np.maximum(band[1], fitted)
    failing = distinct[observed > max_unstable + _ROUNDING]
    return Cliff(
        optimizer=optimizer,
        estimate=None if below is None or above is None else _geometric_mean(below, above),
        low=low,
        high=high,
        lowest_failing=float(failing[0]) if failing.size else None,
        highest_tried=float(distinct[-1]),
        lowest_tried=float(distinct[0]),
        curve=tuple(
            CurvePoint(*point)
            for point in np.column_stack([distinct, fitted, band_low, band_high]).tolist()
        ),
    )


def _replicates(pooled: _Floats, repeats: NDArray[np.intp], seed: int | Sequence[int]) -> _Floats:
    """(B, K) isotonic fits to reweighted restarts; `pooled` is (K, R)."""
    restarts = pooled.shape[1]
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    mass = rng.dirichlet([*np.ones(restarts), 0.5, 0.5], size=_REPLICATES)
    always_unstable = mass[:, restarts, np.newaxis]
    fractions = mass[:, :restarts] @ pooled.T + always_unstable
    return np.stack([_isotonic(fraction, repeats) for fraction in fractions])


def _isotonic(fraction: _Floats, weights: NDArray[np.intp]) -> _Floats:
    fitted: _Floats = scipy.optimize.isotonic_regression(fraction, weights=weights).x
    return fitted


def _first_exceeding(fitted: _Floats, limit: float) -> NDArray[np.intp]:
    """Index of the first rate whose fit exceeds the limit, K where none does; fits do not fall."""
    first: NDArray[np.intp] = np.sum(fitted <= limit + _ROUNDING, axis=-1)
    return first


def _geometric_mean(below: float, above: float) -> float:
    # Rounding must not carry the mean of two neighbouring floats out of their bracket.
    return min(max(math.sqrt(below) * math.sqrt(above), below), above)


def _checked(
    rates: ArrayLike, unstable: ArrayLike, max_unstable: float, confidence: float
) -> tuple[_Floats, NDArray[np.bool_]]:
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
    if not 0 <= max_unstable < 1:
        raise InvalidInput(f"fit_cliff: max_unstable is {max_unstable}; it must be in [0, 1)")
    if not 0 < confidence < 1:
        raise InvalidInput(f"fit_cliff: confidence is {confidence}; it must be in (0, 1)")
    return rate, verdicts
