"""Each other optimizer's best beside the best of all, on the seeds that both were trained from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuning.analysis.basin_labels import Labels
from tuning.analysis.candidates import Candidates
from tuning.analysis.cost import steps_spent
from tuning.report.comparison import RivalComparison
from tuning.report.formatting import count, number
from tuning.spec.job import JobSpec
from tuning.statistics.intervals import mcnemar
from tuning.trial.result import SettingResult

__all__ = ["SharedSeeds", "compared"]


@dataclass(frozen=True)
class SharedSeeds(RivalComparison):
    """As its base, but on seeds that played a part in choosing both; costs, where they are known,
    are in `first_cost` and `second_cost` and not in words."""

    @property
    def explanation(self) -> str:
        """A sentence or two."""
        if self.learning_rate is None:
            return f"{self.optimizer}: no stable rate to compare with."
        here = f"{self.optimizer} at {number(self.learning_rate)}, the best of its rates that look "
        if self.starts is None or self.first_only is None or self.second_only is None:
            return f"{here}stable: it shares no seed with the best, so they are not compared."
        return (
            f"{here}stable. Of the {count(self.starts)} seeds that both were trained from, reached "
            f"the target under the best setting only: {count(self.first_only)}; under "
            f"{self.optimizer} only: {count(self.second_only)} (McNemar: p = "
            f"{number(self.p_value)}, which does not allow for both having been chosen on them)."
        )


def compared(
    results: Sequence[SettingResult], labels: Labels, spec: JobSpec
) -> dict[str, RivalComparison]:
    """By name of each optimizer but the best one's; empty where nothing looks stable.

    Args:
        results: of `labels`.
    """
    found = Candidates.of(results, labels, spec)
    best = found.next([], None)
    if best is None:
        return {}
    names = spec.search.space.optimizers
    return {
        name: _beside(best, found.next([], i), found.target.loss, name)
        for i, name in enumerate(names)
        if i != best.setting.optimizer
    }


def _beside(
    best: SettingResult, rival: SettingResult | None, target: float, name: str
) -> SharedSeeds:
    if rival is None:
        return SharedSeeds(name)
    rate = rival.setting.learning_rate
    shared, *rows = np.intersect1d(best.setting.starts, rival.setting.starts, return_indices=True)
    if not shared.size:
        return SharedSeeds(name, rate)
    pair = list(zip((best, rival), rows, strict=True))
    reached = [np.isfinite(r.curves.steps_to(target)[at]) for r, at in pair]
    test = mcnemar(*reached)
    costs = [_cost(r, at, target, who) for (r, at), who in zip(pair, reached, strict=True)]
    return SharedSeeds(
        optimizer=name,
        learning_rate=rate,
        number=rival.setting.number,
        starts=len(shared),
        first_only=test.first_only,
        second_only=test.second_only,
        p_value=test.p_value,
        first_cost=costs[0],
        second_cost=costs[1],
    )


def _cost(
    result: SettingResult, rows: NDArray[np.intp], target: float, reached: NDArray[np.bool_]
) -> float | None:
    if not reached.any():
        return None
    return float(steps_spent(result, target)[rows].sum() / reached.sum())
