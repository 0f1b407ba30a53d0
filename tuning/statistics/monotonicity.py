"""Whether P(unstable) may be taken to rise with the learning rate.

An isotonic fit assumes that it does, and hides a ring: rates that fail below rates that hold, as
momentum's medium rates may. So the assumption is tested before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["Fall", "steepest_fall"]


@dataclass(frozen=True)
class Fall:
    """The pair of rates whose order speaks most against monotony.

    Attributes:
        lower, higher: the rates; restarts fail at the lower one that do not at the higher.
        lower_only, higher_only: how many restarts failed at one of them alone.
        p_value: of the test of monotony, which knows how many pairs there were.
    """

    lower: float
    higher: float
    lower_only: int
    higher_only: int
    p_value: float


def steepest_fall(
    rates: NDArray[np.float64],
    unstable: NDArray[np.bool_],
    trained: NDArray[np.bool_] | None = None,
) -> Fall | None:
    """Test of "P(unstable) never falls from a rate to a higher one"; None where no pair falls.

    Monotony is P_i <= P_j for every pair of rates i < j. Settings share their starts, so a pair is
    compared by McNemar's (1947) exact test, one-sided: of the restarts that are unstable at one of
    the two alone, those at the lower are at most Binomial(n, 1/2) where P_i <= P_j. Monotony as a
    whole is refused by the least p-value, each multiplied by what makes that fair: Bonferroni's
    inequality with weights (Rosenthal & Rubin 1983), which asks nothing of how the pairs hang
    together. So the level holds for every monotone P, flat or not, and any number of restarts.

    Pairs that lie l tried rates apart share the part 1 / (l (l + 1)) of the level; these parts sum
    to at most 1. A ring has an edge, where neighbours differ, so neighbours have half.

    A bootstrap about the isotonic fit sees smaller rings, but does not hold its level here:
    measured on 12 rates, six at 0 and six at 50 %, it refused 10 % at 16 restarts and 7 % at 64,
    when asked for 5 %.

    Args:
        rates: (S,) learning rates, in any order, repeated or not.
        unstable: (S, R) bool; restart i has the same start under every setting.
        trained: (S, R) bool, whether it was trained there; all unless given. A pair is compared by
            those that were trained at both.
    """
    place = np.unique(rates, return_inverse=True)[1]
    lower, higher = np.nonzero(place[:, np.newaxis] < place)
    if not lower.size:
        return None
    known = np.ones_like(unstable) if trained is None else trained
    fell, held = (unstable & known).astype(np.int64), (~unstable & known).astype(np.int64)
    only = fell @ held.T  # (S, S): unstable under the first, not under the second
    falls, rises = only[lower, higher], only[higher, lower]
    chance = np.asarray(scipy.stats.binom.sf(falls - 1, falls + rises, 0.5))
    apart = place[higher] - place[lower]
    chance = chance * np.bincount(apart)[apart] * apart * (apart + 1)
    least = int(np.argmin(chance))
    if falls[least] <= rises[least]:
        return None
    return Fall(
        lower=float(rates[lower[least]]),
        higher=float(rates[higher[least]]),
        lower_only=int(falls[least]),
        higher_only=int(rises[least]),
        p_value=min(1.0, float(chance[least])),
    )
