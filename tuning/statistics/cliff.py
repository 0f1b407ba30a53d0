"""The cliff: the learning rate at which an optimizer stops being stable.

P(unstable) is fitted as a non-decreasing function of the learning rate, unless a test refuses that
it is one (`monotonicity`): then there is no one cliff, and the highest rate below which all is
stable is told instead. Between two tried rates
the fit says nothing, so the cliff is a bracket of two neighbouring rates, and a bootstrap over the
shared starts says how far that bracket may move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from trainers.errors import InvalidInput
from tuning.statistics.monotonicity import Fall, steepest_fall
from tuning.statistics.shared_starts import SharedStarts

__all__ = ["Basis", "Cliff", "CurvePoint", "fit_cliff"]

_REPLICATES = 400
# Averages of averages round: 1 of 20 must not exceed 0.05.
_ROUNDING = 1e-12

_Floats = NDArray[np.float64]


class CurvePoint(NamedTuple):
    """P(unstable) at one tried learning rate, with its pointwise band: fitted, or as observed where
    monotony is refused. `restarts` were trained there."""

    rate: float
    fitted: float
    low: float
    high: float
    restarts: int


class Basis(StrEnum):
    """What a cliff rests on.

    Attributes:
        ISOTONIC: settings that share their starts (`fit_cliff`).
        THRESHOLDS: the rates above which each start falls (`tuning.cliff`).
        MODEL: a logistic curve, for an audit found that starts have no such rates.
    """

    ISOTONIC = "isotonic"
    THRESHOLDS = "thresholds"
    MODEL = "model"


@dataclass(frozen=True)
class Cliff:
    """Where `optimizer` stops being stable. All but `curve` and `ring` are learning rates.

    `estimate` is None when the fit does not cross the limit within the tried rates. `low` is None
    when the restarts bound the cliff by no tried rate from below, `high` when by none from above.
    `lowest_failing` is the lowest tried rate that by itself exceeded the limit. It may lie far
    below the cliff: the boundary of trainability is fractal (Sohl-Dickstein 2024, arXiv
    2402.06184). `stable_up_to` is the highest rate below which all is stable: the highest tried
    one below `lowest_failing`, None where that is the lowest.

    `ring` is None unless monotony is refused; then it is the two rates that speak most against it,
    `estimate`, `low` and `high` are None, and `stable_up_to` is what is known. `basis` says what
    all of it rests on, `starts` on how many starts.
    """

    optimizer: str
    estimate: float | None
    low: float | None
    high: float | None
    lowest_failing: float | None
    stable_up_to: float | None
    highest_tried: float
    lowest_tried: float
    curve: tuple[CurvePoint, ...]
    ring: Fall | None
    basis: Basis
    starts: int

    @property
    def explanation(self) -> str:
        """One sentence, such as "never unstable up to 10", without capital and full stop."""
        starts = f"{self.starts} starts"
        because = {
            Basis.ISOTONIC: "",
            Basis.THRESHOLDS: f"; by the thresholds of {starts}",
            Basis.MODEL: f"; by a model, for not all of {starts} fall above one rate alone",
        }
        return self._explain() + because[self.basis]

    def _explain(self) -> str:
        if self.ring is not None:
            return self._explain_ring(self.ring)
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

    def _explain_ring(self, ring: Fall) -> str:
        if self.stable_up_to is None:
            stable = f"unstable already at {self.lowest_tried:.3g}"
        elif self.lowest_failing is None:
            stable = f"never unstable up to {self.highest_tried:.3g}"
        else:
            stable = (
                f"stable at every tried rate up to {self.stable_up_to:.3g}, "
                f"and unstable at {self.lowest_failing:.3g}"
            )
        return (
            f"{stable}; no cliff is fitted, for P(unstable) does not only rise with the rate: "
            f"{ring.lower_only} restarts are unstable at {ring.lower:.3g} but not at "
            f"{ring.higher:.3g}, {ring.higher_only} the other way (monotony refused, "
            f"p = {ring.p_value:.2g})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Every field and the explanation, ready for JSON."""
        return {
            "optimizer": self.optimizer,
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "lowest_failing": self.lowest_failing,
            "stable_up_to": self.stable_up_to,
            "highest_tried": self.highest_tried,
            "lowest_tried": self.lowest_tried,
            "basis": self.basis.value,
            "starts": self.starts,
            "curve": [point._asdict() for point in self.curve],
            "monotone": self.ring is None,
            "ring": None if self.ring is None else asdict(self.ring),
            "explanation": self.explanation,
        }


