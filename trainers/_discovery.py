"""What a package holds is found in its modules, so that to add something is to add a file."""

from __future__ import annotations

import inspect
import math
import pkgutil
from importlib import import_module
from typing import TypeVar

__all__ = ["find_named"]

T = TypeVar("T")


def find_named(package: str, base: type[T]) -> dict[str, type[T]]:
    """By `name`, the subclasses of `base` that a module of `package` defines and names.

    A module's stand in the order in which they are defined. Modules come by their `LISTED_AT`, a
    number, and those without one after them, by the alphabet.

    Raises:
        ValueError: two classes have one name.
    """
    found = pkgutil.iter_modules(import_module(package).__path__, f"{package}.")
    modules = sorted(
        (import_module(entry.name) for entry in found),
        key=lambda module: (getattr(module, "LISTED_AT", math.inf), module.__name__),
    )
    classes: dict[str, type[T]] = {}
    for module in modules:
        for member in list(vars(module).values()):
            named = inspect.isclass(member) and member.__module__ == module.__name__
            if not (named and issubclass(member, base) and "name" in vars(member)):
                continue
            name = member.name
            if name in classes:
                raise ValueError(f"{member} and {classes[name]} are both called {name!r}")
            classes[name] = member
    return classes
