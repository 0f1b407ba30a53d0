"""Do two judges say the same of the same restarts?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers import Basin, Outcomes
from trainers.outcomes.basins import best_known, descent_of
from trainers.problem import FloatArray

__all__ = ["Agreement", "compare"]

_DECIDED = [Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM]


class Agreement(NamedTuple):
    """Of `both` restarts that both judges decide: as many as `differ`.

    `astray` of them differ too where J* is for both the lower one that either found, as it would be
    once the whole job knows it. The others differ in J* and not in where they see the restart.
    """

    differ: int
    astray: int
    both: int

    def plus(self, other: Agreement) -> Agreement:
        """Of the restarts of both."""
        return Agreement(*(a + b for a, b in zip(self, other, strict=True)))


def compare(
    ours: Outcomes, loss: FloatArray, lower: FloatArray, known: float | None, material: float
) -> Agreement:
    """Our labels against intervals [`lower`, `loss`], each (R,), of a slower judge.

    Args:
        known: J at the global minimum, or None.
    """
    start = ours.start_loss
    own = best_known(loss, known)
    shared = min(own, best_known(ours.basin_loss, known))
    theirs = _verdicts(loss, lower, own, material * descent_of(start, own))
    tau = material * descent_of(start, shared)
    here = _verdicts(ours.basin_loss, ours.lower_bound, shared, tau)
    there = _verdicts(loss, lower, shared, tau)
    both = np.isin(ours.basin, _DECIDED) & np.isin(theirs, _DECIDED)
    differ = both & (ours.basin != theirs)
    astray = differ & np.isin(here, _DECIDED) & np.isin(there, _DECIDED) & (here != there)
    return Agreement(int(differ.sum()), int(astray.sum()), int(both.sum()))


def _verdicts(loss: FloatArray, lower: FloatArray, best: float, tau: float) -> NDArray[np.object_]:
    found = np.full(len(loss), Basin.UNDETERMINED, dtype=object)
    found[lower > best + tau] = Basin.LOCAL_MINIMUM
    found[loss <= best + tau] = Basin.GLOBAL_MINIMUM
    return found
