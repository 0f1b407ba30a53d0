"""Optimizers by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from trainers._discovery import find_named
from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.optimizers.base import Optimizer

__all__ = ["OPTIMIZERS", "get_optimizer"]

OPTIMIZERS: Mapping[str, type[Optimizer]] = find_named(
    "trainers.optimizers",
    Optimizer,  # type: ignore[type-abstract]
)


def get_optimizer(name: str, **hyperparameters: float) -> Optimizer:
    """The optimizer called `name`, with the hyperparameters given and defaults for the rest.

    Raises:
        InvalidInput: an unknown name or hyperparameter, or a value out of range.
    """
    if name not in OPTIMIZERS:
        raise InvalidInput(f"unknown optimizer {name!r}{nearest(name, OPTIMIZERS)}")
    rule = OPTIMIZERS[name]
    valid = [f.name for f in fields(rule)]  # type: ignore[arg-type]
    for key, value in hyperparameters.items():
        if key not in valid:
            raise InvalidInput(f"{name}: unknown hyperparameter {key!r}{nearest(key, valid)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInput(f"{name}: {key} = {value!r} is not a number")
    return rule(**{key: float(value) for key, value in hyperparameters.items()})
