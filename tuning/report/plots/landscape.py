"""J over its one weight with the walks on it: what overshooting, settling and being trapped look
like."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tuning.report.formatting import number
from tuning.report.labels import PALETTE
from tuning.report.model import LossProfile, Paths, Report
from tuning.report.plots.path_summary import FAR, story, walked_part
from tuning.report.plots.style import GREY, INK, SIZE, grid, png, safe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["landscape"]

FloatArray = NDArray[np.float64]
_ARROWS = 14  # steps drawn with an arrow; the later ones as a line
_STEPS = 400  # more would only blacken what is there


def landscape(report: Report) -> bytes | None:
    """PNG of the walks, one panel an (optimizer, rate); None unless the problem has one weight."""
    from matplotlib.lines import Line2D

    if report.landscape is None or not report.landscape.paths:
        return None
    land = report.landscape
    paths = land.paths
    by_optimizer = Counter(path.optimizer for path in paths)
    most = max(by_optimizer.values())
    columns = most if len(by_optimizer) > 1 and most <= 4 else 2 if len(paths) in (2, 4) else 3
    aligned = _aligned(paths, columns)
    figure, axes = grid(len(aligned), columns, (4.3, 3.1), (0.2, 0.6))
    ground = _Ground(land)
    below = {id(ax): other for ax, other in zip(axes, aligned[columns:], strict=False)}
    for path, ax in zip(aligned, axes, strict=True):
        if path is None:
            ax.remove()
            continue
        _panel(ax, ground, path)
        if below.get(id(ax)) is None:
            ax.set_xlabel("weight w", fontsize=SIZE, color=INK)
        if axes.index(ax) % columns == 0:
            ax.set_ylabel("loss J(w)", fontsize=SIZE, color=INK)
        ax.tick_params(
            labelbottom=below.get(id(ax)) is None, labelleft=axes.index(ax) % columns == 0
        )
    handles = [
        Line2D(
            [],
            [],
            marker="o",
            color="none",
            markerfacecolor="white",
            markeredgecolor=INK,
            markersize=7,
            label="start",
        ),
        Line2D(
            [],
            [],
            marker="o",
            color="none",
            markerfacecolor=INK,
            markeredgecolor="white",
            markersize=7.5,
            label="end",
        ),
        Line2D(
            [],
            [],
            marker=r"$\rightarrow$",
            color="none",
            markerfacecolor=INK,
            markeredgecolor=INK,
            markersize=12,
            label="one step",
        ),
        Line2D(
            [],
            [],
            marker="*",
            color="none",
            markerfacecolor="#ffd21f",
            markeredgecolor=INK,
            markersize=13,
            label="global minimum",
        ),
    ]
    if land.local_minima.size:
        handles.append(
            Line2D(
                [],
                [],
                marker="o",
                color="none",
                markerfacecolor="none",
                markeredgecolor=INK,
                markeredgewidth=1.6,
                markersize=12,
                label="local minimum",
            )
        )
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=SIZE,
        labelcolor=INK,
    )
    return png(figure)


class _Ground:
    """The curve and its panel's limits; J outside the drawn range is continued by a parabola, to
    aim arrows by."""

    def __init__(self, land: LossProfile) -> None:
        self.land = land
        finite = np.isfinite(land.loss)
        self.w, self.loss = land.w[finite], land.loss[finite]
        self.left, self.right = float(land.w[0]), float(land.w[-1])
        bottom = float(self.loss.min())
        # As high as the starts need: a higher panel would squeeze the wells.
        starts = np.concatenate([path.w[0] for path in land.paths])
        highest = float(np.max(np.interp(starts, self.w, self.loss), initial=bottom))
        top = (
            min(float(self.loss.max()), bottom + 1.5 * (highest - bottom))
            if highest > bottom
            else float(self.loss.max())
        )
        self.bottom, self.top = bottom - 0.12 * (top - bottom), top + 0.03 * (top - bottom)
        piece = max(3, len(self.w) // 20)
        self._ends = [
            np.polyfit(self.w[part], self.loss[part], 2)
            for part in (slice(piece), slice(-piece, None))
        ]

    def __call__(self, w: FloatArray) -> FloatArray:
        """J at `w`."""
        inside = np.interp(w, self.w, self.loss)
        left, right = (np.polyval(end, w) for end in self._ends)
        return np.asarray(np.where(w < self.left, left, np.where(w > self.right, right, inside)))

    def holds(self, w: FloatArray, loss: FloatArray) -> NDArray[np.bool_]:
        """Which points lie in the panel."""
        return np.asarray(
            (w >= self.left) & (w <= self.right) & (loss >= self.bottom) & (loss <= self.top)
        )

    def leave(self, inner: FloatArray, outer: FloatArray) -> FloatArray:
        """Where the straight line from `inner` (2,), in the panel, to `outer` (2,) crosses its
        edge."""
        low, high = np.array([self.left, self.bottom]), np.array([self.right, self.top])
        step = outer - inner
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(
                step > 0, (high - inner) / step, np.where(step < 0, (low - inner) / step, np.inf)
            )
        return np.asarray(inner + min(1.0, float(reach.min())) * step)


def _aligned(paths: tuple[Paths, ...], columns: int) -> list[Paths | None]:
    """A row for each optimizer where they fit in one."""
    rows: dict[str, list[Paths | None]] = {}
    for path in paths:
        rows.setdefault(path.optimizer, []).append(path)
    if any(len(row) > columns for row in rows.values()):
        return list(paths)
    return [path for row in rows.values() for path in (*row, *[None] * (columns - len(row)))]


def _panel(ax: Axes, ground: _Ground, path: Paths) -> None:
    land = ground.land
    ax.set_xlim(ground.left, ground.right)
    ax.set_ylim(ground.bottom, ground.top)
    ax.grid(visible=False)
    ax.fill_between(ground.w, ground.loss, ground.bottom, color="#eef1f4", linewidth=0, zorder=1)
    ax.plot(ground.w, ground.loss, color=GREY, linewidth=1.6, zorder=2)
    for minima, style in (
        (land.global_minima, {"marker": "*", "markersize": 19, "markerfacecolor": "#ffd21f"}),
        (
            land.local_minima,
            {"marker": "o", "markersize": 15, "markerfacecolor": "none", "markeredgewidth": 1.6},
        ),
    ):
        ax.plot(minima, ground(minima), linestyle="none", markeredgecolor=INK, zorder=5, **style)  # type: ignore[arg-type]
    first = f"{path.optimizer}, learning rate {number(path.learning_rate)}"
    ax.set_title(safe(first), loc="left", fontsize=SIZE, color=GREY, pad=19)
    ax.text(
        0.0,
        1.025,
        story(path, land),
        transform=ax.transAxes,
        fontsize=SIZE + 2,
        fontweight="bold",
        color=INK,
        va="bottom",
    )
    for index, walk in enumerate(path.w.T):
        _walk(ax, ground, walk, PALETTE[index % len(PALETTE)])


def _walk(ax: Axes, ground: _Ground, walk: FloatArray, colour: str) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patches import FancyArrowPatch

    w = walked_part(walk, ground.land)
    if not w.size:
        return
    points = np.column_stack([w, ground(w)])[: _STEPS + 1]
    inside = ground.holds(points[:, 0], points[:, 1])
    far = FAR * (ground.right - ground.left)
    lines, fading = [], []
    for step, (here, there) in enumerate(pairwise(points)):
        if not inside[step] and not inside[step + 1]:
            continue
        begin = here if inside[step] else ground.leave(there, here)
        end = there if inside[step + 1] else ground.leave(here, there)
        faint = max(0.25, 1.0 - step / (1.5 * _ARROWS))
        if (inside[step] and not inside[step + 1]) or (
            step < _ARROWS and abs(there[0] - here[0]) > far
        ):
            ax.add_patch(
                FancyArrowPatch(
                    tuple(begin.tolist()),
                    tuple(end.tolist()),
                    arrowstyle="-|>,head_width=2.2,head_length=4.5",
                    color=colour,
                    alpha=faint,
                    linewidth=1.4,
                    shrinkA=0,
                    shrinkB=0,
                    clip_on=False,
                    zorder=4,
                )
            ).set_in_layout(False)
        else:
            lines.append(np.array([begin, end]))
            fading.append(faint)
    ax.add_collection(
        LineCollection(lines, colors=colour, linewidths=1.3, alpha=fading or None, zorder=4),
        autolim=False,
    )
    seen = points[inside]
    dots = seen[: _ARROWS + 1]
    ax.plot(dots[:, 0], dots[:, 1], "o", color=colour, markersize=3.2, zorder=5)
    if inside[0]:
        ax.plot(
            *points[0],
            "o",
            markerfacecolor="white",
            markeredgecolor=colour,
            markeredgewidth=1.8,
            markersize=7.5,
            zorder=7,
        )
    end_w = w[-1:]
    if len(w) == len(walk) and ground.holds(end_w, ground(end_w))[0]:
        ax.plot(
            end_w,
            ground(end_w),
            "o",
            color=colour,
            markeredgecolor="white",
            markersize=6.5,
            zorder=6,
        )
