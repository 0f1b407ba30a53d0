"""The update rules, each as published, applied to many restarts at once and in place.

`training` comes in, and whoever names an optimizer. The room knows nothing of problems.
"""

from __future__ import annotations

from trainers.optimizers.base import (
    OPTIMIZERS,
    Adam,
    GradientDescent,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    get_optimizer,
)

__all__ = [
    "OPTIMIZERS",
    "Adam",
    "GradientDescent",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "get_optimizer",
]
