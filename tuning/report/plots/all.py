"""The pictures of a report, as PNG."""

from __future__ import annotations

from tuning.report.model import Report
from tuning.report.plots.costs import costs
from tuning.report.plots.landscape import landscape
from tuning.report.plots.losses import losses
from tuning.report.plots.minima import minima
from tuning.report.plots.outcomes import outcomes
from tuning.report.plots.sharpness import sharpness

__all__ = ["costs", "landscape", "losses", "minima", "outcomes", "pictures", "sharpness"]


def pictures(report: Report) -> dict[str, bytes]:
    """Name -> PNG, in the order in which to show them; those that the report has nothing for are
    left out. The same
    report gives the same bytes."""
    drawn = {
        "landscape.png": landscape(report),
        "outcomes.png": outcomes(report),
        "costs.png": costs(report),
        "losses.png": losses(report),
        "sharpness.png": sharpness(report),
        "minima.png": minima(report),
    }
    return {name: png for name, png in drawn.items() if png is not None}
