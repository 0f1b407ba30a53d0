"""The pictures of a report, as PNG."""

from __future__ import annotations

from tuning.render.landscape import landscape
from tuning.render.losses import losses
from tuning.render.minima import minima
from tuning.render.outcomes import outcomes
from tuning.render.sharpness import sharpness
from tuning.report import Report

__all__ = ["landscape", "losses", "minima", "outcomes", "pictures", "sharpness"]


def pictures(report: Report) -> dict[str, bytes]:
    """Name -> PNG, in the order in which to show them; those that the report has nothing for are
    left out. The same
    report gives the same bytes."""
    drawn = {
        "landscape.png": landscape(report),
        "outcomes.png": outcomes(report),
        "losses.png": losses(report),
        "sharpness.png": sharpness(report),
        "minima.png": minima(report),
    }
    return {name: png for name, png in drawn.items() if png is not None}
