"""The distinct minima that were found: how good, how easily found, how sharp."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from tuning.report.figures.style import INK, canvas, nothing
from tuning.report.formatting import MISSING, number, percent
from tuning.report.labels import BLUE, ORANGE
from tuning.report.model import Minimum, Report

__all__ = ["minima"]

_TITLE = "Distinct minima"


def minima(report: Report) -> go.Figure:
    """Restarts that ended in each, against its loss; the global ones and the others."""
    if not report.minima:
        return nothing(_TITLE, "no restart is known to have reached a minimum")
    drawn = canvas(f"{_TITLE}: {len(report.minima)} were found")
    for name, colour, symbol, found in (
        ("global minimum", BLUE, "star", [m for m in report.minima if m.is_global]),
        ("local minimum", ORANGE, "circle", [m for m in report.minima if not m.is_global]),
    ):
        if found:
            drawn.add_scatter(
                x=[m.loss for m in found],
                y=[m.count for m in found],
                mode="markers",
                marker={
                    "color": colour,
                    "symbol": symbol,
                    "size": 13,
                    "line": {"color": INK, "width": 1},
                },
                name=name,
                hovertext=[_told(m) for m in found],
                hoverinfo="text",
            )
    drawn.update_xaxes(title_text="loss J at the bottom")
    drawn.update_yaxes(type="log", title_text="restarts that ended there", dtick=1)
    return drawn


def _told(found: Minimum) -> str:
    lines = [
        f"<b>loss {number(found.loss, 6)}</b>",
        f"{percent(found.above_best)} of the descent above J*",
        f"{found.count} restarts of {len(found.found_by)} settings",
        f"curvature from {_curvature(found.smallest_curvature)} to "
        f"{_curvature(found.largest_curvature)}",
        f"gradient descent leaves it above 2/λ = {number(found.gd_limit)}",
    ]
    return "<br>".join(lines if found.gd_limit is not None else lines[:-1])


def _curvature(value: float) -> str:
    return number(value) if math.isfinite(value) else MISSING
