"""P(unstable) against the learning rate with its band, a panel for each optimizer: where it crosses
the limit is the cliff."""

from __future__ import annotations

import plotly.graph_objects as go

from tuning.report.figures.loss import told
from tuning.report.figures.marks import mark_recommended, mark_stability
from tuning.report.figures.style import INK, nothing, panels, sizes
from tuning.report.labels import STATUS_COLOURS
from tuning.report.model import Report, Status
from tuning.report.text import sorted_settings
from tuning.statistics.cliff import Cliff

__all__ = ["cliff"]

_TITLE = "How often restarts are unstable, and the cliff"


def cliff(report: Report) -> go.Figure:
    """The share of each setting that is unstable, a point the larger, the more restarts it had; the
    fitted P(unstable) with its pointwise band; the cliff, the recommended rate and its margin."""
    groups = sorted_settings(report.settings)
    if not groups:
        return nothing(_TITLE, "no setting has been tried yet")
    drawn, places = panels(list(groups), _TITLE)
    for i, ((name, rows), place) in enumerate(zip(groups.items(), places, strict=True)):
        if (found := report.cliffs.get(name)) is not None and len(found.curve) > 1:
            _fit(drawn, found, place)
        known = [row for row in rows if row.unstable.estimate is not None]
        size = dict(
            zip((row.number for row in known), sizes([r.restarts for r in known]), strict=True)
        )
        for status in Status:
            mine = [row for row in known if row.status is status]
            if not mine:
                continue
            drawn.add_scatter(
                x=[row.learning_rate for row in mine],
                y=[row.unstable.estimate for row in mine],
                mode="markers",
                marker={
                    "color": STATUS_COLOURS[status],
                    "size": [size[row.number] for row in mine],
                    "line": {"color": INK, "width": 1},
                },
                name=str(status),
                legendgroup=str(status),
                hovertext=[told(row) for row in mine],
                hoverinfo="text",
                **place,
            )
        mark_stability(drawn, report, name, place, legend=i == 0)
        if (best := report.best_stable) is not None and best.optimizer == name:
            mark_recommended(drawn, best, place)
    limit = report.job.get("stability", {}).get("max_unstable")
    if limit is not None:
        drawn.add_hline(y=limit, line={"color": INK, "width": 1, "dash": "dash"})
    seen: set[str] = set()
    for trace in drawn.data:  # each word of the legend once
        trace.showlegend = trace.legendgroup not in seen
        seen.add(trace.legendgroup)
    drawn.update_xaxes(type="log", title_text="learning rate")
    drawn.update_yaxes(range=[-0.03, 1.03], tickformat=".0%")
    drawn.update_yaxes(col=1, title_text="P(unstable)")
    return drawn


def _fit(drawn: go.Figure, found: Cliff, place: dict[str, int]) -> None:
    rates = [point.rate for point in found.curve]
    drawn.add_scatter(
        x=[*rates, *reversed(rates)],
        y=[*(p.low for p in found.curve), *(p.high for p in reversed(found.curve))],
        fill="toself",
        fillcolor=INK,
        opacity=0.13,
        line_width=0,
        mode="lines",
        hoverinfo="skip",
        name="its band",
        legendgroup="band",
        **place,
    )
    drawn.add_scatter(
        x=rates,
        y=[point.fitted for point in found.curve],
        customdata=[point.restarts for point in found.curve],
        mode="lines",
        line={"color": INK, "width": 1.5},
        hovertemplate="at %{x:.3g}: %{y:.1%}, %{customdata} restarts there<extra></extra>",
        name="P(unstable), fitted",
        legendgroup="fit",
        **place,
    )
