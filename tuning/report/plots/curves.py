"""A setting's quantile curve, as the pictures of losses and of sharpness draw it."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tuning.report.model import QuantileCurves, Report, SettingRow, SharpnessCurves
from tuning.report.plots.style import INK
from tuning.report.text import sorted_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["by_optimizer", "draw_curve"]

FloatArray = NDArray[np.float64]


def by_optimizer(report: Report, measured: Container[int]) -> dict[str, list[SettingRow]]:
    """The settings whose numbers are in `measured`, for each optimizer that has some."""
    return {
        name: drawn
        for name, rows in sorted_settings(report.settings).items()
        if (drawn := [row for row in rows if row.number in measured])
    }


def draw_curve(
    ax: Axes,
    curves: QuantileCurves | SharpnessCurves,
    height: Callable[[FloatArray], FloatArray],
    limits: tuple[float, float],
    colour: object,
    *,
    chosen: bool,
    band: bool,
) -> None:
    """The median, the band from 10 to 90 % if `band`, and a cross where half have diverged.

    Args:
        height: of values, within reach of the axis; NaN stays.
        limits: between which the cross is kept.
        chosen: the recommended setting is drawn in front, with an edge.
    """
    from matplotlib.patheffects import Normal, Stroke

    low, high = limits
    steps, middle, lower = curves.steps, height(curves.p50), height(curves.p10)
    if band:
        # Where more than a tenth diverged the 90 % quantile is infinite: the band reaches out of
        # the panel.
        upper = np.nan_to_num(height(curves.p90), nan=2.0 * high)
        upper = np.where(np.isfinite(curves.p10), upper, np.nan)
        ax.fill_between(steps, lower, upper, color=colour, alpha=0.2, linewidth=0)
    (line,) = ax.plot(
        steps, middle, color=colour, linewidth=2.0 if chosen else 1.4, zorder=6 if chosen else 3
    )
    if chosen:
        line.set_path_effects([Stroke(linewidth=3.6, foreground=INK), Normal()])
    finite = np.flatnonzero(np.isfinite(middle))
    if finite.size and finite[-1] + 1 < len(steps):
        at = finite[-1]
        top = min(max(float(middle[at]), low), high)
        style = {"markersize": 7, "markeredgewidth": 2, "clip_on": False, "zorder": 8}
        ax.plot(steps[at], top, "x", color=colour, **style)  # type: ignore[arg-type]
