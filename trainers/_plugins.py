"""What other distributions add to the built-in problems and optimizers, by their entry points:

    [project.entry-points."surefoot.problems"]
    spring = "my_package.spring:Spring"

Nothing of a plug-in is imported before its name is asked for, or all are listed. One that is broken
is refused where it is asked for, and named and left out where all are listed; the others go on.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from trainers.errors import InvalidInput

__all__ = ["Listed", "Origin", "Plugins", "described", "module_origins", "unfit", "uninstalled"]

T = TypeVar("T")

_GROUPS = ("surefoot.problems", "surefoot.optimizers")
_LONGEST = 120  # characters of what an exception says
# Of these packages' frames none is the place of an error in a plug-in.
_MACHINERY = tuple(f"{Path(file).parent}{os.sep}" for file in (str(importlib.__file__), __file__))


class Origin(NamedTuple):
    """The distribution that a plug-in is of."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Listed(Generic[T]):
    """What goes by a name: a class, or a function that makes a problem; and the distribution that
    it is of, None where it is built in."""

    kind: T
    origin: Origin | None = None


class Plugins(Generic[T]):
    """The problems, or the optimizers: those built in, and those of other distributions.

    Args:
        what: "problem" or "optimizer"; the entry points' group is surefoot.problems or
            surefoot.optimizers.
        built_in: by name; none of these is ever taken from elsewhere.
        fault: what is wrong with an object of a given name that was loaded, or None.
    """

    def __init__(
        self, what: str, built_in: Mapping[str, T], fault: Callable[[str, Any], str | None]
    ) -> None:
        self._what, self._built_in, self._fault = what, built_in, fault
        # By where it was looked for, too: who changes sys.path may find another one there.
        self._loaded: dict[tuple[tuple[str, ...], str], T] = {}

    def names(self) -> list[str]:
        """All names, also of plug-ins that may turn out to be broken; nothing is imported."""
        return [*self._built_in, *(name for name in self._declared() if name not in self._built_in)]

    def get(self, name: str) -> T | None:
        """What is called `name`, or None; a plug-in is loaded when it is first asked for.

        Raises:
            InvalidInput: a plug-in is broken, or several have this name.
        """
        if name in self._built_in:
            return self._built_in[name]
        if (tuple(sys.path), name) in self._loaded:
            return self._loaded[tuple(sys.path), name]
        points = self._declared().get(name)
        return None if points is None else self._kind(points)

    def origin(self, name: str) -> Origin | None:
        """The distribution of the plug-in called `name`, if there is one; it is not imported."""
        if name in self._built_in:
            return None
        points = self._declared().get(name)
        return None if points is None else _origin(points[0])

    def catalogue(self, say: Callable[[str], None] | None = None) -> dict[str, Listed[T]]:
        """Everything, by name; plug-ins are loaded and stand after what is built in.

        Args:
            say: called with a line for each that is broken and left out; by default it warns.
        """
        tell = say or _warn
        found = {name: Listed(kind) for name, kind in self._built_in.items()}
        for name, points in self._declared().items():
            if name in self._built_in:
                for point in points:
                    tell(
                        f"skipped: {self._words(point)}: {name!r} is built in; "
                        f"rename it, or uninstall {_origin(point).name}"
                    )
                continue
            try:
                found[name] = Listed(self._kind(points), _origin(points[0]))
            except InvalidInput as error:
                tell(f"skipped: {error}")
        return found

    def _declared(self) -> dict[str, list[EntryPoint]]:
        """The plug-ins' entry points by name, each name's by distribution; nothing is imported."""
        declared: dict[str, list[EntryPoint]] = {}
        for point in sorted(entry_points(group=f"surefoot.{self._what}s"), key=_order):
            declared.setdefault(point.name, []).append(point)
        return declared

    def _kind(self, points: list[EntryPoint]) -> T:
        key = (tuple(sys.path), points[0].name)
        if key not in self._loaded:
            self._loaded[key] = self._load(points)
        return self._loaded[key]

    def _load(self, points: list[EntryPoint]) -> T:
        point, *others = points
        if others:
            names = " and ".join(f"{_origin(p)} ({p.value})" for p in points)
            raise InvalidInput(
                f"{self._what} {point.name!r}: {names} each have one; uninstall all but one of them"
            )
        try:
            with redirect_stdout(sys.stderr):  # stdout may be for a program that reads JSON
                return self._imported(point)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever somebody else's module raises, SystemExit too
            raised = f"loading it raised {described(error)}"
            why = str(error) if isinstance(error, _Unfit) else raised
            raise InvalidInput(
                f"{self._words(point)}: {why}; mend or uninstall {_origin(point).name}"
            ) from error

    def _imported(self, point: EntryPoint) -> T:
        if re.fullmatch(r"[\w.-]+", point.name) is None:
            raise _Unfit("a name has letters, digits, . _ and - only")
        if point.pattern.match(point.value) is None:
            raise _Unfit('it must name "package.module:object"')
        kind: T = point.load()
        if (wrong := self._fault(point.name, kind)) is not None:
            raise _Unfit(wrong)
        return kind

    def _words(self, point: EntryPoint) -> str:
        return f"{self._what} {point.name!r} of {_origin(point)} ({point.value})"


class _Unfit(Exception):
    """What an entry point names is no such thing; the message says why."""


def unfit(kind: Any, base: type[Any]) -> str | None:
    """Why `kind` is no class of which instances can be made as of `base`; None if it is."""
    if not (inspect.isclass(kind) and issubclass(kind, base)):
        return f"it is not a subclass of trainers.{base.__name__}"
    missing: frozenset[str] = getattr(kind, "__abstractmethods__", frozenset())
    return f"it lacks {', '.join(sorted(missing))}" if missing else None


def described(error: BaseException) -> str:
    """`ValueError: what it says (file.py, line 3)`: where in the code that is not ours."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    shown = f"{type(error).__name__}: {text}".removesuffix(": ")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", *_MACHINERY))
        and "importlib_metadata" not in Path(frame.filename).parts
    ]
    # A syntax error says where it is.
    if isinstance(error, SyntaxError) or not frames:
        return shown
    return f"{shown} ({frames[-1].filename}, line {frames[-1].lineno})"


def module_origins() -> dict[str, Origin]:
    """The distribution of each top-level module that a plug-in is in; nothing is imported."""
    return {
        point.module.partition(".")[0]: _origin(point)
        for group in _GROUPS
        for point in entry_points(group=group)
        if point.pattern.match(point.value)
    }


def uninstalled(versions: Mapping[str, str]) -> list[Origin]:
    """Those of `versions` (of distributions, by name) of which no version is installed here."""
    return [Origin(name, was) for name, was in versions.items() if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _origin(point: EntryPoint) -> Origin:
    metadata: Any = {}
    # Once anything imports importlib_metadata, whose finder takes the place of Python's own, what
    # has no metadata raises.
    with suppress(FileNotFoundError):
        metadata = {} if point.dist is None else point.dist.metadata
    name, release = (metadata.get(key, "?") for key in ("Name", "Version"))
    return Origin(name, release)


def _order(point: EntryPoint) -> tuple[str, Origin, str]:
    return point.name, _origin(point), point.value


def _warn(line: str) -> None:
    warnings.warn(line, RuntimeWarning, stacklevel=4)
