"""What success costs: the steps of all restarts for each that reached the target, by rate."""

from __future__ import annotations

import plotly.graph_objects as go

from tuning.report.figures.loss import told
from tuning.report.figures.marks import mark_recommended
from tuning.report.figures.style import SYMBOLS, canvas, colour_of, nothing, safe, sizes
from tuning.report.formatting import number
from tuning.report.model import Report
from tuning.report.text import sorted_settings

__all__ = ["costs"]

_TITLE = "Expected cost of a success"


def costs(report: Report) -> go.Figure:
    """A line for each optimizer; points are hollow where a setting is not stable, and the larger,
    the more restarts it had."""
    drawn = canvas(f"{_TITLE}: the target loss is {number(report.target.loss, 4)}")
    for i, (name, rows) in enumerate(sorted_settings(report.settings).items()):
        reached = [row for row in rows if row.cost]
        if not reached:
            continue
        form = SYMBOLS[i % len(SYMBOLS)]
        drawn.add_scatter(
            x=[row.learning_rate for row in reached],
            y=[row.cost for row in reached],
            mode="lines+markers",
            line={"color": colour_of(i), "width": 1},
            marker={
                "symbol": [form if row.status.stable else f"{form}-open" for row in reached],
                "size": sizes([row.restarts for row in reached]),
            },
            name=safe(name),
            hovertext=[told(row) for row in reached],
            hoverinfo="text",
        )
    if not drawn.data:
        return nothing(_TITLE, f"no restart reached the target: {report.target.origin}")
    if report.best_stable is not None:
        mark_recommended(drawn, report.best_stable, {})
    drawn.update_xaxes(type="log", title_text="learning rate")
    drawn.update_yaxes(type="log", title_text="steps for each that reaches the target")
    return drawn
