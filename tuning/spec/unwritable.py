"""What cannot even be written into a message that refuses it."""

from __future__ import annotations

from collections.abc import Mapping

from trainers.errors import InvalidInput

__all__ = ["refuse_unwritable"]

_DEEPEST = 30
_TOO_LARGE = 10**4300  # of more digits than Python writes


def refuse_unwritable(value: object, where: str, path: tuple[str, ...] = ()) -> None:
    """Refuse numbers that are too large and tables that are too deep: Python raises at the repr of
    either.

    Args:
        where: the file. path: of `value` in it.
    """
    key = ".".join(path[:4])
    if len(path) > _DEEPEST:
        raise InvalidInput(f"{where}: {key} is nested more than {_DEEPEST} deep; no key is")
    if isinstance(value, int) and abs(value) >= _TOO_LARGE:
        raise InvalidInput(
            f"{where}: {key} is a number of {value.bit_length()} bits; give one below 1e308"
        )
    items = value.items() if isinstance(value, Mapping) else ()
    for name, inner in enumerate(value) if isinstance(value, list | tuple) else items:
        refuse_unwritable(inner, where, (*path, str(name)))