def fit_cliff(
    optimizer: str,
    rates: ArrayLike,
    unstable: ArrayLike,
    max_unstable: float,
    confidence: float,
    seed: int | Sequence[int],
    trained: ArrayLike | None = None,
) -> Cliff:
    """Where P(unstable) first exceeds `max_unstable`, with an interval at level `confidence`.

    Monotony is tested first, at level 1 - `confidence`. Where it is not refused, the fit is the
    isotonic regression of the unstable fraction (Barlow et al. 1972), settings at the same rate
    pooled; the cliff lies between the last rate it leaves stable and the next, and the estimate is
    their geometric mean.

    The interval comes from a Bayesian bootstrap (Rubin 1981) that reweights whole restarts, because
    the same start is used at every rate. To the R restarts it adds half an imaginary one that is
    unstable at every rate and half a one that is unstable at none. So P(unstable) at each rate
    follows Beta(k + 1/2, R - k + 1/2), Jeffreys' posterior (Brown, Cai and DasGupta 2001), which
    has width where all restarts agree: resampling 0 of 64 would only ever give 0. An end that the
    restarts are too few to place is None: below 0.05 at 95 % even 0 of R bounds nothing until R
    is about 50. Where only R' of the restarts were trained at a rate, their weights are scaled to
    add up to 1 there, with those of the two imaginary ones: that leaves Beta(k + 1/2, R' - k +
    1/2), for a part of a Dirichlet vector is one itself.

    Args:
        optimizer: name, carried through.
        rates: (S,) learning rates, in any order, repeated or not.
        unstable: (S, R) bool, whether restart i was unstable under each setting.
        max_unstable: the limit on P(unstable), at least 0 and below 1.
        confidence: two-sided level of the interval and of the curve's pointwise band.
        seed: of the bootstrap; the same seed gives the same answer.
        trained: (S, R) bool, whether restart i was trained under each setting; all unless given.

    Raises:
        InvalidInput: for wrong shapes, a setting without restarts, a rate that is not positive and
            finite, or a level or limit out of range.
    """
    _check_levels(max_unstable, confidence)
    told = SharedStarts.of(rates, unstable, trained)
    distinct, observed, weights = told.distinct, told.observed, told.weights
    fails = observed > max_unstable + _ROUNDING
    failing, below_all = distinct[fails], distinct[~np.logical_or.accumulate(fails)]
    fall = steepest_fall(told.rates, told.unstable, told.trained)
    ring = fall if fall is not None and fall.p_value <= 1 - confidence else None
    replicates = _replicates(told.fraction, told.there, seed)
    tail = (1 - confidence) / 2
    estimate, low, high, fitted = None, None, None, observed
    if ring is None:
        fitted = _isotonic(observed, weights)
        replicates = np.stack([_isotonic(fractions, weights) for fractions in replicates])
        estimate, low, high = _crossing(distinct, fitted, replicates, max_unstable, tail)
    band = np.quantile(replicates, [tail, 1 - tail], axis=0)
    # Jeffreys' interval is taken to the end where all agree (Brown, Cai and DasGupta 2001, 4.3).
    band_low, band_high = np.minimum(band[0], fitted), np.maximum(band[1], fitted)
    return Cliff(
        optimizer=optimizer,
        estimate=estimate,
        low=low,
        high=high,
        lowest_failing=float(failing[0]) if failing.size else None,
        stable_up_to=float(below_all[-1]) if below_all.size else None,
        highest_tried=float(distinct[-1]),
        lowest_tried=float(distinct[0]),
        curve=tuple(
            CurvePoint(*point)
            for point in zip(
                distinct.tolist(),
                fitted.tolist(),
                band_low.tolist(),
                band_high.tolist(),
                told.restarts.tolist(),
                strict=True,
            )
        ),
        ring=ring,
        basis=Basis.ISOTONIC,
        starts=told.unstable.shape[1],
    )


def _crossing(
    distinct: _Floats, fitted: _Floats, replicates: _Floats, limit: float, tail: float
) -> tuple[float | None, float | None, float | None]:
    """Where isotonic fits pass the limit: the estimate, and the ends of its interval."""
    first = int(_first_exceeding(fitted, limit))
    firsts = _first_exceeding(replicates, limit)
    # Order statistics, not interpolation: the bracket's ends are tried rates. The interval holds
    # the bracket of the fit itself, within which nothing is known.
    lowest = min(first, int(np.quantile(firsts, tail, method="lower")))
    highest = max(first, int(np.quantile(firsts, 1 - tail, method="higher")))
    edges: list[float | None] = [None, *distinct.tolist(), None]
    below, above = edges[first], edges[first + 1]
    estimate = None if below is None or above is None else _geometric_mean(below, above)
    return estimate, edges[lowest], edges[highest + 1]


def _replicates(pooled: _Floats, there: NDArray[np.bool_], seed: int | Sequence[int]) -> _Floats:
    """(B, K) unstable fractions of reweighted restarts; `pooled` and `there`, which of them were
    trained at each rate, are (K, R)."""
    restarts = pooled.shape[1]
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    mass = rng.dirichlet([*np.ones(restarts), 0.5, 0.5], size=_REPLICATES)
    always_unstable = mass[:, restarts, np.newaxis]
    fractions: _Floats = mass[:, :restarts] @ pooled.T + always_unstable
    if not there.all():
        imaginary = mass[:, restarts:].sum(axis=1)[:, np.newaxis]
        fractions /= mass[:, :restarts] @ there.T.astype(float) + imaginary
    return fractions


def _isotonic(fraction: _Floats, weights: _Floats) -> _Floats:
    fitted: _Floats = scipy.optimize.isotonic_regression(fraction, weights=weights).x
    return fitted


def _first_exceeding(fitted: _Floats, limit: float) -> NDArray[np.intp]:
    """Index of the first rate whose fit exceeds the limit, K where none does; fits do not fall."""
    first: NDArray[np.intp] = np.sum(fitted <= limit + _ROUNDING, axis=-1)
    return first


def _geometric_mean(below: float, above: float) -> float:
    # Rounding must not carry the mean of two neighbouring floats out of their bracket.
    return min(max(math.sqrt(below) * math.sqrt(above), below), above)


def _check_levels(max_unstable: float, confidence: float) -> None:
    if not 0 <= max_unstable < 1:
        raise InvalidInput(f"fit_cliff: max_unstable is {max_unstable}; it must be in [0, 1)")
    if not 0 < confidence < 1:
        raise InvalidInput(f"fit_cliff: confidence is {confidence}; it must be in (0, 1)")
