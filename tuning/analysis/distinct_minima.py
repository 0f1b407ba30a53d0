"""Distinct minima, by loss and curvature: of raw parameters every permutation looks new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainers import Basin, Point
from trainers.judging.intervals import TIGHT
from tuning.analysis.basin_labels import Labels
from tuning.report.model import Minimum
from tuning.statistics.intervals import UnseenMass, unseen_mass
from tuning.trial.result import Restarts, SettingResult

__all__ = ["distinct_minima"]

# Bottoms are polished until what is left to gain is 1e-12 of the descent; curvatures come from
# differences within 1e-4 of the bottom.
_SAME_LOSS = 1e-9
_SAME_CURVATURE = 1e-2
# Those at a jump of the gradient are known to `Thresholds.negligible` of the descent.
_SAME_FLAT_LOSS = 1e-6
_KINDS = {Point.MINIMUM: 0, Point.FLAT: 1, Point.UNDETERMINED: 2}


def distinct_minima(
    results: Sequence[SettingResult], labels: Labels
) -> tuple[tuple[Minimum, ...], UnseenMass | None]:
    """The minima found, the lowest first, and the starts' mass that may lead to others.

    Strict ones are told apart by loss and curvature. Those that are flat in some directions by loss
    alone: their curvatures change along the bottom. What is not proven, but reached J* or is known
    to a quarter of the tolerance, by levels that are further apart than the tolerance. Points at
    rest that are no minimum, and those at infinity, are left out.

    One start that ends in one minimum under many settings is one sighting: settings share their
    starts, and counting them all would make the unseen look smaller than it is.
    """
    rows = [
        (
            t.basin_loss[i],
            t.largest_curvature[i],
            t.smallest_curvature[i],
            r.setting.number,
            r.setting.starts[i],
            _KINDS[t.point[i]],
        )
        for r in results
        for t in (r.restarts,)
        for i in np.flatnonzero(_seen(t, labels))
    ]
    if not rows:
        return (), None
    table = np.array(rows, dtype=np.float64)
    descent = max(labels.start_loss - labels.best, 0.0)
    strict, flat, open_ = (table[table[:, 5] == kind] for kind in range(3))
    leveled = [
        (float(level[:, 0].min()), members)
        for level in _split(strict, strict[:, 0], _SAME_LOSS * descent)
        for members in _split(level, np.log(np.maximum(level[:, 1], 1e-300)), _SAME_CURVATURE)
    ]
    for rows_of, gap in ((flat, _SAME_FLAT_LOSS * descent), (open_, labels.tolerance)):
        leveled += [
            (float(level[:, 0].min()), level) for level in _split(rows_of, rows_of[:, 0], gap)
        ]
    groups = [members for _, members in sorted(leveled, key=lambda pair: pair[0])]
    sightings = [len(np.unique(members[:, 4])) for members in groups]
    # Starts are what was drawn at random, so it is their number that bounds an unseen basin.
    better = 1.0 - 0.05 ** (1.0 / len(np.unique(table[:, 4])))
    found = tuple(_minimum(members, labels, descent) for members in groups)
    return found, replace(unseen_mass(sightings), better_high=better)


def _seen(table: Restarts, labels: Labels) -> NDArray[np.bool_]:
    """Which restarts (R,) are known to have come to a minimum, or to the level of one."""
    proven = (table.point == Point.MINIMUM) | (table.point == Point.FLAT)
    known = table.basin_loss - table.lower_bound <= TIGHT * labels.tolerance
    known |= labels.basins_of(table) == Basin.GLOBAL_MINIMUM
    return np.asarray(proven | ((table.point == Point.UNDETERMINED) & known))


def _minimum(members: NDArray[np.float64], labels: Labels, descent: float) -> Minimum:
    loss = float(members[:, 0].min())
    smallest, largest = _median(members[:, 2]), _median(members[:, 1])
    counts = Counter(int(n) for n in members[:, 3])
    return Minimum(
        loss=loss,
        above_best=(loss - labels.best) / descent if descent > 0 else None,
        count=len(members),
        is_global=loss <= labels.best + labels.tolerance,
        smallest_curvature=smallest,
        largest_curvature=largest,
        gd_limit=2.0 / largest if largest > 0 else None,
        found_by=dict(sorted(counts.items())),
        flat=members[0, 5] == _KINDS[Point.FLAT],
        by_level=members[0, 5] == _KINDS[Point.UNDETERMINED],
    )


def _median(curvatures: NDArray[np.float64]) -> float:
    """Of those that were measured; NaN if none was."""
    measured = curvatures[np.isfinite(curvatures)]
    return float(np.median(measured)) if measured.size else float("nan")


def _split(
    table: NDArray[np.float64], values: NDArray[np.float64], gap: float
) -> list[NDArray[np.float64]]:
    """The rows of `table` by `values` (a column of it, or a function of one), ascending, parted
    wherever two values are further apart than `gap` and rounding."""
    if not len(table):
        return []
    order = np.argsort(values, kind="stable")
    rounding = 1e-13 * np.abs(values[order][1:])
    cuts = np.flatnonzero(np.diff(values[order]) > gap + rounding) + 1
    return np.split(table[order], cuts)
