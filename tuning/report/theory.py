"""What the curvature of the minima says of the rates, before any was tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainers import get_optimizer
from trainers.errors import InvalidInput
from trainers.optimizers.base import Optimizer
from tuning.report.model import Report

__all__ = ["curvature_limits"]


def curvature_limits(report: Report) -> dict[str, float]:
    """By optimizer: the rate above which it can stay in no global minimum that was found, its
    limit on a quadratic over the largest curvature there (2/lambda for gradient descent).

    An optimizer is left out that divides the gradient by what it has seen (Adam, RMSProp), or
    whose rule is not ours; all are where no curvature was measured.
    """
    curvatures = [m.largest_curvature for m in report.minima if m.is_global]
    bending = [curvature for curvature in curvatures if curvature > 0]
    if not bending:
        return {}
    limits = {}
    for entry in report.job.get("search", {}).get("optimizers", ()):
        rule = _rule(entry)
        if rule is not None and type(rule).preconditioner is Optimizer.preconditioner:
            limits[rule.label] = rule.stability_limit / min(bending)
    return limits


def _rule(entry: str | Mapping[str, Any]) -> Optimizer | None:
    asked = {"name": entry} if isinstance(entry, str) else dict(entry)
    try:
        return get_optimizer(**asked)
    except InvalidInput:  # of another library, or trained by a script of one's own
        return None
