"""What is marked on an axis of learning rates: the cliff, the unstable rates above it, the
limit by curvature, and the recommended rate with its margin.

Shapes take rates as they are on any axis; words take their logarithm on a logarithmic one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go

from tuning.report.figures.style import INK
from tuning.report.formatting import interval, number
from tuning.report.labels import GREEN, ORANGE, PURPLE, VERMILION
from tuning.report.model import BestStable, Report, Status
from tuning.report.theory import curvature_limits

__all__ = ["mark_recommended", "mark_stability"]

_Scale = Callable[[float], float]


def mark_stability(
    drawn: go.Figure,
    report: Report,
    optimizer: str,
    place: dict[str, Any],
    *,
    legend: bool,
    regions: bool = True,
    scale: _Scale = float,
) -> None:
    """The cliff with its interval, the unstable rates, the limit by curvature, in one panel.

    Args:
        legend: whether this panel's marks are those in the legend.
        regions: whether to shade the cliff's interval and the unstable rates.
        scale: from a rate to the axis.
    """
    cliff = report.cliffs.get(optimizer)
    if cliff is not None and cliff.estimate is not None:
        if regions:
            top = max(row.learning_rate for row in report.settings)
            _region(
                drawn,
                (cliff.estimate, max(top, cliff.estimate)),
                VERMILION,
                0.10,
                "unstable rates",
                place,
                legend,
                scale,
            )
            # An end that is not known is not drawn, and a dash in the words.
            low, high = cliff.low or cliff.estimate, cliff.high or cliff.estimate
            _region(drawn, (low, high), ORANGE, 0.30, "the cliff's interval", place, legend, scale)
        _line(drawn, cliff.estimate, VERMILION, "dash", "cliff", place, legend, scale)
        _say(
            drawn,
            f"cliff {number(cliff.estimate)} {interval(cliff.low, cliff.high)}",
            cliff.estimate,
            0.99,
            place,
            scale,
        )
    if (limit := curvature_limits(report).get(optimizer)) is not None:
        name = "limit by the flattest global minimum"
        _line(drawn, limit, PURPLE, "dot", name, place, legend, scale)
        _say(drawn, f"limit {number(limit)}", limit, 0.91, place, scale)


def mark_recommended(
    drawn: go.Figure, best: BestStable, place: dict[str, Any], scale: _Scale = float
) -> None:
    """The rate to use, and margin times it."""
    confirmed = best.status is Status.CONFIRMED
    name = "recommended rate" if confirmed else "rate that looks stable"
    _line(drawn, best.learning_rate, GREEN, "solid", name, place, True, scale)
    _say(drawn, f"★ {number(best.learning_rate)}", best.learning_rate, 0.06, place, scale)
    if best.margin > 1:
        name = f"its margin, × {number(best.margin)}"
        _line(drawn, best.margin * best.learning_rate, INK, "dot", name, place, True, scale)


def _region(
    drawn: go.Figure,
    ends: tuple[float, float],
    colour: str,
    opacity: float,
    name: str,
    place: dict[str, Any],
    legend: bool,
    scale: _Scale,
) -> None:
    drawn.add_vrect(
        x0=scale(ends[0]),
        x1=scale(ends[1]),
        fillcolor=colour,
        opacity=opacity,
        line_width=0,
        layer="below",
        name=name,
        legendgroup=name,
        showlegend=legend,
        **place,
    )


def _line(
    drawn: go.Figure,
    rate: float,
    colour: str,
    dash: str,
    name: str,
    place: dict[str, Any],
    legend: bool,
    scale: _Scale,
) -> None:
    drawn.add_vline(
        x=scale(rate),
        line={"color": colour, "width": 2, "dash": dash},
        name=name,
        legendgroup=name,
        showlegend=legend,
        **place,
    )


def _say(
    drawn: go.Figure,
    text: str,
    rate: float,
    height: float,
    place: dict[str, Any],
    scale: _Scale,
) -> None:
    """`text` beside the line at `rate`; `height` in parts of the panel's."""
    drawn.add_annotation(
        text=text,
        x=math.log10(rate) if scale is float else scale(rate),
        y=height,
        yref="y domain",
        xanchor="right",
        xshift=-4,
        showarrow=False,
        bgcolor="rgba(255,255,255,0.8)",
        font_size=11,
        **place,
    )
