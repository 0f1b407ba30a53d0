"""What MLflow is told of runs when all are known: their order, and all settings in one chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuning.report.formatting import number
from tuning.report.labels import MARKS
from tuning.report.model import Report, SettingRow, Status
from tuning.runner.mlflow_projection import optimizer_colour
from tuning.tracking import Run

__all__ = ["RECOMMENDED_COLOUR", "ranked", "ranks", "summary_key", "summary_runs"]

#: No optimizer has it.
RECOMMENDED_COLOUR = "#e3001b"
#: Of the runs that hold an optimizer's settings: next to the recommended one, which is 1.
_SUMMARY_RANK = 1.5


def ranks(report: Report) -> Mapping[int, int]:
    """Setting number -> its place: first the one to use, then the stable ones by cost, then the
    others by how unstable they are. Those of probes, which are no runs, are left out."""
    best = None if report.best_stable is None else report.best_stable.number
    order = sorted(_rows(report), key=lambda row: _place(row, best))
    return {row.number: place for place, row in enumerate(order, start=1)}


def _rows(report: Report) -> list[SettingRow]:
    rows = (*report.settings, *report.confirmations, *report.rivals)
    return sorted(rows, key=lambda row: row.number)


def _place(row: SettingRow, best: int | None) -> tuple[float, ...]:
    if row.number == best:
        return (0.0,)
    cost = math.inf if row.cost is None else row.cost
    if row.status.stable:
        return (1.0, cost, row.number)
    return (2.0, _unknown_last(row.unstable.estimate), row.unstable.low, cost, row.number)


def _unknown_last(rate: float | None) -> float:
    return math.inf if rate is None else rate


def ranked(runs: Sequence[Run], report: Report) -> list[Run]:
    """The settings' `runs`, by number, with their ranks; the one to use stands out."""
    places, best = ranks(report), report.best_stable
    rows = {row.number: row for row in _rows(report)}
    out = []
    for run in runs:
        row = rows[int(run.tags["setting"])]
        late = {"rank": float(places[row.number])}
        if best is not None and row.number == best.number:
            # Where no rate could be confirmed, the best that looks stable is told, as no more.
            sure = row.status is Status.RECOMMENDED
            run = replace(
                run,
                name=f"{MARKS[row.status]} {row.optimizer} {number(row.learning_rate)}",
                tags={**run.tags, "recommended": "true" if sure else "false"},
                colour=RECOMMENDED_COLOUR,
            )
            late |= _point(row)
        out.append(replace(run, late=late))
    return out


def summary_key(job_id: str, optimizer: int) -> str:
    """Of the run that holds the settings of the job's `optimizer`-th."""
    return f"{job_id}/all-{optimizer}"


def summary_runs(
    report: Report, optimizers: Sequence[str], seconds: tuple[float, float]
) -> list[Run]:
    """A run for each of `optimizers` that was tried, with its settings as points, by their rate."""
    runs = []
    for i, name in enumerate(optimizers):
        # Of the search: the same rate on fresh starts would be a second point in its place.
        mine = [row for row in report.settings if row.optimizer == name]
        mine.sort(key=lambda row: (row.learning_rate, row.number))
        curves: dict[str, list[tuple[int, float]]] = {}
        for step, row in enumerate(mine):
            for metric, value in _point(row).items():
                curves.setdefault(metric, []).append((step, value))
        if mine:
            runs.append(
                Run(
                    key=summary_key(report.run.job_id, i),
                    name=f"all {name}",
                    params={},  # of settings alone, so that filters count these
                    tags={"role": "summary"},
                    metrics={},
                    curves=curves,
                    seconds=seconds,
                    colour=optimizer_colour(i),
                    note=f"Every setting of {name}, a point each, from the lowest rate up.",
                    late={"rank": _SUMMARY_RANK},
                )
            )
    return runs


def _point(row: SettingRow) -> dict[str, float]:
    """A setting in the charts of all settings; what is not known of it is absent."""
    known = {
        "all/log10_lr": math.log10(row.learning_rate),
        "all/loss": row.loss,
        "all/unstable": row.unstable.estimate,
    }
    return {name: value for name, value in known.items() if value is not None}
