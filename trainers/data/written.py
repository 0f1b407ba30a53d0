"""Numbers as people write them into text: 1,000 and $10, 10 % and (3), 0,5.

A column is read as numbers only if all its cells are in one form and no other reading is possible;
else it stays text, and whoever needs numbers refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainers.problem import FloatArray

__all__ = ["PLAIN", "Written", "commas_in", "is_date", "read_written"]

#: A number as programs write it.
PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

_EXPONENT = r"([eE][+-]?\d+)?"
# Digits with commas between thousands and a point; and with points and a decimal comma.
_POINT = re.compile(r"(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?" + _EXPONENT)
_COMMA = re.compile(r"(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?" + _EXPONENT)
# Spaces of any width, and apostrophes, between thousands.
_GAPS = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f'\u2019](?=\d{3}(?!\d))")
_CURRENCY = "$€£¥₹"
_SIGNED = re.compile(r"(?P<sign>[+-]?)\s*(?P<before>[^\d.,+\-\s]*)\s*(?P<sign2>[+-]?)(?P<rest>.*)")
_UNIT = re.compile(r"(?P<digits>.*[\d.,])\s*(?P<unit>[^\d\s.,+\-][^\s,+]{0,7})?")
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d{2}.*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    r"([T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2})?"
)


@dataclass(frozen=True)
class Written:
    """A column of text read as numbers.

    Attributes:
        values: (N,), NaN where the text is None.
        form: how they are written, to be said: "with commas between thousands, in $"; empty for
            plain numbers.
    """

    values: FloatArray
    form: str


@dataclass(frozen=True)
class _Cell:
    """One number: its digits with their marks, its sign, and what stands around it."""

    digits: str
    negative: bool
    unit: str
    gaps: bool
    brackets: bool


def is_date(text: str) -> bool:
    """Whether it is a date or a time of day."""
    return _DATE.fullmatch(text) is not None


def commas_in(cells: Sequence[str | None]) -> str | None:
    """What commas are for, as this column alone tells: "thousands", "decimals", or None: nothing,
    or both could be, or neither."""
    parts = [_cell(cell) for cell in cells if cell is not None]
    if not parts or any(part is None for part in parts):
        return None
    digits = [part.digits for part in parts if part is not None]
    if not any("," in d for d in digits):
        return None
    thousands, decimals = (all(_reads(form, d) for d in digits) for form in (_POINT, _COMMA))
    if thousands == decimals:
        return None
    return "thousands" if thousands else "decimals"


def read_written(cells: Sequence[str | None], commas: str | None = None) -> Written | None:
    """The column as numbers, or None if it is not one of numbers, or could be read in two ways.

    Args:
        cells: N texts, without blanks around them; None where missing.
        commas: what the rest of the file says of them, see `commas_in`.
    """
    present = [cell for cell in cells if cell is not None]
    if not present:
        return None
    if all(PLAIN.fullmatch(cell) for cell in present):
        return Written(_filled(cells, [float(cell) for cell in present]), "")
    parts = [part for cell in present if (part := _cell(cell)) is not None]
    if len(parts) < len(present) or len({part.unit for part in parts}) > 1:
        return None
    by_comma = any("," in part.digits for part in parts)
    role = (commas_in(cells) or commas) if by_comma else None
    if by_comma and role is None:
        return None
    form = _COMMA if role == "decimals" else _POINT
    if not all(_reads(form, part.digits) for part in parts):
        return None
    values = [_value(part, decimal_comma=role == "decimals") for part in parts]
    said = []
    if role == "thousands":
        said.append("with commas between thousands")
    if role == "decimals":
        said.append("with decimal commas")
    if any(part.gaps for part in parts):
        said.append("with gaps between thousands")
    if any(part.brackets for part in parts):
        said.append("in brackets where negative")
    if unit := parts[0].unit:
        said.append(f"in {unit}")
    return Written(_filled(cells, values), ", ".join(said))


def _reads(form: re.Pattern[str], digits: str) -> bool:
    return form.fullmatch(digits) is not None and any(c.isdigit() for c in digits)


def _cell(text: str) -> _Cell | None:
    """The parts of a number; None if it is none."""
    if is_date(text):
        return None
    brackets = text.startswith("(") and text.endswith(")")
    inner = text[1:-1].strip() if brackets else text
    found = _SIGNED.fullmatch(inner)
    if found is None:
        return None
    signs, before = found["sign"] + found["sign2"], found["before"]
    rest = _GAPS.sub("", found["rest"])
    tail = _UNIT.fullmatch(rest)
    if tail is None or len(signs) > 1 or (brackets and signs):
        return None
    unit = tail["unit"] or ""
    if before and (unit or before not in _CURRENCY):
        return None
    digits = tail["digits"]
    if not re.fullmatch(r"[\d.,]+" + _EXPONENT, digits):
        return None
    return _Cell(digits, brackets or signs == "-", before or unit, rest != found["rest"], brackets)


def _value(part: _Cell, *, decimal_comma: bool) -> float:
    thousands = "." if decimal_comma else ","
    value = float(part.digits.replace(thousands, "").replace(",", "."))
    return -value if part.negative else value


def _filled(cells: Sequence[str | None], values: Sequence[float]) -> FloatArray:
    out = np.full(len(cells), np.nan)
    out[[cell is not None for cell in cells]] = values
    return out
