"""The update rules, each as published, applied to many restarts at once and in place.

One method a file: its equation, its source, what it remembers, its preconditioner and how large a
step it stands. `training` comes in, and whoever names an optimizer. The room knows nothing of
problems.
"""

from __future__ import annotations

from trainers.optimizers.adam import Adam
from trainers.optimizers.base import Optimizer
from trainers.optimizers.registry import OPTIMIZERS, get_optimizer
from trainers.optimizers.rmsprop import RMSProp
from trainers.optimizers.sgd import GradientDescent, Momentum, Nesterov

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
