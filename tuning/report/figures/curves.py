"""Loss curves: the median of each setting, or one setting's with its band."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from trainers.errors import InvalidInput
from tuning.report.figures.heights import Heights
from tuning.report.figures.loss import told
from tuning.report.figures.style import INK, canvas, nothing, panels, safe
from tuning.report.formatting import number
from tuning.report.model import QuantileCurves, Report, SettingRow
from tuning.report.text import sorted_settings

__all__ = ["curves"]

_TITLE = "Loss curves"
_SCALE = "Plasma"
_PALEST = 0.87  # of the scale: beyond it is the yellow that vanishes on white


def curves(report: Report, setting: int | None = None) -> go.Figure:
    """Without a `setting` the medians of all of the search, a panel for each optimizer, coloured by
    their rates.

    Raises:
        InvalidInput: there is no setting of this number, or it has no curve.
    """
    if setting is not None:
        return _one(report, setting)
    groups = {
        name: mine
        for name, rows in sorted_settings(report.settings).items()
        if (mine := [row for row in rows if row.number in report.curves])
    }
    if not groups:
        return nothing(_TITLE, "of final losses alone there are no curves")
    drawn, places = panels(list(groups), f"{_TITLE}: the median of each setting's restarts")
    rates = [row.learning_rate for rows in groups.values() for row in rows]
    low, high = math.log10(min(rates)), math.log10(max(rates))
    best = report.best_stable
    every = [report.curves[row.number].p50 for rows in groups.values() for row in rows]
    heights = Heights(report, np.concatenate(every))
    drawn.update_xaxes(title_text="training step")
    drawn.update_yaxes(type="log")
    for (_, rows), place in zip(groups.items(), places, strict=True):
        for row in rows:
            part = (math.log10(row.learning_rate) - low) / max(high - low, 1e-12)
            chosen = best is not None and row.number == best.number
            _median(
                drawn,
                row,
                report.curves[row.number],
                heights,
                INK if chosen else sample_colorscale(_SCALE, [_PALEST * part])[0],
                place,
                width=4.0 if chosen else 1.5,
            )
    drawn.update_yaxes(col=1, title_text=heights.label)
    return drawn


def _one(report: Report, setting: int) -> go.Figure:
    row = next((row for row in report.rows if row.number == setting), None)
    if row is None:
        numbers = [row.number for row in report.rows]
        raise InvalidInput(
            f"there is no setting {setting!r}: they are numbered from {min(numbers, default=0)} to "
            f"{max(numbers, default=0)}, see report.to_dataframe()"
        )
    if setting not in report.curves:
        raise InvalidInput(f"setting {setting} has no curve: of it only final losses are known")
    curve = report.curves[setting]
    drawn = canvas(f"{_TITLE} of {safe(row.optimizer)} at {number(row.learning_rate)}")
    # Once a part has diverged its quantile is not known: the band ends there.
    known = np.isfinite(curve.p10) & np.isfinite(curve.p90)
    steps = curve.steps[known]
    heights = Heights(report, np.concatenate([curve.p10, curve.p50, curve.p90]))
    drawn.add_scatter(
        x=[*steps, *steps[::-1]],
        y=heights([*curve.p10[known], *curve.p90[known][::-1]]),
        fill="toself",
        fillcolor=INK,
        opacity=0.15,
        line_width=0,
        mode="lines",
        hoverinfo="skip",
        name="10 to 90 % of the restarts",
    )
    _median(drawn, row, curve, heights, INK, {}, width=2.0)
    drawn.update_xaxes(title_text="training step")
    drawn.update_yaxes(type="log", title_text=heights.label)
    return drawn


def _median(
    drawn: go.Figure,
    row: SettingRow,
    curve: QuantileCurves,
    heights: Heights,
    colour: str,
    place: dict[str, int],
    *,
    width: float,
) -> None:
    drawn.add_scatter(
        x=curve.steps,
        y=heights(curve.p50),
        mode="lines",
        line={"color": colour, "width": width},
        name=f"{safe(row.optimizer)} {number(row.learning_rate)}",
        hovertemplate=f"step %{{x}}: %{{y:.4g}}<br>{told(row)}<extra></extra>",
        **place,
    )
