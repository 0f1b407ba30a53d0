"""One line about the first thing wrong with a job: which key, which value, what is valid."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from trainers._suggest import nearest
from trainers.data.uri import masked

__all__ = ["one_line"]

_LONGEST_VALUE = 60  # characters


def one_line(error: ValidationError, model: type[BaseModel]) -> str:
    """The first of the errors that `model` found, and how many more there are."""
    first = error.errors()[0]
    location = first["loc"]
    key = ".".join(str(part) for part in location)
    match first["type"]:
        case "extra_forbidden":
            table: Any = model
            for part in location[:-1]:
                table = table.model_fields[str(part)].annotation
            text = f"unknown key {key!r}{nearest(str(location[-1]), table.model_fields)}"
        case "missing":
            text = f"{key} is missing"
        case "value_error":
            text = f"{key + ': ' if key else ''}{first['ctx']['error']}"
        case _:
            rule = first["msg"][0].lower() + first["msg"][1:]
            text = f"{key} = {_shown(first['input'])} is not valid: {rule}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return " ".join(text.splitlines()) + more


def _shown(value: object) -> str:
    text = masked(repr(value))
    return text if len(text) <= _LONGEST_VALUE else f"a {type(value).__name__}"
