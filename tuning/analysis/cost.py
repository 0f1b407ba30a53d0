"""What success costs, by which stable settings are ordered and compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tuning.trial.result import SettingResult

__all__ = ["expected_running_time", "steps_spent"]


def expected_running_time(
    result: SettingResult, target: float, first: int | None = None
) -> tuple[float, int]:
    """Steps spent by all restarts for each that reached `target`, or infinite; and how many did.

    The expected running time of the COCO platform (Hansen et al. 2021): a restart that reached the
    target spent the steps until then, one that diverged those until it left, any other all of them.

    Args:
        first: so many restarts, from the first; all unless given.
    """
    reached = int(np.isfinite(result.curves.steps_to(target)[:first]).sum())
    spent = float(steps_spent(result, target)[:first].sum())
    return (spent / reached if reached else float("inf")), reached


def steps_spent(result: SettingResult, target: float) -> NDArray[np.float64]:
    """(R,): of each restart, as in `expected_running_time`."""
    steps = result.curves.steps_to(target)
    table = result.restarts
    left = np.where(table.diverged, table.diverged_at, result.curves.steps[-1])
    return np.where(np.isfinite(steps), steps, left).astype(np.float64)
