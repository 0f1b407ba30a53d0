"""What became of the restarts at each learning rate, stacked, a panel for each optimizer."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from tuning.report.figures.marks import mark_recommended, mark_stability
from tuning.report.figures.style import nothing, panels
from tuning.report.formatting import number
from tuning.report.labels import STACKS, stack
from tuning.report.model import Report, SettingRow
from tuning.report.text import sorted_settings

__all__ = ["outcomes"]

_TITLE = "What became of the restarts"
_WIDEST = 0.15  # decades to either side: where nothing was tried nearby, the gap shows


def outcomes(report: Report) -> go.Figure:
    """Shares of the restarts at each rate; bars meet halfway between neighbours.

    Its axis is log10 of the rate, in which bars have a width that can be told.
    """
    groups = sorted_settings(report.settings)
    if not groups:
        return nothing(_TITLE, "no setting has been tried yet")
    drawn, places = panels(list(groups), _TITLE)
    seen: set[str] = set()
    for i, ((name, rows), place) in enumerate(zip(groups.items(), places, strict=True)):
        seen |= _bars(drawn, rows, place, seen)
        mark_stability(drawn, report, name, place, legend=i == 0, regions=False, scale=math.log10)
        if (best := report.best_stable) is not None and best.optimizer == name:
            mark_recommended(drawn, best, place, math.log10)
    low, high = (f(math.log10(row.learning_rate) for row in report.settings) for f in (min, max))
    ticks = range(math.floor(low), math.ceil(high) + 1)
    drawn.update_layout(barmode="stack", bargap=0)
    drawn.update_xaxes(
        tickvals=list(ticks),
        ticktext=[number(10.0**tick) for tick in ticks],
        range=[low - _WIDEST, high + _WIDEST],
        title_text="learning rate",
    )
    drawn.update_yaxes(range=[0, 1], tickformat=".0%")
    drawn.update_yaxes(col=1, title_text="restarts")
    return drawn


def _bars(
    drawn: go.Figure, rows: list[SettingRow], place: dict[str, int], seen: set[str]
) -> set[str]:
    """Returns which stacks have restarts."""
    tried = sorted({row.learning_rate for row in rows})
    position = np.log10(tried)
    middle = (position[1:] + position[:-1]) / 2
    left = np.maximum(np.append(-np.inf, middle), position - _WIDEST)
    right = np.minimum(np.append(middle, np.inf), position + _WIDEST)
    counts = {rate: dict.fromkeys(STACKS, 0) for rate in tried}
    for row in rows:
        for name, found in stack(row.joint).items():
            counts[row.learning_rate][name] += found
    totals = [max(sum(counts[rate].values()), 1) for rate in tried]
    named = set()
    for name, colour in STACKS.items():
        each = [counts[rate][name] for rate in tried]
        if not any(each):
            continue
        named.add(name)
        drawn.add_bar(
            x=left,
            width=right - left,
            offset=0,
            y=[n / total for n, total in zip(each, totals, strict=True)],
            marker={"color": colour, "line": {"color": "white", "width": 0.5}},
            name=name,
            legendgroup=name,
            showlegend=name not in seen,
            customdata=[
                (number(rate), n, total) for rate, n, total in zip(tried, each, totals, strict=True)
            ],
            hovertemplate="rate %{customdata[0]}: %{customdata[1]} of %{customdata[2]}, %{y:.1%}",
            **place,
        )
    return named
