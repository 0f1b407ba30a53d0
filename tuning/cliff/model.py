"""P(unstable) as a logistic curve, for starts without thresholds of their own: a model's word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy

from tuning.cliff.observations import FloatArray, Trained
from tuning.cliff.rates import RateRange
from tuning.statistics.intervals import clopper_pearson_lower, clopper_pearson_upper
from tuning.statistics.sequential import SequentialTest

__all__ = ["Model", "telling_trainings"]

_BEYOND, _STEPS = 0.2, 221  # decades beyond both ends of the range; where the cliff may be
_SURELY = 0.95
_NARROWEST, _WIDEST, _WIDTHS = 0.01, 0.6, 14  # decades: scale of the curve


def telling_trainings(blocks: Sequence[Trained]) -> list[tuple[float, int, int]]:
    """(rate, starts, falls) by rates: what tells of P(unstable) though starts were chosen.

    Of each block the starts that no earlier round had, which stand for all; and those that had
    fallen at a higher rate. These fall no less often than others, so that a curve through them is
    on the safe side; where falls are luck alone, as often. Who held at a higher rate is left out.
    """
    seen: dict[int, int] = {}
    lowest: dict[int, float] = {}
    out = []
    for block in blocks:
        new = np.array([seen.setdefault(s, block.round) == block.round for s in block.starts])
        again = np.array([lowest.get(s, 0.0) > block.rate for s in block.starts])
        counts = (new & block.fresh) | again
        if counts.any():
            out.append((block.rate, int(counts.sum()), int(block.fell[counts].sum())))
        for start in block.starts[block.fell].tolist():
            lowest[start] = min(lowest.get(start, math.inf), block.rate)
    return sorted(out)


def _first_rise(
    data: Sequence[tuple[float, int, int]], max_unstable: float
) -> Sequence[tuple[float, int, int]]:
    """As much of `data` as tells of the lowest cliff: all, unless P(unstable) is less again above
    the lowest rate that fails.

    So it is where starts leave a sharp minimum for a wide one, in which they stay at far higher
    rates."""
    for place, (_, count, falls) in enumerate(data):
        bound = clopper_pearson_lower(falls, count, _SURELY)
        if bound > max_unstable:
            joined = fallen = 0
            for _, more, some in data[place + 1 :]:
                joined, fallen = joined + more, fallen + some
                if clopper_pearson_upper(fallen, joined, _SURELY) < bound:
                    return data[: place + 1]
            break
    return data


@dataclass(frozen=True)
class Model:
    """A posterior over where the curve passes `max_unstable` and how steep it is.

    The prior is uniform in the place and in the logarithm of the scale, on a grid.

    Attributes:
        places: (G,) decades. scales: (W,) decades. weights: (G, W), summing to 1.
    """

    within: RateRange
    max_unstable: float
    places: FloatArray
    scales: FloatArray
    weights: FloatArray

    @classmethod
    def of(
        cls, data: Sequence[tuple[float, int, int]], within: RateRange, max_unstable: float
    ) -> Self:
        """The posterior given (rate, starts, falls), by rates."""
        ends = math.log10(within.low) - _BEYOND, math.log10(within.high) + _BEYOND
        places = np.linspace(*ends, _STEPS)
        scales = np.geomspace(_NARROWEST, _WIDEST, _WIDTHS)
        model = cls(within, max_unstable, places, scales, np.empty(0))
        log_weight = np.zeros((_STEPS, _WIDTHS))
        for rate, count, falls in _first_rise(data, max_unstable):
            p = np.clip(model.curve(math.log10(rate)), 1e-9, 1 - 1e-9)
            log_weight += falls * np.log(p) + (count - falls) * np.log1p(-p)
        weights = np.exp(log_weight - log_weight.max())
        return cls(within, max_unstable, places, scales, weights / weights.sum())

    def curve(self, place: float) -> FloatArray:
        """(G, W): P(unstable) at 10 ** place under each cliff and scale."""
        limit = scipy.special.logit(self.max_unstable)
        p: FloatArray = scipy.special.expit(
            limit + (place - self.places[:, np.newaxis]) / self.scales
        )
        return p

    def at(self, rate: float, error: float) -> tuple[float, float, float]:
        """P(unstable) at a rate: its mean, and the ends of an interval with 1 - `error` of it."""
        p, weights = self.curve(math.log10(rate)).ravel(), self.weights.ravel()
        order = np.argsort(p)
        below = np.cumsum(weights[order])
        places = np.searchsorted(below, [error / 2, 1 - error / 2]).clip(max=len(p) - 1)
        low, high = p[order][places].tolist()
        return float(weights @ p), low, high

    def quantiles(self, parts: Sequence[float]) -> list[float]:
        """Rates below which the cliff lies with these probabilities."""
        below = np.cumsum(self.weights.sum(axis=1))
        places = [min(int(np.searchsorted(below, part)), _STEPS - 1) for part in parts]
        return [float(10 ** self.places[place]) for place in places]

    def safe_rate(
        self, confidence: float, test: SequentialTest | None, chance: float
    ) -> float | None:
        """The highest rate that passes `test` with probability `chance`; without a test, that is
        below the cliff with this confidence. None if there is none in the range."""
        if test is None:
            rate = self.quantiles([1 - confidence])[0]
            return self.within.at(math.log10(rate)) if rate >= self.within.low else None
        grid = np.linspace(0.0, 1.0, 401)
        passes = test.pass_probability(grid)
        bottom, top = math.log10(self.within.low), math.log10(self.within.high)
        for place in self.places[::-1]:
            if bottom <= place <= top:
                p = self.curve(float(place))
                if float((self.weights * np.interp(p, grid, passes)).sum()) >= chance:
                    return self.within.at(float(place))
        return None
