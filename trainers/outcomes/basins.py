"""In which basin every restart is, from what is known of the bottoms of all of them.

What is known of a restart alone is kept, and this is done anew when a better minimum is found.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers._rows import filled
from trainers.basins.endpoints import Point
from trainers.judging.intervals import TIGHT
from trainers.problem import FloatArray

__all__ = [
    "Basin",
    "Credibility",
    "Evidence",
    "best_known",
    "credibility",
    "descent_of",
    "is_credible",
    "label_basins",
    "label_evidence",
    "trusted_minimum",
]


class Basin(StrEnum):
    """Where a restart is; one in a local minimum is trapped."""

    GLOBAL_MINIMUM = "global-minimum"
    LOCAL_MINIMUM = "local-minimum"
    SADDLE = "saddle"
    PLATEAU = "plateau"
    UNDETERMINED = "undetermined"


class Evidence(StrEnum):
    """What a basin's label rests on."""

    PROVEN = "proven"  # the Hessian, or pushes, say what kind of point is there
    EXTRAPOLATED = "extrapolated"  # no bottom below is low enough
    LEVEL = "level"  # the loss that was reached


def trusted_minimum(basin_losses: FloatArray, known_minimum: float | None) -> float | None:
    """`known_minimum`, unless something lower was found: then it is none, and no label may rest on
    it."""
    if known_minimum is None:
        return None
    rounding = 1e-6 * max(1.0, abs(known_minimum))
    return None if (basin_losses < known_minimum - rounding).any() else known_minimum


def best_known(basin_losses: FloatArray, known_minimum: float | None) -> float:
    """J*: the known minimum, or else the lowest loss found; NaN if nothing was found."""
    if known_minimum is not None:
        return float(known_minimum)
    finite = basin_losses[np.isfinite(basin_losses)]
    return float(finite.min()) if finite.size else float("nan")


def descent_of(start_losses: FloatArray, best: float) -> float:
    """D: the way from the median loss of the starts that have one down to J*, or the lowest start
    where nothing lower was found; 0 where that is rounding or not known."""
    finite = start_losses[np.isfinite(start_losses)]
    if not finite.size or not np.isfinite(best):
        return 0.0
    middle, lowest = float(np.median(finite)), min(best, float(finite.min()))
    rounding = 64.0 * np.finfo(float).eps * max(abs(middle), abs(lowest))
    return middle - lowest if middle - lowest > rounding else 0.0


class Credibility(NamedTuple):
    """Whether J* may be called the minimum though it is only the best known, and by what.

    `tight` bottoms are known to a quarter of the tolerance, of which as many as `needed` must be;
    `near` of these are within the tolerance of J*, as one must be.
    """

    tight: int
    needed: int
    near: int

    @property
    def holds(self) -> bool:
        return self.tight >= self.needed and self.near > 0


def credibility(
    losses: FloatArray, lower: FloatArray, best: float, tolerance: float, *, least: int
) -> Credibility:
    """Of bottoms between `lower` and `losses`, each (R,), of which `least` must be known well.

    Else to polish nothing would be to reach everything. Restarts that spent their budget on the way
    down are passed over: a few of them would otherwise keep all others from being judged.
    """
    there = np.isfinite(losses)
    tight = there & (losses - lower <= TIGHT * tolerance)
    near = tight & (losses <= best + tolerance)
    return Credibility(int(tight.sum()), min(least, int(there.sum())), int(near.sum()))


def is_credible(
    losses: FloatArray, lower: FloatArray, best: float, tolerance: float, *, least: int
) -> bool:
    """As `credibility`: whether it holds."""
    return credibility(losses, lower, best, tolerance, least=least).holds


def label_basins(
    points: NDArray[np.object_],
    losses: FloatArray,
    lower: FloatArray,
    best: float,
    tolerance: float,
    *,
    known: bool,
    credible: bool = True,
) -> NDArray[np.object_]:
    """Basins (R,) from kinds of point, the losses at the bottom and their lower ends; each (R,).

    Who came within the tolerance of J* has reached it, at rest or not, but not before J* is
    `credible`. Whose bottom is above that is trapped, and would be so the more if J* were lower.
    Where the global minimum is not known, a saddle or plateau stays what it was proven to be.
    """
    basins = filled(len(points), Basin.UNDETERMINED)
    at_rest = (points == Point.MINIMUM) | (points == Point.FLAT)
    open_ = points == Point.UNDETERMINED
    basins[(at_rest | open_) & (lower > best + tolerance)] = Basin.LOCAL_MINIMUM
    basins[points == Point.SADDLE] = Basin.SADDLE
    basins[points == Point.PLATEAU] = Basin.PLATEAU
    reached = known | at_rest | (open_ & credible)
    basins[(losses <= best + tolerance) & reached] = Basin.GLOBAL_MINIMUM
    basins[points == Point.NONE] = None
    return basins


def label_evidence(points: NDArray[np.object_], basins: NDArray[np.object_]) -> NDArray[np.object_]:
    """What the basins (R,) rest on, by kind of point (R,); None where there is none."""
    evidence = filled(len(points), Evidence.PROVEN)
    open_ = points == Point.UNDETERMINED
    evidence[open_ & (basins == Basin.GLOBAL_MINIMUM)] = Evidence.LEVEL
    evidence[open_ & (basins == Basin.LOCAL_MINIMUM)] = Evidence.EXTRAPOLATED
    evidence[(basins == Basin.UNDETERMINED) | (points == Point.NONE)] = None
    return evidence
