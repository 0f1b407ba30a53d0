"""What to do for a better answer: one thing, so that no advice contradicts another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tuning.analysis.recommendation import TRIES, Verdict, starts_needed
from tuning.report.model import BestStable, SettingRow, Status
from tuning.spec.job import JobSpec
from tuning.statistics.cliff import Cliff
from tuning.statistics.intervals import restarts_needed

__all__ = ["UNDEFINED", "advice_on", "lower_end", "more_starts", "range_advice", "upper_end"]

#: Where starts have no finite loss, or no finite gradient.
UNDEFINED = "look at the problem's initial and loss_and_gradient"
_FURTHER = 100.0  # times as far as the range went


def advice_on(
    verdict: Verdict,
    best: BestStable | None,
    search: Sequence[SettingRow],
    cliffs: Mapping[str, Cliff],
    spec: JobSpec,
    *,
    learned: bool,
    undefined: bool,
    fresh_starts: int,
) -> str:
    """Without capital and full stop; empty where the answer wants nothing.

    Args:
        search: the rows of the search. learned: whether any loss is materially below the starts'.
        undefined: whether starts have no finite loss. fresh_starts: how many there were for the
            confirmation.
    """
    if best is None and undefined:
        return UNDEFINED
    if best is None:
        return range_advice(search, spec, learned=learned)
    if best.status is not Status.CONFIRMED:
        return _to_confirm(verdict, spec, fresh_starts)
    ends = (upper_end(best, search, cliffs, spec), lower_end(best, search, spec))
    return next((advice for _, advice in filter(None, ends)), "")


def range_advice(search: Sequence[SettingRow], spec: JobSpec, *, learned: bool) -> str:
    """Where no rate is recommended: where to look for one."""
    lower = spec.advice.down_to.format(spec.search.learning_rate.low / _FURTHER)
    rates = sorted(search, key=lambda row: row.learning_rate)
    if learned or not rates or _mostly_unstable(rates[0]):
        return lower
    if not any(map(_mostly_unstable, rates)):
        return spec.advice.up_to.format(spec.search.learning_rate.high * _FURTHER)
    return spec.advice.steps


def _mostly_unstable(row: SettingRow) -> bool:
    return row.unstable.count > 0.5 * row.unstable.total


def _to_confirm(verdict: Verdict, spec: JobSpec, fresh_starts: int) -> str:
    needed = starts_needed(spec)
    if spec.advice.fresh and spec.stability.confirm < needed:
        return spec.advice.fresh.format(needed)
    if len(verdict.refused) >= TRIES:
        return more_starts(spec)
    if fresh_starts < spec.stability.confirm:
        return spec.advice.confirm
    return spec.advice.fresh.format(2 * spec.stability.confirm)


def more_starts(spec: JobSpec) -> str:
    """Twice as many at each rate, and no fewer than can show that a rate is stable."""
    needed = restarts_needed(spec.stability.max_unstable, spec.stability.confidence)
    return spec.advice.starts.format(max(2 * spec.training.restarts, needed))


def upper_end(
    best: BestStable, search: Sequence[SettingRow], cliffs: Mapping[str, Cliff], spec: JobSpec
) -> tuple[str, str] | None:
    """What is wrong with how high the search went, and what to do; None: nothing."""
    mine = {row.learning_rate for row in search if row.optimizer == best.optimizer}
    failing = cliffs[best.optimizer].lowest_failing
    if failing is not None and failing < best.learning_rate:
        return (
            f"A lower rate than the best one failed: {failing:.3g}. "
            "The boundary of stability is ragged here",
            f"{spec.advice.up_to.format(failing)} to stay below it",
        )
    if best.learning_rate == max(mine):
        if len(mine) == 1:
            return None
        high = _FURTHER * max(best.learning_rate, spec.search.learning_rate.high)
        return "The best rate is the highest that was tried", spec.advice.up_to.format(high)
    bad = [row.learning_rate for row in search if _mostly_unstable(row)]
    above = [rate for rate in bad if rate > best.margin * best.learning_rate]
    if len(bad) > 0.5 * len(search) and above and not spec.seeks_cliff:
        return (
            f"In {len(bad)} of {len(search)} settings most restarts were unstable",
            spec.advice.up_to.format(min(above)),
        )
    return None


def lower_end(
    best: BestStable, search: Sequence[SettingRow], spec: JobSpec
) -> tuple[str, str] | None:
    """As `upper_end`, of how low it went."""
    mine = {row.learning_rate for row in search if row.optimizer == best.optimizer}
    if best.learning_rate > min(mine):
        return None
    if len(mine) == 1:
        return "Only one rate was tried", _both_ways(best, spec)
    low = min(best.learning_rate, spec.search.learning_rate.low) / _FURTHER
    return "The best rate is the lowest that was tried", spec.advice.down_to.format(low)


def _both_ways(best: BestStable, spec: JobSpec) -> str:
    ten = 10.0 ** math.floor(math.log10(best.learning_rate))
    low, high = spec.advice.down_to.format(ten / 10), spec.advice.up_to.format(ten * 100)
    return f"{low} and {high.removeprefix('set ')}"
