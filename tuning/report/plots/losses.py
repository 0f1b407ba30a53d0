"""Loss curves of all settings, one panel an optimizer, coloured by learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tuning.report.formatting import number
from tuning.report.model import QuantileCurves, Report, SettingRow
from tuning.report.plots.curves import by_optimizer, draw_curve
from tuning.report.plots.style import (
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

__all__ = ["losses"]

FloatArray = NDArray[np.float64]
_DEEPEST = 1e-6  # of the descent: what lies below is rounding and of no interest
_COLUMNS = 3
_BANDS = 5  # in a panel with more curves, bands would hide one another
_HIGHEST = 30.0  # times the start: what lies above is on its way out


def losses(report: Report) -> bytes | None:
    """PNG of the median loss and its 10 to 90 % band against the step; None without curves.

    Where some loss is not positive, the loss above the lowest one is drawn, so that the axis can
    be logarithmic.
    """
    from matplotlib import cm
    from matplotlib.colors import LogNorm

    groups = by_optimizer(report, report.curves)
    if not groups:
        return None
    curves = [report.curves[row.number] for rows in groups.values() for row in rows]
    axis = _Axis(report, curves)
    rates = [row.learning_rate for rows in groups.values() for row in rows]
    norm = LogNorm(min(rates), max(max(rates), min(rates) * 1.01))
    colours = rate_colours()

    figure, panels = grid(len(groups), _COLUMNS, (4.0, 3.4), (1.4, 0.3))
    best = report.best_stable
    for (name, rows), ax in zip(groups.items(), panels, strict=True):
        banded = _banded(rows, best.number if best else None)
        ax.set_title(safe(name), loc="left", fontsize=SIZE + 2, color=INK, fontweight="bold")
        ax.set_yscale("log")
        ax.set_ylim(axis.low, axis.high)
        for row in rows:
            chosen = best is not None and row.number == best.number
            draw_curve(
                ax,
                report.curves[row.number],
                axis,
                (0.0, axis.high),
                colours(norm(row.learning_rate)),
                chosen=chosen,
                band=row in banded,
            )
        axis.mark(ax)
    _steps(panels, max(int(c.steps[-1]) for c in curves))
    label_edges(panels, _COLUMNS, "training step", axis.label)
    curve_legend(figure)
    rate_bar(figure, panels, cm.ScalarMappable(norm, colours), best.learning_rate if best else None)
    return png(figure)


class _Axis:
    """What goes up the loss axis: the loss itself where all are positive, else the loss above the
    lowest."""

    def __init__(self, report: Report, curves: list[QuantileCurves]) -> None:
        values = np.concatenate([np.concatenate([c.p10, c.p50, c.p90]) for c in curves])
        values = values[np.isfinite(values)]
        lowest = float(values.min()) if values.size else 0.0
        best = lowest if report.best_loss is None else min(report.best_loss, lowest)
        start = (
            report.start_loss
            if np.isfinite(report.start_loss)
            else float(values.max(initial=best + 1.0))
        )
        descent = max(start - best, 1e-300)
        self.shift = 0.0 if min(lowest, best) > 0.0 or (lowest > 0.0 and best == 0.0) else best
        floor = max(lowest - self.shift, _DEEPEST * descent)
        self.low = 0.6 * (min(floor, best) if best > 0.0 and self.shift == 0.0 else floor)
        reached = float(values.max(initial=start)) - self.shift
        self.high = max(min(2.0 * reached, _HIGHEST * (start - self.shift)), 10.0 * self.low)
        self.best = best - self.shift
        self.tolerance = report.tolerance
        self.known = report.best_loss_is_known
        self.label = "loss J" if self.shift == 0.0 else f"loss above J* = {number(best, 4)}"

    def __call__(self, loss: FloatArray) -> FloatArray:
        """Heights within the panel; NaN stays."""
        return np.clip(loss - self.shift, 0.5 * self.low, 2.0 * self.high)

    def mark(self, ax: Axes) -> None:
        """A dashed line at J*, or where J* is at minus infinity of a log axis, at the tolerance
        above it."""
        if self.best >= self.low:
            height, text = self.best, "J*, known" if self.known else "J*, best found"
        else:
            height, text = self.best + self.tolerance, "J* + tolerance"
        if not self.low < height < self.high:
            return
        ax.axhline(height, color=INK, linewidth=1.1, linestyle=(0, (5, 3)), zorder=4)
        note = ax.annotate(
            text,
            (0.015, height),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=SIZE - 1.5,
            color=INK,
            zorder=7,
        )
        note.set_bbox({"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8})


def _banded(rows: list[SettingRow], chosen: int | None) -> list[SettingRow]:
    """Which settings of a panel have their band drawn: all, or where they are many the recommended
    one, else the
    cheapest."""
    if len(rows) <= _BANDS:
        return rows
    named = [row for row in rows if row.number == chosen]
    ended = [row for row in rows if row.cost is not None]
    return named or sorted(ended, key=lambda row: (row.cost or 0.0, row.number))[:1]


def _steps(panels: list[Axes], last: int) -> None:
    """A step axis that shows the first steps and the last: logarithmic from 1, with 0 at its left
    end."""
    from matplotlib.ticker import NullLocator

    powers = [10**k for k in range(1, 10) if 10**k <= last]
    for ax in panels:
        ax.set_xscale("symlog", linthresh=1.0, linscale=0.35)
        ax.set_xlim(0, last)
        ax.set_xticks([0, 1, *powers], ["0", "1", *(f"{power:,}" for power in powers)])
        ax.xaxis.set_minor_locator(NullLocator())
