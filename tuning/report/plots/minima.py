"""The distinct minima: how far each is above the best, how often it was found, and how sharp it
is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tuning.report.formatting import number
from tuning.report.labels import PALETTE
from tuning.report.model import Report
from tuning.report.plots.style import GREY, INK, SIZE, figure, frame, png, rate_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["minima"]

_NAMED = 4


def minima(report: Report) -> bytes | None:
    """PNG of the distinct minima; None unless there are at least two."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm, Normalize

    if len(report.minima) < 2:
        return None
    found = report.minima
    counts = np.array([m.count for m in found], dtype=float)
    sharp = np.array([m.largest_curvature for m in found])
    above, unit, tolerance = _heights(report)
    measured = sharp[np.isfinite(sharp) & (sharp > 0)]
    low, high = (float(measured.min()), float(measured.max())) if measured.size else (1.0, 1.0)
    wide = high > 1.001 * low
    norm: Normalize = (
        LogNorm(low, high) if high > 4 * low else Normalize(low, high if wide else low + 1.0)
    )
    colours = rate_colours()

    drawn = figure(7.6, 3.9)
    ax = drawn.subplots()
    frame(ax)
    if counts.max() > 30 * counts.min():
        ax.set_yscale("log")
        _plain_counts(ax)
        foot, top = 0.7, counts.max() * 2.5
    else:
        foot, top = 0.0, counts.max() * 1.15
    ax.set_ylim(foot, top)
    ax.vlines(above, foot, counts, color="#c9ced6", linewidth=1.2, zorder=2)
    ax.axvspan(
        -0.06 * above.max() - tolerance,
        tolerance,
        color=PALETTE[0],
        alpha=0.08,
        linewidth=0,
        zorder=1,
    )
    for height, count, curvature, minimum in zip(above, counts, sharp, found, strict=True):
        usable = wide and np.isfinite(curvature) and curvature > 0
        ax.plot(
            height,
            count,
            "*" if minimum.is_global else "s" if minimum.flat else "o",
            color=colours(norm(curvature)) if usable else GREY,
            markersize=15 if minimum.is_global else 8.5,
            markeredgecolor=INK if minimum.flat else "white",
            markeredgewidth=1.1 if minimum.flat else 0.7,
            zorder=4,
            clip_on=False,
        )
    total = counts.sum()
    for index in np.argsort(-counts, kind="stable")[:_NAMED]:
        ax.annotate(
            f"{100 * counts[index] / total:.0f} %",
            (above[index], counts[index]),
            xytext=(11, 0),
            textcoords="offset points",
            ha="left",
            va="center",
            fontsize=SIZE - 1,
            color=INK,
        )
    widest = max(float(above.max()), tolerance)
    ax.set_xlim(-0.05 * widest, 1.08 * widest)
    ax.set_xlabel(f"loss above the best minimum, {unit}", fontsize=SIZE, color=INK)
    ax.set_ylabel("restarts that ended there", fontsize=SIZE, color=INK)
    ax.set_title(
        f"{len(found)} distinct minima   (★ within the tolerance of the best"
        + ("; dark edge: flat)" if any(m.flat for m in found) else ")"),
        loc="left",
        fontsize=SIZE + 1.5,
        color=INK,
        fontweight="bold",
    )
    if wide:
        bar = drawn.colorbar(ScalarMappable(norm, colours), ax=ax, pad=0.02, aspect=24)
        bar.set_label("sharpness: largest curvature λ", fontsize=SIZE, color=INK)
        bar.ax.tick_params(which="both", labelsize=SIZE - 1, color=GREY, labelcolor=INK)
        bar.outline.set_visible(False)
    elif measured.size:
        ax.annotate(
            f"all of sharpness {number(low)}",
            (1, 1),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            fontsize=SIZE - 1,
            color=GREY,
        )
    return png(drawn)


def _heights(report: Report) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], str, float]:
    """Height of each minimum above the best, its unit, and the tolerance in that unit."""
    parts = [m.above_best for m in report.minima]
    best = report.minima[0].loss if report.best_loss is None else report.best_loss
    descent = report.start_loss - best
    if all(part is not None for part in parts) and descent > 0:
        return (
            100.0 * np.array(parts, dtype=float),
            "% of the descent from the start",
            100.0 * report.tolerance / descent,
        )
    return np.array([m.loss - best for m in report.minima]), "J − J*", report.tolerance


def _plain_counts(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
