"""The expected cost against the learning rate, a line an optimizer."""

from __future__ import annotations

from tuning.report.formatting import number
from tuning.report.model import Report
from tuning.report.plots.style import GREY, INK, SIZE, figure, frame, png, safe
from tuning.report.text import sorted_settings

__all__ = ["costs"]

_MARKERS = "osDv^PX"  # told apart without colours
_LARGEST = 64.0  # square points: of the setting with most restarts


def costs(report: Report) -> bytes | None:
    """PNG of the steps that all restarts spend for each that reaches the target, by rate; a point
    as large as its restarts are many. None where no setting reached it."""
    groups = {
        name: sorted(
            (row for row in rows if row.cost is not None), key=lambda row: row.learning_rate
        )
        for name, rows in sorted_settings(report.settings).items()
    }
    reached = [row for rows in groups.values() for row in rows]
    if not any(row.cost for row in reached):
        return None
    most = max(row.restarts for row in reached)
    drawn = figure(6.4, 4.0)
    ax = drawn.subplots()
    frame(ax)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for i, (name, rows) in enumerate(groups.items()):
        at = [row.learning_rate for row in rows]
        spent = [row.cost or float("nan") for row in rows]
        colour = f"C{i % 10}"
        ax.plot(at, spent, color=colour, linewidth=1.0, alpha=0.6)
        ax.scatter(
            at,
            spent,
            s=[_LARGEST * max(row.restarts / most, 0.2) for row in rows],
            marker=_MARKERS[i % len(_MARKERS)],
            # Hollow where it is unstable, or not known not to be.
            facecolors=[colour if row.status.stable else "white" for row in rows],
            edgecolors=colour,
            zorder=3,
            label=safe(name),
        )
    if (best := report.best_stable) is not None:
        at_margin = best.learning_rate * best.margin
        ax.axvline(
            best.learning_rate,
            color=INK,
            linewidth=1.2,
            label=f"recommended {number(best.learning_rate)}",
        )
        if best.margin > 1:
            margin = f"its margin, × {number(best.margin)}"
            ax.axvline(at_margin, color=INK, linewidth=1.2, linestyle=(0, (1, 1)), label=margin)
    ax.set_xlabel("learning rate", fontsize=SIZE, color=INK)
    ax.set_ylabel("steps for each that reaches the target", fontsize=SIZE, color=INK)
    ax.set_title(
        f"target loss {number(report.target.loss, 4)}", loc="left", fontsize=SIZE, color=GREY
    )
    ax.legend(frameon=False, fontsize=SIZE - 0.5, labelcolor=INK)
    return png(drawn)
