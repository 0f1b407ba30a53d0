"""The table of figures."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go

from trainers._suggest import nearest
from trainers.errors import InvalidInput
from tuning.report.figures.cliff import cliff
from tuning.report.figures.costs import costs
from tuning.report.figures.curves import curves
from tuning.report.figures.loss import loss
from tuning.report.figures.minima import minima
from tuning.report.figures.outcomes import outcomes
from tuning.report.figures.path import path
from tuning.report.model import Report

__all__ = ["KINDS", "figure"]

KINDS: dict[str, Callable[[Report], go.Figure]] = {
    draw.__name__: draw for draw in (loss, cliff, outcomes, costs, curves, minima, path)
}


def figure(report: Report, kind: str, setting: int | None = None) -> go.Figure:
    """The figure `kind`; see `Report.plot`. One that has nothing to show says why."""
    if kind not in KINDS:
        raise InvalidInput(f"there is no plot {kind!r}{nearest(kind, KINDS)}")
    if setting is None:
        return KINDS[kind](report)
    if kind != curves.__name__:
        raise InvalidInput(f"plot {kind!r} takes no setting: that of one is plot('curves')")
    return curves(report, setting)
