"""What success costs, by which stable settings are ordered and compared."""

from __future__ import annotations

import numpy as np

from tuning.trial.result import SettingResult

__all__ = ["expected_running_time"]


def expected_running_time(
    result: SettingResult, target: float, first: int | None = None
) -> tuple[float, int]:
    """Steps spent by all restarts for each that reached `target`, or infinite; and how many did.

    The expected running time of the COCO platform (Hansen et al. 2021): a restart that reached the
    target spent the steps until then, one that diverged those until it left, any other all of them.

    Args:
        first: so many restarts, from the first; all unless given.
    """
    steps = result.curves.steps_to(target)[:first]
    reached = np.isfinite(steps)
    table = result.restarts
    left = np.where(table.diverged, table.diverged_at, result.curves.steps[-1])[:first]
    count = int(reached.sum())
    return (float(np.where(reached, steps, left).sum() / count) if count else float("inf")), count
