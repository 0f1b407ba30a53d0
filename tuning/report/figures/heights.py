"""What goes up an axis of losses: the loss, or where some are not above 0 the loss above J*; and
nothing deeper than anybody would read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuning.report.formatting import number
from tuning.report.model import Report

__all__ = ["Heights"]

#: Of the descent: what lies deeper is rounding, and is drawn here.
DEEPEST = 1e-6


class Heights:
    """From losses to a logarithmic axis.

    Attributes:
        shift: what is taken off each loss. floor: the lowest height drawn. label: of the axis.
    """

    def __init__(self, report: Report, losses: ArrayLike) -> None:
        """`losses`: all that are to be drawn, NaN among them."""
        every = np.asarray(losses, dtype=np.float64)
        every = every[np.isfinite(every)]
        lowest = float(every.min(initial=np.inf))
        best = lowest if report.best_loss is None else min(report.best_loss, lowest)
        start = report.start_loss if np.isfinite(report.start_loss) else float(every.max(initial=1))
        self.shift = 0.0 if lowest > 0.0 and best >= 0.0 else best
        self.floor = max(DEEPEST * (start - best), np.finfo(float).tiny)
        self.label = "loss J" if self.shift == 0.0 else f"loss above J* = {number(best, 4)}"
        if lowest - self.shift < self.floor:
            self.label += f", down to {DEEPEST:g} of the descent"

    def __call__(self, losses: Iterable[float | None]) -> NDArray[np.float64]:
        """NaN where there is no loss."""
        known = np.array([np.nan if loss is None else loss for loss in losses], dtype=np.float64)
        return np.maximum(known - self.shift, self.floor)
