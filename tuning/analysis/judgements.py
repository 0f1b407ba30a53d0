"""What the labels of basins rest on, and how much they would change: by tolerance, and with J*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainers import Basin
from trainers.judging.intervals import TIGHT
from trainers.judging.judge import TOLERANCES
from trainers.outcomes.basins import best_known
from tuning.analysis.basin_labels import Labels
from tuning.report.model import OwnBest
from tuning.statistics.intervals import Rate, wilson
from tuning.trial.result import Restarts

__all__ = [
    "drift",
    "drifts",
    "found_by",
    "own_bests",
    "share",
    "trapped_by_tolerance",
    "unstable_share",
]


def share(basins: NDArray[np.object_], basin: Basin) -> Rate:
    """How many of R restarts are in `basin`; who is not judged widens the interval, and who
    diverged is in none."""
    undecided, absent = int((basins == Basin.UNDETERMINED).sum()), sum(b is None for b in basins)
    count = int((basins == basin).sum())
    return wilson(count, len(basins), undecided=undecided, absent=absent)


def unstable_share(restarts: Restarts) -> Rate:
    """How many of R restarts fell; of whom that is not known, widens the interval."""
    unknown = int(restarts.doubtful.sum())
    return wilson(int(restarts.unstable.sum()), len(restarts), undecided=unknown)


def trapped_by_tolerance(labels: Labels, restarts: Restarts) -> dict[str, Rate]:
    """The share of trapped restarts at each of three tolerances, in parts of the descent."""
    return {
        f"{part:g}": share(labels.basins_of(restarts, part * labels.descent), Basin.LOCAL_MINIMUM)
        for part in TOLERANCES
    }


def drift(labels: Labels) -> float | None:
    """The share of judged restarts whose label would change if J* fell by the tolerance. None where
    J* is known, or nobody is judged."""
    if labels.known or not np.isfinite(labels.best):
        return None
    lower = replace(labels, best=labels.best - labels.tolerance)
    now, then = np.concatenate(labels.basins), np.concatenate(lower.basins)
    judged = _judged(now)
    return float((now != then)[judged].mean()) if judged.any() else None


def drifts(labels: Labels) -> bool:
    """Whether twice as many restarts are likely to find a J* that is materially lower: those of the
    even starts, or of the odd ones, alone did not find this one, to a quarter of the tolerance."""
    if labels.known or not np.isfinite(labels.best):
        return False
    losses = np.concatenate([r.restarts.basin_loss for r in labels.results])
    odd = np.concatenate([np.array(r.setting.starts) % 2 for r in labels.results]) > 0
    halves = [best_known(losses[half], None) for half in (odd, ~odd)]
    return bool(max(halves) > labels.best + TIGHT * labels.tolerance)


def _judged(basins: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.array([b not in (None, Basin.UNDETERMINED) for b in basins], dtype=bool)


def found_by(labels: Labels, names: Sequence[str]) -> str | None:
    """The optimizer that found J*."""
    lowest = [(r.restarts.basin_loss, r.setting.optimizer) for r in labels.results]
    finite = [(np.nanmin(losses), of) for losses, of in lowest if np.isfinite(losses).any()]
    return names[min(finite)[1]] if finite else None


def own_bests(labels: Labels, names: Sequence[str]) -> dict[str, OwnBest]:
    """By optimizer: the lowest bottom below its own restarts, and how many came to that."""
    out = {}
    for i, name in enumerate(names):
        mine = [r.restarts for r in labels.results if r.setting.optimizer == i]
        losses = np.concatenate([t.basin_loss for t in mine]) if mine else np.zeros(0)
        if not np.isfinite(losses).any():
            continue
        own = replace(labels, best=float(np.nanmin(losses)), known=False)
        basins = np.concatenate([own.basins_of(table) for table in mine])
        out[name] = OwnBest(own.best, share(basins, Basin.GLOBAL_MINIMUM))
    return out
