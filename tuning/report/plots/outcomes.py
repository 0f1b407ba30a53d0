"""What became of the restarts at each learning rate, one panel an optimizer, with the cliff above
it: its band, and points the larger, the more restarts were trained there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from tuning.report.formatting import interval, number
from tuning.report.instead import nothing_judged
from tuning.report.labels import STACKS, stack
from tuning.report.model import Report, SettingRow, Status
from tuning.report.plots.style import GREY, INK, SIZE, figure, fraction_ticks, frame, png, safe
from tuning.report.text import sorted_settings
from tuning.statistics.cliff import Cliff

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["outcomes"]

_FITTED = "stable, fitted, and its band"
_WIDEST = 0.15  # decades to either side: where nothing was tried nearby, the gap shows


def outcomes(report: Report) -> bytes | None:
    """PNG of the fractions of outcomes against the learning rate; None without settings."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    groups = sorted_settings(report.settings)
    if not groups:
        return None
    rates = [row.learning_rate for row in report.settings]
    limits = min(rates) * 10**-0.15, max(rates) * 10**0.15
    columns = min(2 if len(groups) in (2, 4) else 3, len(groups))
    rows = -(-len(groups) // columns)
    drawn = figure(max(4.6 * columns, 6.4), 3.9 * rows + 0.75)
    axes = drawn.subplots(2 * rows, columns, squeeze=False, height_ratios=[1.0, 3.0] * rows)
    seen: set[str] = set()
    for index in range(rows * columns):
        lane, ax = axes[2 * (index // columns) : 2 * (index // columns) + 2, index % columns]
        if index >= len(groups):
            lane.remove()
            ax.remove()
            continue
        name, group = list(groups.items())[index]
        for each in (lane, ax):
            each.set_xscale("log")
            each.set_xlim(*limits)
        frame(ax)
        if (reason := nothing_judged(group)) is None:
            seen |= _bars(ax, group)
        else:
            _say_why(ax, reason)
        fraction_ticks(ax)
        ax.grid(visible=False)
        ax.set_xlabel("learning rate", fontsize=SIZE, color=INK)
        ax.tick_params(labelleft=index % columns == 0)
        if index % columns == 0:
            ax.set_ylabel("restarts", fontsize=SIZE, color=INK)
        _marks(lane, ax, report, name, limits)
        lane.set_title(safe(name), loc="left", fontsize=SIZE + 2, color=INK, fontweight="bold")
    handles: list[Artist] = [
        Patch(color=colour, label=name) for name, colour in STACKS.items() if name in seen
    ]
    handles.append(
        Line2D(
            [],
            [],
            color=INK,
            linewidth=1.6,
            linestyle=(0, (1, 1.2)),
            label=_FITTED,
        )
    )
    drawn.legend(
        handles=handles[::-1],
        loc="outside lower center",
        ncols=2 if columns == 1 else 4 if columns == 3 else 3,
        frameon=False,
        fontsize=SIZE - 0.5,
        labelcolor=INK,
        handlelength=1.1,
        handleheight=1.1,
    )
    return png(drawn)


def _say_why(ax: Axes, reason: str) -> None:
    """In the place of bars that would all be grey."""
    words = "\n".join(wrap(reason, 44))
    place = {"ha": "center", "va": "center", "transform": ax.transAxes}
    said = ax.text(0.5, 0.5, words, fontsize=SIZE, color=INK, **place)  # type: ignore[arg-type]
    said.set_in_layout(False)


def _bars(ax: Axes, rows: list[SettingRow]) -> set[str]:
    """Stacked bars that meet halfway between neighbouring rates; returns which stacks have
    restarts."""
    from matplotlib.collections import PolyCollection

    tried = sorted({row.learning_rate for row in rows})
    position = np.log10(tried)
    middle = (position[1:] + position[:-1]) / 2
    left = np.maximum(np.append(-np.inf, middle), position - _WIDEST)
    right = np.minimum(np.append(middle, np.inf), position + _WIDEST)
    pooled = [_sum(stack(row.joint) for row in rows if row.learning_rate == rate) for rate in tried]
    totals = np.maximum([sum(counts.values()) for counts in pooled], 1)
    floor = np.zeros(len(tried))
    seen = set()
    for name, colour in STACKS.items():
        height = np.array([counts[name] for counts in pooled]) / totals
        if height.any():
            seen.add(name)
        # One artist for all: of a bar each the layout would ask how large it is.
        x, y = np.stack([left, left, right, right]), np.stack([floor, floor + height])
        corners = np.stack([10**x, y[[0, 1, 1, 0]]], axis=-1).swapaxes(0, 1)
        ax.add_collection(
            PolyCollection(list(corners), facecolor=colour, edgecolor="white", linewidth=0.5)
        )
        floor = floor + height
    ax.plot(tried, np.zeros(len(tried)), "|", color=INK, markersize=5, clip_on=False, zorder=6)
    return seen


def _sum(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total = dict.fromkeys(STACKS, 0)
    for part in parts:
        for name, found in part.items():
            total[name] += found
    return total


def _marks(lane: Axes, ax: Axes, report: Report, name: str, limits: tuple[float, float]) -> None:
    """In the lane above the bars: the recommended rate, the cliff, the lowest failing rate, a line
    each."""
    lane.set_ylim(0.0, 3.0)
    lane.set_yticks([])
    lane.spines[["top", "left", "right", "bottom"]].set_visible(False)
    lane.tick_params(which="both", bottom=False, labelbottom=False)
    cliff, best = report.cliffs.get(name), report.best_stable
    if cliff is not None:
        _cliff(lane, ax, cliff, limits)
    if best is not None and best.optimizer == name:
        reach = best.learning_rate * best.margin
        lane.annotate(
            "",
            (reach, 2.5),
            (best.learning_rate, 2.5),
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-|>",
                "color": INK,
                "linewidth": 1.2,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        lane.plot(best.learning_rate, 2.5, "*", color=INK, markersize=11, clip_on=False)
        text = (
            f"recommended {number(best.learning_rate)}, also tried at × {number(best.margin)}"
            if best.status is Status.CONFIRMED
            else f"looks stable {number(best.learning_rate)}; × {number(best.margin)}"
        )
        _say(lane, text, best.learning_rate, reach, 2.5, limits)
        for rate, style in ((best.learning_rate, "-"), (reach, (0, (1, 1)))):
            _line(ax, rate, style)
            lane.plot([rate, rate], [0, 2.5], color=INK, linewidth=0.8, linestyle=style)


def _cliff(lane: Axes, ax: Axes, cliff: Cliff, limits: tuple[float, float]) -> None:
    low, high = cliff.low or limits[0], cliff.high or limits[1]
    if cliff.estimate is not None:
        lane.plot(
            [low, high], [1.5, 1.5], color=INK, linewidth=5, alpha=0.22, solid_capstyle="butt"
        )
        lane.plot(cliff.estimate, 1.5, "D", color=INK, markersize=5.5)
        lane.plot([cliff.estimate] * 2, [0, 1.5], color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        _line(ax, cliff.estimate, (0, (4, 2)))
        ends = interval(cliff.low, cliff.high)
        _say(lane, f"cliff {number(cliff.estimate)} {ends}", low, high, 1.5, limits)
    else:
        already = (
            "no cliff: P(unstable) does not only rise"
            if cliff.ring is not None
            else "unstable already at the lowest rate"
            if cliff.low is None
            else "no cliff up to the highest rate"
        )
        _say(lane, already, limits[0], limits[0], 1.5, limits)
    if cliff.lowest_failing is not None:
        lane.plot(
            cliff.lowest_failing, 0.5, "v", color="white", markeredgecolor=INK, markersize=6.5
        )
        text = f"lowest failing {number(cliff.lowest_failing)}"
        _say(lane, text, cliff.lowest_failing, cliff.lowest_failing, 0.5, limits)
    if len(cliff.curve) > 1:
        rates = [point.rate for point in cliff.curve]
        stable = [1.0 - point.fitted for point in cliff.curve]
        ax.plot(rates, stable, color="white", linewidth=3.4, alpha=0.9, zorder=5)
        ax.plot(rates, stable, color=INK, linewidth=1.6, linestyle=(0, (1, 1.2)), zorder=5)
        band = (
            [1.0 - point.high for point in cliff.curve],
            [1.0 - point.low for point in cliff.curve],
        )
        ax.fill_between(rates, *band, color=INK, alpha=0.13, linewidth=0, zorder=4)
        restarts = np.array([point.restarts for point in cliff.curve], dtype=float)
        ax.scatter(rates, stable, s=30 * np.sqrt(restarts / restarts.max()), color=INK, zorder=6)


def _line(ax: Axes, rate: float, style: str | tuple[float, tuple[float, ...]]) -> None:
    ax.axvline(rate, color="white", linewidth=3.0, alpha=0.75, zorder=4)
    ax.axvline(rate, color=INK, linewidth=1.2, linestyle=style, zorder=5)


def _say(
    lane: Axes, text: str, left: float, right: float, height: float, limits: tuple[float, float]
) -> None:
    """`text` beside the mark that spans `left` to `right`, on the side with more room."""
    onto_right = math.log(limits[1] / right) >= math.log(left / limits[0])
    note = lane.annotate(
        text,
        (right if onto_right else left, height),
        xytext=(9 if onto_right else -9, 0),
        textcoords="offset points",
        ha="left" if onto_right else "right",
        va="center",
        fontsize=SIZE - 1.2,
        color=INK if height > 1 else GREY,
        annotation_clip=False,
    )
    note.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0})
