"""Like with like: the winner beside each other optimizer's own best, on the same fresh starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuning.analysis.cost import expected_running_time
from tuning.report.comparison import RivalComparison
from tuning.spec.job import JobSpec
from tuning.statistics.intervals import mcnemar
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Block, Role

__all__ = ["COMPARED_STARTS", "Rival", "compare", "compared_restarts", "rivals_of"]

#: Of 64 starts a difference that befalls 6 of them, all to one side, has p = 0.03.
COMPARED_STARTS = 64


def compared_restarts(spec: JobSpec) -> int:
    """What comparing takes at most, after a confirmation."""
    return COMPARED_STARTS * (len(spec.search.optimizers) - 1)


@dataclass(frozen=True)
class Rival:
    """Another optimizer beside the winner.

    Attributes:
        wanted: what is trained of it: the best of its rates that look stable, on the first starts
            of the winner's confirmation. None where no rate of it looks stable.
        fresh: what that gave, once it is trained.
    """

    wanted: Block | None
    fresh: SettingResult | None


def rivals_of(
    winner: SettingResult,
    confirmed: SettingResult,
    nominee: Callable[[int], SettingResult | None],
    results: Sequence[SettingResult],
    spec: JobSpec,
) -> dict[int, Rival]:
    """By optimizer, each but the winner's.

    Args:
        winner: its result in the search. confirmed: that on fresh starts, at the same rate.
        nominee: whom of an optimizer to try next, if anybody.
        results: all that are known, one a trial.
    """
    trained = {r.setting.blocks: r for r in of_role(results, Role.COMPARISON)}
    starts = confirmed.setting.starts[:COMPARED_STARTS]
    rivals = {}
    for optimizer in range(len(spec.search.space.optimizers)):
        if optimizer == winner.setting.optimizer:
            continue
        best = nominee(optimizer)
        if best is None:
            rivals[optimizer] = Rival(None, None)
            continue
        wanted = Block(optimizer, best.setting.hyperparameters, starts)
        rivals[optimizer] = Rival(wanted, trained.get((wanted,)))
    return rivals


def compare(
    confirmed: SettingResult, rivals: Mapping[int, Rival], target: float, names: Sequence[str]
) -> dict[str, RivalComparison]:
    """By name of the rival: who reached `target`, start by start, and at which cost."""
    return {
        names[optimizer]: _compare(confirmed, rival, target, names[optimizer])
        for optimizer, rival in rivals.items()
    }


def _compare(confirmed: SettingResult, rival: Rival, target: float, name: str) -> RivalComparison:
    if rival.wanted is None:
        return RivalComparison(name)
    rate = rival.wanted.learning_rate
    if rival.fresh is None:
        return RivalComparison(name, rate)
    count = len(rival.fresh.setting.starts)
    pair = (confirmed, rival.fresh)
    found = mcnemar(*(np.isfinite(r.curves.steps_to(target)[:count]) for r in pair))
    costs = [expected_running_time(r, target, count)[0] for r in pair]
    return RivalComparison(
        optimizer=name,
        learning_rate=rate,
        number=rival.fresh.setting.number,
        starts=count,
        first_only=found.first_only,
        second_only=found.second_only,
        p_value=found.p_value,
        first_cost=costs[0] if np.isfinite(costs[0]) else None,
        second_cost=costs[1] if np.isfinite(costs[1]) else None,
    )
