"""Problems by name: the built-in ones, and a user's own as "package.module:Class".

To add one, write a module in this package with a `Problem` that has a `name`: it is found there. A
problem is held to `trainers.testing.check_problem`.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Mapping
from typing import Any

from trainers._discovery import find_named
from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.problem import Problem

__all__ = ["PROBLEMS", "example_of", "get_problem", "parameters_of"]

PROBLEMS: Mapping[str, type[Problem]] = find_named(
    "trainers.problems",
    Problem,  # type: ignore[type-abstract]
)


def example_of(name: str) -> Problem:
    """The built-in problem called `name` as one tries it: with its defaults, and with the
    parameters that its class names as an `example` where some have no default."""
    return get_problem(name, **getattr(PROBLEMS[name], "example", {}))


def parameters_of(kind: type[Problem]) -> dict[str, inspect.Parameter]:
    """The keyword arguments of a problem's constructor, in order."""
    signature = inspect.signature(kind)
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def get_problem(name: str, **parameters: Any) -> Problem:
    """The problem called `name`, with its parameters.

    Args:
        name: one of `PROBLEMS`, or "package.module:Class" for a `Problem` of your own.

    Raises:
        InvalidInput: an unknown name or parameter, one that is missing, a value that is not valid,
            or a module of your own that cannot be imported (what it raised is the cause).
    """
    kind = _import(name) if ":" in name else PROBLEMS.get(name)
    if kind is None:
        raise InvalidInput(
            f"unknown problem {name!r}{nearest(name, PROBLEMS)}, "
            'or "package.module:Class" for your own'
        )
    valid = parameters_of(kind)
    takes_any = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(kind).parameters.values())
    for key in parameters:
        if key not in valid and not takes_any:
            raise InvalidInput(f"problem {name}: unknown parameter {key!r}{nearest(key, valid)}")
    for key, parameter in valid.items():
        if parameter.default is parameter.empty and key not in parameters:
            raise InvalidInput(f"problem {name}: parameter {key!r} is missing")
    try:
        return kind(**parameters)
    except InvalidInput as error:
        raise type(error)(f"problem {name}: {error}") from error


def _import(name: str) -> type[Problem]:
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise InvalidInput(f'problem {name!r} is not valid; write "package.module:Class"')
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            raise InvalidInput(
                f"problem {name!r}: no module {missing!r}; "
                "run where it can be imported, or install it"
            ) from error
        last = traceback.extract_tb(error.__traceback__)[-1]
        # A syntax error says where it is; its last frame is the importer's.
        place = "" if isinstance(error, SyntaxError) else f" ({last.filename}, line {last.lineno})"
        raise InvalidInput(
            f"problem {name!r}: importing {module_name} raised "
            f"{type(error).__name__}: {error}{place}; mend it"
        ) from error
    kind = getattr(module, attribute, None)
    if kind is None:
        names = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, Problem)
        ]
        raise InvalidInput(
            f"problem {name!r}: {module_name} has no {attribute!r}{nearest(attribute, names)}"
        )
    if not (inspect.isclass(kind) and issubclass(kind, Problem)):
        raise InvalidInput(f"problem {name!r}: {attribute} is not a subclass of trainers.Problem")
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise InvalidInput(f"problem {name!r}: {attribute} lacks {missing}; define what is missing")
    return kind
