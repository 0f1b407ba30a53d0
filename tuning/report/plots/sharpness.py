"""Sharpness along the way, one panel an optimizer: where training meets the edge of stability."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tuning.report.formatting import number
from tuning.report.labels import UNSTABLE
from tuning.report.model import Report, SettingRow, SharpnessCurves
from tuning.report.plots.curves import by_optimizer, draw_curve
from tuning.report.plots.style import (
    GREY,
    INK,
    SIZE,
    curve_legend,
    grid,
    label_edges,
    png,
    rate_bar,
    rate_colours,
    safe,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["sharpness"]

FloatArray = NDArray[np.float64]
_LOWEST, _HIGHEST = 1e-2, 10.0  # in units of the limit; what lies beyond is far from the edge
_BANDS = 4  # in a panel with more curves, bands would hide one another


def sharpness(report: Report) -> bytes | None:
    """PNG of the median sharpness over the optimizer's limit against the step; None where it was
    not measured. The 10 to 90 % band is drawn of few settings, or of the recommended one.

    In units of the limit, L / rate, all rates of a panel have one line to meet, at 1.
    """
    from matplotlib import cm
    from matplotlib.colors import LogNorm
    from matplotlib.lines import Line2D

    groups = by_optimizer(report, report.sharpness)
    if not groups:
        return None
    rates = [row.learning_rate for rows in groups.values() for row in rows]
    norm = LogNorm(min(rates), max(max(rates), min(rates) * 1.01))
    colours, best = rate_colours(), report.best_stable
    low, high = _limits([report.sharpness[row.number] for g in groups.values() for row in g])
    columns = 2 if len(groups) in (2, 4) else 3
    figure, panels = grid(len(groups), columns, (4.0, 3.4), (1.4, 0.3))
    for (name, rows), ax in zip(groups.items(), panels, strict=True):
        ax.set_title(safe(name), loc="left", fontsize=SIZE + 2, color=INK, fontweight="bold")
        ax.set_yscale("log")
        ax.set_ylim(low, high)
        for row in rows:
            chosen = best is not None and row.number == best.number
            colour = colours(norm(row.learning_rate))
            banded = chosen or len(rows) <= _BANDS
            curves = report.sharpness[row.number]
            draw_curve(
                ax,
                curves,
                partial(_height, curves.limit, low, high),
                (low, high),
                colour,
                chosen=chosen,
                band=banded,
            )
        _edge(ax, rows[0], report.sharpness[rows[0].number])
    last = max(int(report.sharpness[row.number].steps[-1]) for g in groups.values() for row in g)
    panels[0].set_xlim(0, last)
    _ticks(panels, low, high)
    label_edges(panels, columns, "training step", "sharpness / its limit")
    curve_legend(
        figure, Line2D([], [], color=INK, linewidth=1.2, linestyle=(0, (5, 3)), label="the limit")
    )
    rate_bar(figure, panels, cm.ScalarMappable(norm, colours), best.learning_rate if best else None)
    return png(figure)


def _limits(curves: list[SharpnessCurves]) -> tuple[float, float]:
    """Ends of the axis: all medians as far as they are near the edge, and the edge itself."""
    values = np.concatenate([c.p50 / c.limit for c in curves])
    values = values[np.isfinite(values) & (values > 0.0)]
    low = float(values.min(initial=0.3))
    high = float(values.max(initial=1.5))
    return max(0.7 * low, _LOWEST), min(1.5 * high, _HIGHEST)


def _height(limit: float, low: float, high: float, values: FloatArray) -> FloatArray:
    """Off the panel rather than off the axis: a sharpness of zero or less has no logarithm."""
    return np.clip(values / limit, 0.5 * low, 2.0 * high)


def _edge(ax: Axes, row: SettingRow, curves: SharpnessCurves) -> None:
    """The line at the limit, which the title's right end names, and a shade above it."""
    ax.axhspan(1.0, ax.get_ylim()[1], color=UNSTABLE, alpha=0.07, linewidth=0, zorder=0)
    ax.axhline(1.0, color=INK, linewidth=1.2, linestyle=(0, (5, 3)), zorder=7)
    limit = number(row.learning_rate * curves.limit)
    ax.set_title(f"limit {limit} / learning rate", loc="right", fontsize=SIZE - 0.5, color=GREY)


def _ticks(panels: list[Axes], low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

    marks = [v for v in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if low <= v <= high]
    for ax in panels:
        ax.set_yticks(marks, [f"{v:g}" for v in marks])
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
