"""From the cells of a table as they came to numbers and labels: blanks, marks of missing values,
and numbers that were written as text. What is changed is said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trainers.data.columns import few_enough
from trainers.data.written import commas_in, read_written

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["tidy"]

# What programs write for "missing" into columns of numbers. Among words it may be a word.
_ABSENT = {"na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nil", "", "?", "-", "."}
_TRUTH = {"true": True, "false": False}
_WHOLE = re.compile(r"[+-]?\d+")


def tidy(
    frame: pd.DataFrame,
    *,
    typed: bool,
    labels: Sequence[str] = (),
    markers: Sequence[Any] = (),
    commas: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """The table with its text columns as they are meant, and what was done, a sentence each.

    Args:
        typed: whether a column of text is one because somebody said so, as in Parquet; in CSV,
            everything is text, and what reads as numbers is numbers.
        labels: columns that stay text, whatever they look like.
        markers: values that mean "missing", beside those that the file's type has.
        commas: what commas are for in a file that has them between fields; see `commas_in`.
    """
    import pandas as pd

    frame, notes = frame.reset_index(drop=True), []
    texts = {name: cells for name in frame.columns if (cells := _texts(frame[name])) is not None}
    trimmed = {
        name: [None if c is None else c.strip() for c in cells] for name, cells in texts.items()
    }
    words = {str(marker).strip() for marker in markers}
    for name, cells in trimmed.items():
        blanks = sum(a != b for a, b in zip(cells, texts[name], strict=True))
        trimmed[name] = [None if c is None or c in words else c for c in cells]
        if blanks:
            notes.append(f"Blanks around {blanks:,} values of {name!r} were taken away.")
    roles = {role for cells in trimmed.values() if (role := commas_in(cells)) is not None}
    known = roles.pop() if len(roles) == 1 else None if roles else commas
    for name, cells in trimmed.items():
        if name in labels:
            frame[name] = pd.Series(cells, dtype=object)
            continue
        column, said = _meant(cells, frame[name], typed=typed, commas=known)
        frame[name] = column
        notes += [f"{name!r}: {one}." for one in said]
    numbers = [marker for marker in markers if isinstance(marker, int | float)]
    if numbers:
        for name in set(frame.columns) - set(texts):
            if frame[name].isin(numbers).any():
                frame[name] = frame[name].mask(frame[name].isin(numbers))
    return frame, notes


def _texts(column: pd.Series[Any]) -> list[str | None] | None:
    """A column of text, None where missing; None for any other column."""
    if getattr(column.dtype, "kind", "O") != "O":
        return None
    present = column.notna().to_numpy()
    cells = column.to_numpy(dtype=object)
    if not present.any() or not all(isinstance(cell, str) for cell in cells[present]):
        return None
    return [cell if there else None for cell, there in zip(cells, present, strict=True)]


def _meant(
    cells: list[str | None], column: pd.Series[Any], *, typed: bool, commas: str | None
) -> tuple[Any, list[str]]:
    """What replaces the column, and what is to be said."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        order = list(dict.fromkeys(str(category).strip() for category in column.dtype.categories))
        return pd.Categorical(cells, categories=order, ordered=bool(column.dtype.ordered)), []
    said: list[str] = []
    if not typed:
        if {cell.lower() for cell in cells if cell is not None} <= set(_TRUTH):
            return pd.array([None if c is None else _TRUTH[c.lower()] for c in cells]), said
        cells, said = _without_absent(cells, commas)
    written = read_written(cells, commas)
    if written is None:
        return pd.Series(cells, dtype=object), said
    present = [cell for cell in cells if cell is not None]
    whole = all(_WHOLE.fullmatch(cell) for cell in present)
    if typed and whole and few_enough(len(set(present)), len(present)):
        return pd.Series(cells, dtype=object), ["digits as text, taken for labels"]
    if written.form or typed:
        said.append(f"text, read as numbers {written.form}".rstrip())
    if whole and max(abs(int(cell)) for cell in present) > 2**53:  # beyond what floats tell apart
        return pd.Series([None if c is None else int(c) for c in cells], dtype=object), said
    return written.values, said


def _without_absent(
    cells: list[str | None], commas: str | None
) -> tuple[list[str | None], list[str]]:
    """The cells without marks of what is missing, if numbers remain: among words, NA is a word."""
    rest = [None if c is None or c.lower() in _ABSENT else c for c in cells]
    marks = sorted({c for c, left in zip(cells, rest, strict=True) if c is not None and not left})
    if not marks or read_written(rest, commas) is None:
        return cells, []
    return rest, [f"among numbers, {', '.join(map(repr, marks))} counts as missing"]
