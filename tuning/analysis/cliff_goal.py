"""A search for the cliff, as the analysis sees it: what is looked for, what has been found, and
which setting is to be nominated."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.analysis.basin_labels import Labels
from tuning.analysis.cost import steps_spent
from tuning.analysis.stability import FIRST_SHARE
from tuning.analysis.target import find_target
from tuning.cliff.audit import audit_of
from tuning.cliff.cost_grid import cheapest_tried, compared
from tuning.cliff.goal import Goal
from tuning.cliff.observations import Brackets, Trained, brackets
from tuning.cliff.rates import RateRange
from tuning.report.model import Target
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.statistics.sequential import SequentialTest, sequential_test
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Role

__all__ = ["cliff_target", "costs_of", "goal_of", "nominee", "trained_of"]


def cliff_target(results: Sequence[SettingResult], labels: Labels, spec: JobSpec) -> Target:
    """What counts as success, by the settings of the search that are not seen to be unstable."""
    limit = spec.stability.max_unstable
    seen = [r for r in of_role(results, Role.SEARCH) if r.unstable_fraction <= limit]
    return find_target(seen, labels, spec)


def first_test(spec: JobSpec) -> SequentialTest | None:
    """By which the first candidate will be confirmed; None if no fresh starts are to be had."""
    limits = spec.stability
    # The rate that is sought does not depend on what time will have bought in the end, nor on
    # `budget.fresh`, which says that of a search that time has ended.
    most = spec.fresh_starts if spec.budget.fresh is None else limits.confirm
    if not most:
        return None
    alpha = FIRST_SHARE * (1 - limits.confidence)
    test = sequential_test(most, limits.max_unstable, alpha)
    return test if test.can_accept else None


def goal_of(spec: JobSpec) -> Goal:
    """Of each optimizer's campaign."""
    limits, rates = spec.stability, spec.search.learning_rate
    return Goal(
        within=RateRange(rates.low, rates.high),
        max_unstable=limits.max_unstable,
        confidence=limits.confidence,
        margin=limits.margin,
        try_first=tuple(point[LEARNING_RATE] for point in spec.search.first_points),
        test=first_test(spec),
    )


def trained_of(results: Sequence[SettingResult]) -> list[Trained]:
    """One optimizer's `results`, in order, as its campaign sees them."""
    return [
        Trained(
            r.setting.learning_rate,
            np.array(r.setting.starts),
            r.restarts.unstable,
            r.setting.round,
            fresh=r.setting.role is Role.SEARCH,
        )
        for r in results
    ]


def costs_of(results: Sequence[SettingResult], target: float, spec: JobSpec) -> dict[float, float]:
    """By rate, what one optimizer's restarts cost there, for `cost_grid`: the logarithm of the
    expected running time; where no rate reached the target, the mean loss; or the loss on held-out
    examples, if the job chooses by it.

    By the first starts, the same at each rate; infinite at rates that do not have them. They are
    few, and one that falls may cost as much as all others; so how many fall is taken from all
    starts whose thresholds are known.
    """
    by_rate: dict[float, list[SettingResult]] = defaultdict(list)
    for result in results:
        by_rate[result.setting.learning_rate].append(result)
    fresh = {r.setting.learning_rate: math.inf for r in results if r.setting.role is Role.SEARCH}
    if not fresh:
        return {}
    starts = {rate: [s for r in by_rate[rate] for s in r.setting.starts] for rate in fresh}
    first, rates = compared(starts)
    same = {rate: _First(by_rate[rate], first) for rate in rates}
    if spec.stability.choose_by == "validation":
        return fresh | {rate: _validation(here) for rate, here in same.items()}
    blocks_of = trained_of(results)
    known = None if audit_of(blocks_of).alarm else brackets(blocks_of)
    by_fallen = _spent_by_fallen(results, target)
    costs = {
        rate: _cost(here, _part_fallen(rate, by_rate[rate], known), target, by_fallen)
        for rate, here in same.items()
    }
    if not any(map(math.isfinite, costs.values())):
        costs = {rate: float(here.each(lambda r: r.ends).mean()) for rate, here in same.items()}
    return fresh | costs


@dataclass(frozen=True)
class _First:
    """What became of the first `starts` starts at one rate."""

    results: Sequence[SettingResult]
    starts: int

    def each(self, column: Callable[[SettingResult], NDArray[Any]]) -> NDArray[Any]:
        """(`starts`,): `column` of each."""
        mine = [column(r)[np.array(r.setting.starts) < self.starts] for r in self.results]
        return np.concatenate(mine)


def _part_fallen(rate: float, results: Sequence[SettingResult], known: Brackets | None) -> float:
    """P(unstable), of all starts whose thresholds are known; where none are, of those at the rate
    that were taken by their numbers."""
    if known is None:
        fresh = of_role(results, Role.SEARCH)
        return float(np.concatenate([r.restarts.unstable for r in fresh]).mean())
    count, unknown = known.fallen(rate)
    return (count + unknown / 2) / len(known)


def _cost(here: _First, part: float, target: float, by_fallen: float) -> float:
    """log of the expected running time where this part of all falls; `by_fallen`: steps of one that
    does, where none of these did."""
    steps = here.each(lambda r: r.curves.steps_to(target))
    spent = here.each(lambda r: steps_spent(r, target))
    fell = here.each(lambda r: r.restarts.unstable)
    reached = float(np.isfinite(steps[~fell]).mean()) if not fell.all() else 0.0
    if not reached or part >= 1:
        return math.inf
    if fell.any():
        by_fallen = float(spent[fell].mean())
    by_others = float(spent[~fell].mean())
    return math.log(((1 - part) * by_others + part * by_fallen) / ((1 - part) * reached))


def _spent_by_fallen(results: Sequence[SettingResult], target: float) -> float:
    """Steps: the mean over all who fell anywhere; 0 if nobody did."""
    spent = [steps_spent(r, target)[r.restarts.unstable] for r in results]
    every = np.concatenate(spent)
    return float(every.mean()) if every.size else 0.0


def _validation(here: _First) -> float:
    losses = here.each(lambda r: r.restarts.validation_loss)
    return float(np.nanmedian(losses)) if np.isfinite(losses).any() else math.inf


def nominee(
    results: Sequence[SettingResult], target: float, spec: JobSpec, below: float = math.inf
) -> float | None:
    """The rate of one optimizer that is to be confirmed: the cheapest of those tried that are safe.
    None where none is.

    Args:
        results: of its search and its probes, in order. below: only lower rates are nominated.
    """
    goal = goal_of(spec)
    safe = goal.safe_rate(trained_of(results))
    costs = costs_of(results, target, spec)
    lower = {rate: cost for rate, cost in costs.items() if rate < below}
    return cheapest_tried(lower, safe)
