"""What all pictures share: colours, axes, and bytes that are the same twice.

Figures are made by `matplotlib.figure.Figure` and drawn by Agg: pyplot would keep global state.
Matplotlib is
imported inside functions, since it takes half a second that a table does not need.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from tuning.report.formatting import number, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = [
    "FAINT",
    "GREY",
    "INK",
    "SIZE",
    "curve_legend",
    "figure",
    "fraction_ticks",
    "frame",
    "grid",
    "label_edges",
    "png",
    "rate_bar",
    "rate_colours",
    "safe",
    "spread",
]

INK, GREY, FAINT = "#1b1f24", "#5b6470", "#d9dde2"
SIZE = 9.5  # points
_DPI = 100  # of the layout; twice that in the file


def figure(width: float, height: float) -> Figure:
    """An empty white figure of `width` by `height` inches."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=_DPI, facecolor="white")
    made.set_layout_engine("constrained", w_pad=0.08, h_pad=0.09)
    return made


def grid(
    panels: int, columns: int, panel: tuple[float, float], extra: tuple[float, float] = (0.0, 0.0)
) -> tuple[Figure, list[Axes]]:
    """A figure with `panels` axes in rows of at most `columns` that share both axes; `panel` and
    `extra` in inches."""
    columns = min(columns, panels)
    rows = -(-panels // columns)
    drawn = figure(columns * panel[0] + extra[0], rows * panel[1] + extra[1])
    axes = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    for empty in axes[panels:]:
        empty.remove()
    for ax in axes[:panels]:
        frame(ax)
    return drawn, axes[:panels]


def label_edges(axes: list[Axes], columns: int, x: str, y: str) -> None:
    """Ticks and names of the axes at the left and the lower edge of a grid only."""
    columns = min(columns, len(axes))
    for index, ax in enumerate(axes):
        first, last = index % columns == 0, index + columns >= len(axes)
        ax.tick_params(labelbottom=last, labelleft=first)
        if last:
            ax.set_xlabel(x, fontsize=SIZE, color=INK)
        if first:
            ax.set_ylabel(y, fontsize=SIZE, color=INK)


def frame(ax: Axes) -> None:
    """Thin axes on the left and below, a faint grid behind, on white."""
    ax.set_facecolor("white")
    ax.set_axisbelow(True)
    ax.grid(visible=True, which="major", color="#eceff2", linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(color=GREY, linewidth=0.8)
    ax.tick_params(which="both", color=GREY, labelcolor=INK, labelsize=SIZE - 1, direction="out")
    ax.tick_params(which="minor", length=2)


def png(drawn: Figure) -> bytes:
    """The figure's bytes, the same twice: without the writer's version in them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(drawn)
    buffer = io.BytesIO()
    drawn.savefig(
        buffer, format="png", dpi=2 * _DPI, facecolor="white", metadata={"Software": None}
    )
    return buffer.getvalue()


def rate_colours() -> Colormap:
    """Low rates dark blue, high rates orange: perceptually uniform, safe for the colour-blind, and
    without the
    yellow that vanishes on white."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "rates", colormaps["plasma"](np.linspace(0.0, 0.87, 256))
    )


def safe(text: str) -> str:
    """`text` in one line, in which a dollar sign is a dollar sign, not the start of a formula."""
    return plain(text).replace("$", r"\$")


def fraction_ticks(ax: Axes) -> None:
    """0 to 100 % up the left side."""
    ax.set_ylim(0.0, 1.0)
    ax.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0 %", "25 %", "50 %", "75 %", "100 %"])


def spread(values: list[float]) -> tuple[float, float]:
    """Limits of a log axis that holds positive `values` with room at both ends."""
    low, high = min(values), max(values)
    room = max((high / low) ** 0.04, 1.15)
    return low / room, high * room


def curve_legend(drawn: Figure, *more: Line2D) -> None:
    """Below the panels: what a curve, its band, its cross and `more` stand for."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    cross = {"marker": "x", "markersize": 7, "markeredgewidth": 2, "linestyle": "none"}
    handles = [
        Line2D([], [], color=GREY, linewidth=1.6, label="median of the restarts"),
        *more,
        Patch(color=GREY, alpha=0.25, linewidth=0, label="10 to 90 % of them"),
        Line2D([], [], color=GREY, label="half have diverged", **cross),  # type: ignore[arg-type]
    ]
    drawn.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=SIZE - 0.5,
        labelcolor=INK,
    )


def rate_bar(
    figure: Figure, panels: list[Axes], colours: ScalarMappable, best: float | None
) -> None:
    """A bar beside the panels that says which colour is which learning rate, the best one
    marked."""
    bar = figure.colorbar(colours, ax=panels, pad=0.02, aspect=28, fraction=0.05)
    bar.set_label("learning rate", fontsize=SIZE, color=INK)
    bar.ax.tick_params(which="both", labelsize=SIZE - 1, color=GREY, labelcolor=INK)
    bar.outline.set_visible(False)
    if best is not None:
        bar.ax.axhline(best, color="white", linewidth=3.5)
        bar.ax.axhline(best, color=INK, linewidth=1.8)
        bar.ax.annotate(
            f"best\n{number(best)}",
            (0.0, best),
            xycoords=("axes fraction", "data"),
            xytext=(-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=SIZE - 1.5,
            color=INK,
        )
