"""Where theory has gradient descent leave a minimum: the rate above 2 / its largest curvature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from trainers.optimizers import GradientDescent, Momentum, Nesterov
from tuning.report.model import Report

__all__ = ["Limit", "theoretical_limit"]

#: Whose steps divide the gradient by nothing, so that the Hessian's own curvature counts.
_PLAIN = {rule.name: rule for rule in (GradientDescent, Momentum, Nesterov)}


class Limit(NamedTuple):
    """`rate` = `factor` / `curvature`, of the lowest minimum whose curvature was measured."""

    rate: float
    factor: float
    curvature: float


def theoretical_limit(report: Report, optimizer: str) -> Limit | None:
    """The rate above which `optimizer` leaves the lowest minimum, on its quadratic; None where no
    curvature was measured, and for a rule whose preconditioner moves (Adam, RMSProp)."""
    sharpest = next((m for m in report.minima if m.largest_curvature > 0), None)
    if sharpest is None or not math.isfinite(sharpest.largest_curvature):
        return None
    for given in report.job.get("search", {}).get("optimizers", ()):
        asked = dict(given) if isinstance(given, Mapping) else {"name": given}
        kind = _PLAIN.get(asked.pop("name", ""))
        if kind is not None and (rule := kind(**asked)).label == optimizer:
            factor = rule.stability_limit
            return Limit(factor / sharpest.largest_curvature, factor, sharpest.largest_curvature)
    return None
