"""What a report of losses alone must not claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tuning.report.model import BestStable, Report, SettingRow
from tuning.statistics.intervals import Rate

__all__ = ["as_far_as_known"]


def as_far_as_known(report: Report, *, costs: bool) -> Report:
    """`report` without estimates of who is trapped where anybody is not judged, and without costs
    where nobody knows the steps.

    Losses tell who has reached a known minimum, but of nobody that it is trapped: among the judged
    nobody ever would be.
    """
    best = report.best_stable
    beside = report.comparisons
    if not costs:
        beside = {
            name: replace(found, first_cost=None, second_cost=None)
            for name, found in beside.items()
        }
    return replace(
        report,
        settings=tuple(replace(row, **_of(row, costs)) for row in report.settings),
        best_stable=None if best is None else replace(best, **_of(best, costs)),
        comparisons=beside,
    )


def _of(row: SettingRow | BestStable, costs: bool) -> dict[str, Any]:
    trapped_at: Mapping[str, Rate] = row.trapped_at
    return {
        "cost": row.cost if costs else None,
        "trapped": _all_or_none(row.trapped),
        "trapped_at": {part: _all_or_none(rate) for part, rate in trapped_at.items()},
    }


def _all_or_none(rate: Rate) -> Rate:
    return replace(rate, most_undecided=0.0)
