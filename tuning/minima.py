"""Distinct minima, by loss and curvature: of raw parameters every permutation looks new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainers import Point
from tuning.labels import Labels
from tuning.report import Minimum
from tuning.results import SettingResult
from tuning.statistics import UnseenMass, unseen_mass

__all__ = ["distinct_minima"]

# Bottoms are polished until what is left to gain is 1e-12 of the descent; curvatures come from
# differences within 1e-4 of the bottom.
_SAME_LOSS = 1e-9
_SAME_CURVATURE = 1e-2


def distinct_minima(
    results: Sequence[SettingResult], labels: Labels
) -> tuple[tuple[Minimum, ...], UnseenMass | None]:
    """The strict minima found, the lowest first, and the starts' mass that may lead to others.

    One start that ends in one minimum under many settings is one sighting: settings share their
    starts, and counting them all would make the unseen look smaller than it is.
    """
    rows = [
        (
            t.basin_loss[i],
            t.largest_curvature[i],
            t.smallest_curvature[i],
            r.setting.number,
            r.setting.first + i,
        )
        for r in results
        for t in (r.restarts,)
        for i in np.flatnonzero(t.point == Point.MINIMUM)
    ]
    if not rows:
        return (), None
    table = np.array(rows, dtype=np.float64)
    descent = max(labels.start_loss - labels.best, 0.0)
    group = _clusters(table[:, 0], _SAME_LOSS * descent + 1e-13 * np.abs(table[:, 0]))
    found: list[Minimum] = []
    sightings: list[int] = []
    for g in range(int(group.max()) + 1):
        alike = table[group == g]
        kinds = _clusters(
            np.log(np.maximum(alike[:, 1], 1e-300)), np.full(len(alike), _SAME_CURVATURE)
        )
        for k in range(int(kinds.max()) + 1):
            members = alike[kinds == k]
            found.append(_minimum(members, labels, descent))
            sightings.append(len(np.unique(members[:, 4])))
    # Starts are what was drawn at random, so it is their number that bounds an unseen basin.
    better = 1.0 - 0.05 ** (1.0 / len(np.unique(table[:, 4])))
    return tuple(found), replace(unseen_mass(sightings), better_high=better)


def _minimum(members: NDArray[np.float64], labels: Labels, descent: float) -> Minimum:
    loss = float(members[:, 0].min())
    largest = float(np.median(members[:, 1]))
    counts = Counter(int(n) for n in members[:, 3])
    return Minimum(
        loss=loss,
        above_best=(loss - labels.best) / descent if descent > 0 else None,
        count=len(members),
        is_global=loss <= labels.best + labels.tolerance,
        smallest_curvature=float(np.median(members[:, 2])),
        largest_curvature=largest,
        gd_limit=2.0 / largest if largest > 0 else None,
        found_by=dict(sorted(counts.items())),
    )


def _clusters(values: NDArray[np.float64], tolerance: NDArray[np.float64]) -> NDArray[np.intp]:
    """Cluster number of each value, ascending; a gap above the tolerance begins a new one."""
    order = np.argsort(values, kind="stable")
    new = np.diff(values[order]) > tolerance[order][1:]
    out = np.empty(len(values), dtype=np.intp)
    out[order] = np.concatenate([[0], np.cumsum(new)])
    return out
