"""What stands in one cell of a table: a number, a curve, a flag, a seed, a name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["flag", "losses", "name", "number", "rate", "seed"]

_TRUE, _FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no", "")
_LOWEST_RATE, _HIGHEST_RATE = 1e-100, 1e100  # beyond any use; the axes of pictures bear no more
# As Python writes lists of numbers, which is what pandas makes of them in CSV.
_PYTHON = ((r"np\.float\d+\(([^)]*)\)", r"\1"), (r"\bnan\b", "NaN"), (r"\binf\b", "Infinity"))


def number(cell: object) -> float:
    """A number; NaN where nothing stands.

    Raises:
        ValueError: it is none. So do all functions here; the message is what would be valid.
    """
    if cell is None:
        return float("nan")
    if isinstance(cell, str):
        cell = cell.strip() or "nan"
    convert: Callable[[Any], float] = float
    try:
        if isinstance(cell, bool | np.bool_ | complex):
            raise TypeError
        return convert(cell)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a number") from None


def rate(cell: object) -> float:
    """A learning rate."""
    valid = "a number above 0"
    try:
        value = number(cell)
    except ValueError:
        raise ValueError(valid) from None
    if not value > 0:
        raise ValueError(valid)
    if not _LOWEST_RATE <= value <= _HIGHEST_RATE:
        raise ValueError(f"from {_LOWEST_RATE:g} to {_HIGHEST_RATE:g}")
    return value


def losses(cell: object) -> float | list[float]:
    """The final loss, or the losses along the run; not finite where there is none."""
    valid = "a number, or a list of numbers, in CSV as JSON: [0.9, 0.5, null]"
    if isinstance(cell, str) and cell.strip().startswith("["):
        cell = _listed(cell)
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    try:
        if isinstance(cell, list | tuple):
            return [number(item) for item in cell]
        return number(cell)
    except ValueError:
        raise ValueError(valid) from None


def _listed(text: str) -> object:
    for pattern, plain in _PYTHON:
        text = re.sub(pattern, plain, text)
    try:
        return json.loads(text)
    except ValueError:
        return text  # which is no number


def flag(cell: object) -> bool:
    """Whether it is so; not, where nothing stands."""
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return False
    text = str(cell).strip().lower()
    if text not in _TRUE + _FALSE:
        raise ValueError("true or false")
    return text in _TRUE


def seed(cell: object) -> int | str:
    """What tells one start from another: a whole number, or any text."""
    valid = "a whole number or a text, the same for the same start"
    if cell is None or (isinstance(cell, float) and not cell.is_integer()):
        raise ValueError(valid)
    text = str(int(cell)) if isinstance(cell, float) else str(cell).strip()
    if not text:
        raise ValueError(valid)
    digits = text.removesuffix(".0")
    return int(digits) if re.fullmatch(r"-?\d{1,18}", digits) else text


def name(cell: object) -> str:
    """An optimizer's name."""
    text = "" if cell is None else str(cell).strip()
    if not text or not text.isprintable():
        raise ValueError("a name")
    return text
