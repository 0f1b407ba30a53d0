"""`Labels` of a job that goes on: only what is new is labelled, unless J* or D have moved."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

import numpy as np
from numpy.typing import NDArray

from trainers import Thresholds
from trainers.judging.intervals import leaders
from trainers.outcomes.basins import (
    Credibility,
    best_known,
    credibility,
    descent_of,
    trusted_minimum,
)
from tuning.analysis.basin_labels import Labels, relabelled, start_losses
from tuning.trial.result import SettingResult

__all__ = ["RunningLabels"]


class RunningLabels:
    """Gives what `Labels.of` gives, to the last bit, for one prefix of a job's results after
    another.

    What it keeps is a memory and no state: a sequence that does not begin with the results seen
    before is labelled from the start.
    """

    def __init__(self, known_minimum: float | None, thresholds: Thresholds) -> None:
        self._given, self._limits = known_minimum, thresholds
        self._begin()

    def of(self, results: Sequence[SettingResult]) -> Labels:
        """Labels of `results`, by number; at least one."""
        if len(results) < len(self._seen) or not all(map(is_, self._seen, results)):
            self._begin()
        if new := results[len(self._seen) :]:
            self._take(new)
        return Labels(
            best=self._best,
            known=self._known is not None,
            credibility=self._credibility,
            start_loss=self._start_loss,
            descent=self._descent,
            tolerance=self._tolerance,
            results=tuple(self._labelled),
            limits=self._limits,
        )

    def _begin(self) -> None:
        self._seen: list[SettingResult] = []
        self._labelled: list[SettingResult] = []
        self._known = self._given
        self._best = self._lowest = self._start_loss = float("nan")
        self._descent = self._tolerance = 0.0
        self._starts = np.zeros(0)
        # Of the results that share their starts, the first; the starts met last at the end.
        self._first: dict[tuple[int, ...], SettingResult] = {}
        self._credibility = Credibility(0, 0, 0)
        self._bottoms = 0

    def _take(self, new: Sequence[SettingResult]) -> None:
        self._seen += new
        losses = np.concatenate([r.restarts.basin_loss for r in new])
        lower = np.concatenate([r.restarts.lower_bound for r in new])
        before = (self._known, self._best, self._descent, self._tolerance)
        self._known = trusted_minimum(losses, self._known)
        self._lowest = float(np.fmin(self._lowest, best_known(losses, None)))
        self._best = self._lowest if self._known is None else float(self._known)
        self._meet(new)
        self._descent = descent_of(self._starts, self._best)
        known = self._known is not None
        self._tolerance = self._limits.material_for(known=known) * self._descent
        if before == (self._known, self._best, self._descent, self._tolerance):
            self._add(losses, lower)
        else:
            self._credibility, self._bottoms = Credibility(0, 0, 0), 0
            self._add(
                np.concatenate([r.restarts.basin_loss for r in self._seen]),
                np.concatenate([r.restarts.lower_bound for r in self._seen]),
            )
        if before[2] != self._descent:
            self._labelled, new = [], self._seen
        self._labelled += [relabelled(r, self._descent, self._limits) for r in new]

    def _meet(self, new: Sequence[SettingResult]) -> None:
        """The start losses, if there are other starts than before, or in another order."""
        order = list(self._first)
        for result in new:
            starts = result.setting.starts
            self._first[starts] = self._first.pop(starts, result)
        if order != list(self._first):
            self._starts = start_losses(list(self._first.values()))
            finite = self._starts[np.isfinite(self._starts)]
            self._start_loss = float(np.median(finite)) if finite.size else float("nan")

    def _add(self, losses: NDArray[np.float64], lower: NDArray[np.float64]) -> None:
        """Count more bottoms, on the scale as it is."""
        least = leaders(1)
        more = credibility(losses, lower, self._best, self._tolerance, least=least)
        self._bottoms += int(np.isfinite(losses).sum())
        self._credibility = Credibility(
            tight=self._credibility.tight + more.tight,
            needed=min(least, self._bottoms),
            near=self._credibility.near + more.near,
        )
