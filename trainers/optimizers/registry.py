"""Optimizers by name: the built-in ones, and those of plug-ins (entry points
`surefoot.optimizers`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from trainers._discovery import find_named
from trainers._plugins import Listed, Plugins, described, unfit
from trainers._suggest import nearest
from trainers.errors import InvalidInput, SurefootError
from trainers.optimizers.base import Optimizer

__all__ = ["OPTIMIZERS", "PLUGINS", "all_optimizers", "get_optimizer"]

OPTIMIZERS: Mapping[str, type[Optimizer]] = find_named(
    "trainers.optimizers",
    Optimizer,  # type: ignore[type-abstract]
)


def _fault(name: str, kind: Any) -> str | None:
    """What keeps a plug-in's object from being the optimizer called `name`."""
    if (wrong := unfit(kind, Optimizer)) is not None:
        return wrong
    if getattr(kind, "name", None) != name:
        return f"its attribute name is {getattr(kind, 'name', None)!r}; it must be {name!r}"
    make: Callable[[], Optimizer] = kind
    if not is_dataclass(kind):
        return "it is not a dataclass, whose fields would be its hyperparameters"
    for field in fields(kind):
        if field.default is MISSING and field.default_factory is MISSING:
            return f"hyperparameter {field.name!r} has no default"
    for key, value in make().hyperparameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"hyperparameter {key} = {value!r} is not a number"
    return None


#: The built-in optimizers, and those that other distributions have.
PLUGINS: Plugins[type[Optimizer]] = Plugins("optimizer", OPTIMIZERS, _fault)


def all_optimizers() -> Mapping[str, Listed[type[Optimizer]]]:
    """Every optimizer by name: its class (`kind`), and the distribution that it is of (`origin`;
    None where it is built in). Plug-ins are imported; a RuntimeWarning names each that is broken,
    which is left out."""
    return PLUGINS.catalogue()


def get_optimizer(name: str, **hyperparameters: float) -> Optimizer:
    """The optimizer called `name`, with the hyperparameters given and defaults for the rest.

    Raises:
        InvalidInput: an unknown name or hyperparameter, a value out of range, or a plug-in that is
            broken.
    """
    rule = PLUGINS.get(name)
    if rule is None:
        raise InvalidInput(f"unknown optimizer {name!r}{nearest(name, PLUGINS.names())}")
    valid = [f.name for f in fields(rule)]  # type: ignore[arg-type]
    for key, value in hyperparameters.items():
        if key not in valid:
            raise InvalidInput(f"{name}: unknown hyperparameter {key!r}{nearest(key, valid)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInput(f"{name}: {key} = {value!r} is not a number")
    values = {key: float(value) for key, value in hyperparameters.items()}
    try:
        return rule(**values)
    except SurefootError:
        raise
    except Exception as error:  # a plug-in may refuse a value by whatever it likes
        raise InvalidInput(f"{name}: {described(error)}") from error
