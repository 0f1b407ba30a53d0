"""The loss reached against the learning rate, as a learning-rate finder shows it, and how far up
that is safe: a panel for each optimizer."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from tuning.report.figures.heights import Heights
from tuning.report.figures.marks import mark_recommended, mark_stability
from tuning.report.figures.style import colour_of, nothing, panels, safe
from tuning.report.formatting import number, rate
from tuning.report.labels import MARKS
from tuning.report.model import Report, SettingRow
from tuning.report.text import sorted_settings

__all__ = ["loss"]

_TITLE = "Loss reached against the learning rate"


def loss(report: Report) -> go.Figure:
    """The median of the restarts of each setting and, where their curves are known, from 10 to 90 %
    of them; rates at which half of them or more have diverged have none."""
    groups = {
        name: [row for row in rows if row.loss is not None]
        for name, rows in sorted_settings(report.settings).items()
    }
    if not any(groups.values()):
        return nothing(_TITLE, "at every rate most restarts diverged: no loss was reached")
    drawn, places = panels(list(groups), _TITLE)
    ends = [c.p10[-1] for c in report.curves.values()] + [c.p90[-1] for c in report.curves.values()]
    heights = Heights(report, [*ends, *(row.loss or 0 for rows in groups.values() for row in rows)])
    for i, ((name, rows), place) in enumerate(zip(groups.items(), places, strict=True)):
        _band(drawn, _ends(report, rows), heights, colour_of(i), place)
        drawn.add_scatter(
            x=[row.learning_rate for row in rows],
            y=heights([row.loss for row in rows]),
            mode="lines+markers",
            line={"color": colour_of(i), "width": 2},
            marker={
                "size": 8,
                "symbol": ["circle" if row.status.stable else "circle-open" for row in rows],
            },
            name=f"{safe(name)}: median",
            hovertext=[told(row) for row in rows],
            hoverinfo="text",
            **place,
        )
        mark_stability(drawn, report, name, place, legend=i == 0)
        if (best := report.best_stable) is not None and best.optimizer == name:
            mark_recommended(drawn, best, place)
    drawn.update_xaxes(type="log", title_text="learning rate")
    drawn.update_yaxes(type="log")
    drawn.update_yaxes(col=1, title_text=heights.label)
    return drawn


def told(row: SettingRow) -> str:
    """A setting in the lines that a pointer on it shows."""
    lines = [
        f"<b>{safe(row.optimizer)} {number(row.learning_rate)}</b>",
        f"{MARKS[row.status]} {row.status}, setting {row.number}",
        f"median loss {number(row.loss, 4)}",
        f"unstable {rate(row.unstable)}",
        f"trapped {rate(row.trapped)}",
        f"cost {number(row.cost)} steps",
    ]
    return "<br>".join(lines)


def _ends(report: Report, rows: list[SettingRow]) -> list[tuple[float, float, float]]:
    """Of each setting: its rate, and the 10 and the 90 % quantile of its last losses, where less
    than a tenth has diverged."""
    known = (
        (row.learning_rate, report.curves[row.number].p10[-1], report.curves[row.number].p90[-1])
        for row in rows
        if row.number in report.curves
    )
    return [(at, low, high) for at, low, high in known if np.isfinite(high)]


def _band(
    drawn: go.Figure,
    ends: list[tuple[float, float, float]],
    heights: Heights,
    colour: str,
    place: dict[str, int],
) -> None:
    there = [at for at, _, _ in ends]
    outline = [*(low for _, low, _ in ends), *(high for _, _, high in reversed(ends))]
    drawn.add_scatter(
        x=[*there, *reversed(there)],
        y=heights(outline),
        fill="toself",
        fillcolor=colour,
        opacity=0.2,
        line_width=0,
        mode="lines",
        hoverinfo="skip",
        name="10 to 90 % of the restarts",
        legendgroup="band",
        showlegend=place == {"row": 1, "col": 1},
        **place,
    )
