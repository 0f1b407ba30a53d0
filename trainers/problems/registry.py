"""Problems by name: the built-in ones, those of plug-ins (entry points `surefoot.problems`), and a
user's own as "package.module:Class".

To add one, write a module in this package with a `Problem` that has a `name`: it is found there. A
problem is held to `trainers.testing.check_problem`.
"""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from trainers._discovery import find_named
from trainers._plugins import Listed, Plugins, unfit
from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.problem import Problem

__all__ = ["PLUGINS", "PROBLEMS", "all_problems", "example_of", "get_problem", "parameters_of"]

PROBLEMS: Mapping[str, type[Problem]] = find_named(
    "trainers.problems",
    Problem,  # type: ignore[type-abstract]
)


def example_of(name: str) -> Problem:
    """The built-in problem called `name` as one tries it: with its defaults, and with the
    parameters that its class names as an `example` where some have no default."""
    return get_problem(name, **getattr(PROBLEMS[name], "example", {}))


def parameters_of(kind: Callable[..., Problem]) -> dict[str, inspect.Parameter]:
    """The keyword arguments of a problem's constructor, in order."""
    signature = inspect.signature(kind)
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _fault(_: str, kind: Any) -> str | None:
    """What keeps a plug-in's object from being a problem."""
    if inspect.isfunction(kind):
        return None
    if not (inspect.isclass(kind) and issubclass(kind, Problem)):
        return "it is neither a subclass of trainers.Problem nor a function that returns one"
    return unfit(kind, Problem)


#: The built-in problems, and those that other distributions have.
PLUGINS: Plugins[Callable[..., Problem]] = Plugins("problem", PROBLEMS, _fault)


def all_problems() -> Mapping[str, Listed[Callable[..., Problem]]]:
    """Every problem by name: its class, or a function that returns one (`kind`), and the
    distribution that it is of (`origin`; None where it is built in). Plug-ins are imported; a
    RuntimeWarning names each that is broken, which is left out."""
    return PLUGINS.catalogue()


def get_problem(name: str, **parameters: Any) -> Problem:
    """The problem called `name`, with its parameters.

    Args:
        name: one of `PROBLEMS`, of a plug-in's, or "package.module:Class" for a `Problem` of your
            own, or "package.module:function" that returns one.

    Raises:
        InvalidInput: an unknown name or parameter, one that is missing, a value that is not valid,
            or a module of your own that cannot be imported (what it raised is the cause).
    """
    kind = _import(name) if ":" in name else PLUGINS.get(name)
    if kind is None:
        raise InvalidInput(
            f"unknown problem {name!r}{nearest(name, PLUGINS.names())}, "
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
        problem: object = kind(**parameters)
    except InvalidInput as error:
        raise type(error)(f"problem {name}: {error}") from error
    if not isinstance(problem, Problem):
        raise InvalidInput(
            f"problem {name}: it returned a {type(problem).__name__}; return a trainers.Problem"
        )
    return problem


def _import(name: str) -> Callable[..., Problem]:
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
        if missing == "torch":
            raise InvalidInput(
                f"problem {name!r}: PyTorch is not installed, and {module_name} imports it: "
                "pip install 'surefoot[torch]'"
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
    if inspect.isfunction(kind):
        return kind
    if not (inspect.isclass(kind) and issubclass(kind, Problem)):
        raise InvalidInput(
            f"problem {name!r}: {attribute} is neither a subclass of trainers.Problem nor a "
            "function that returns one"
        )
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise InvalidInput(f"problem {name!r}: {attribute} lacks {missing}; define what is missing")
    return kind
