"""Labels that need all results: which minimum is the global one, and so who is trapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers import Thresholds
from trainers.basins.descent import Point
from trainers.outcomes.classify import best_known, label_basins, material_tolerance, trusted_minimum
from tuning.trial.result import SettingResult

__all__ = ["Labels"]


@dataclass(frozen=True)
class Labels:
    """J* and what follows from it, for all results of a job; made anew whenever J* improves.

    Attributes:
        best: J*, NaN if nothing was found. known: whether the problem knows it; it does not if a
            restart found a lower one than it says.
        tolerance: how far above J* still counts as the global minimum.
        start_loss: median J0 over the starts.
        basins: an array (R,) of `Basin` for each result, None where it diverged.
    """

    best: float
    known: bool
    tolerance: float
    start_loss: float
    basins: tuple[NDArray[np.object_], ...]

    @classmethod
    def of(
        cls, results: Sequence[SettingResult], known_minimum: float | None, thresholds: Thresholds
    ) -> Labels:
        """Labels of `results`, by number."""
        found = np.concatenate([r.restarts.basin_loss for r in results])
        known_minimum = trusted_minimum(found, known_minimum)
        best = best_known(found, known_minimum)
        # The settings share their starts, and each counts once.
        by_start = {
            start: loss
            for r in {r.setting.starts: r for r in reversed(results)}.values()
            for start, loss in zip(r.setting.starts, r.restarts.start_loss, strict=True)
        }
        starts = np.array(list(by_start.values()), dtype=np.float64)
        finite = starts[np.isfinite(starts)]
        middle = float(np.median(finite)) if finite.size else float("nan")
        tolerance = (
            material_tolerance(finite, best, thresholds)
            if finite.size and np.isfinite(best)
            else 0.0
        )
        known = known_minimum is not None
        basins = [
            label_basins(
                _points(r.restarts.point), r.restarts.basin_loss, best, tolerance, known=known
            )
            for r in results
        ]
        return cls(best, known, tolerance, middle, tuple(basins))


def _points(names: NDArray[np.str_]) -> NDArray[np.object_]:
    out: NDArray[Any] = np.empty(len(names), dtype=object)
    out[:] = [Point(name) for name in names.tolist()]
    return out
