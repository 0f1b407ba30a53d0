"""Tables: a DataFrame in, checked columns and a target out.

Everything wrong with one becomes one `InvalidInput` that names the file, the column and the row.
Rows are counted from 1; the header of a CSV file is not one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.data.cells import tidy
from trainers.data.columns import (
    Column,
    ColumnOptions,
    feature_column,
    first_text,
    keys,
    missing_values,
    numbers,
    refuse_infinite,
)
from trainers.data.files import NAMELESS, Read, check_names, is_index, some
from trainers.data.written import is_date
from trainers.errors import InvalidInput
from trainers.problem import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Table", "read_table"]


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of features and what is to be predicted from them.

    Attributes:
        where: the file or data set, as messages name it.
        columns: the features, of N rows each.
        target: (N,), finite numbers or text; whole numbers as they are, for floats merge neighbours
            beyond 2**53.
        target_name: the target's column.
        kind: what the target holds; booleans are the numbers 0 and 1.
        categories: the order of the target's values, where the data state one.
        stray: for a text target, the first value that is no number, and its row.
        numeric: for a text target, how many of its values read as numbers.
        dropped: columns that were left out.
        notes: what was done to the cells, a sentence each.
        dropped_rows: how many rows were left out, beside the N, for their missing values.
    """

    where: str
    columns: tuple[Column, ...]
    target: NDArray[Any]
    target_name: str
    kind: Literal["number", "boolean", "text"]
    categories: tuple[str, ...] = ()
    stray: str = ""
    numeric: int = 0
    dropped: tuple[str, ...] = ()
    dropped_rows: int = 0
    notes: tuple[str, ...] = ()


def read_table(read: Read, where: str, options: ColumnOptions) -> Table:
    """The table in what was read, which stays as it is; its frame's index is no column.

    Raises:
        InvalidInput: what it holds cannot be trained on.
    """
    target = read.target
    names = [str(name) for name in read.frame.columns]
    check_names(where, names)
    frame = read.frame.set_axis(names, axis=1)
    if target is None or target not in names:
        what = "no target is given" if target is None else f"there is no column {target!r}"
        raise InvalidInput(f"{where}: {what}; {_columns(target, names)}")
    for name in names:
        _refuse_nested(where, name, frame[name], target=name == target)
    for key in ("drop", "categorical", "keep"):
        named = getattr(options, key)
        if unknown := [name for name in named if name not in names]:
            hint = _columns(unknown[0], names)
            raise InvalidInput(f"{where}: {key}: there is no column {unknown[0]!r}; {hint}")
        if target in named:
            raise InvalidInput(f"{where}: {key} names the target {target!r}; it is for features")
    frame, said = tidy(
        frame,
        typed=read.typed,
        labels=options.categorical,
        markers=options.markers,
        commas=read.commas,
    )
    notes = [*read.notes, *said]
    saved = [
        name
        for name in names
        if name.startswith(NAMELESS) and name not in (*options.keep, *options.drop, target)
        if is_index(frame[name])
    ]
    notes += [
        f"{name!r} numbers the rows, a saved index, and is left out; keep = [{name!r}] makes it a "
        "feature."
        for name in saved
    ]
    dropped = (*options.drop, *saved)
    features = frame.drop(columns=[target, *dropped])
    if not len(frame):
        raise InvalidInput(f"{where}: the table has no rows; at least 2 are needed")
    if not len(features.columns):
        only = f"{target!r} is the only column"
        if dropped:
            only = f"all others than the target {target!r} are dropped"
        raise InvalidInput(f"{where}: {only}; there is nothing to learn from")
    columns = [
        feature_column(where, name, features[name], categorical=name in options.categorical)
        for name in features.columns
    ]
    if options.missing == "error":
        _refuse_missing(where, columns)
    table = _with_target(where, columns, frame[target], options)
    return replace(table, dropped=dropped, notes=tuple(notes))


def _refuse_nested(where: str, name: str, column: pd.Series[Any], *, target: bool) -> None:
    """Refuse what is neither a number nor text: lists, structs, bytes."""
    if getattr(column.dtype, "kind", "") == "O":
        for row, cell in enumerate(column.to_numpy(dtype=object)):
            if isinstance(cell, bytes | bytearray | list | tuple | dict | set | np.ndarray):
                kind = "an array" if isinstance(cell, np.ndarray) else type(cell).__name__
                do = "encode it as numbers or text"
                raise InvalidInput(
                    f"{where}: {'target' if target else 'column'} {name!r} holds {kind} in row "
                    f"{row + 1}; {do if target else f'{do}, or write ' + keys(name, 'drop')}"
                )


def _refuse_missing(where: str, columns: Sequence[Column]) -> None:
    holed = [column for column in columns if column.missing.any()]
    if not holed:
        return
    first, *others = holed
    more = f", and so have {len(others)} other columns" if others else ""
    more = more.replace("have 1 other columns", "has 1 other column")
    raise InvalidInput(
        f"{where}: {missing_values(first.name, first.missing)}{more}; write "
        'missing = "impute" to fill them in, or missing = "drop" to leave such rows out'
    )


def _columns(wrong: str | None, names: list[str]) -> str:
    """Which columns there are, the nearest to a wrong name first."""
    close = [] if wrong is None else get_close_matches(wrong, names, n=1)
    hint = f"did you mean {close[0]!r}? the" if close else "name one of the"
    return f"{hint} columns: {some(names)}"


def _with_target(
    where: str,
    columns: Sequence[Column],
    column: pd.Series[Any],
    options: ColumnOptions,
) -> Table:
    """The table of these features and their target, without the rows that are to be dropped."""
    import pandas as pd

    name, values = str(column.name), numbers(column)
    whole = _whole_numbers(column)
    missing = column.isna().to_numpy() if values is None else np.isnan(values)
    if values is not None:
        refuse_infinite(where, name, values)
    kept = ~missing
    if options.missing == "drop":
        kept &= ~np.any([feature.missing for feature in columns], axis=0)
        if kept.sum() < 2:
            raise InvalidInput(
                f'{where}: missing = "drop" leaves {kept.sum()} of {len(kept)} rows; at least 2 '
                "are needed"
            )
        columns = [feature.rows(kept) for feature in columns]
    elif missing.any():
        raise InvalidInput(
            f"{where}: {missing_values(name, missing)}; a target cannot be filled in: write "
            'missing = "drop" to leave such rows out'
        )
    boolean = values is not None and pd.api.types.is_bool_dtype(column.dtype)
    stray, numeric = "", 0
    order: tuple[str, ...] = ()
    if values is None:
        if getattr(column.dtype, "kind", "") in "mMc":
            raise InvalidInput(
                f"{where}: target {name!r} is of type {column.dtype}; it must be numbers or text"
            )
        if isinstance(column.dtype, pd.CategoricalDtype):
            order = tuple(str(category) for category in column.dtype.categories)
        stray, reads = first_text(column)
        if is_date(stray.partition("'")[2].partition("'")[0]):
            raise InvalidInput(
                f"{where}: target {name!r} holds dates: {stray}; encode them as numbers, such as "
                "days since the first"
            )
        numeric = int(reads[kept].sum())
    return Table(
        where,
        tuple(columns),
        _kept(column, values, whole, kept),
        name,
        "boolean" if boolean else "number" if values is not None else "text",
        order,
        stray,
        numeric,
        dropped_rows=int((~kept).sum()),
    )


def _whole_numbers(column: pd.Series[Any]) -> bool:
    """Whether they are stored as whole numbers, so that they need not become floats."""
    if getattr(column.dtype, "kind", "") in "iu":
        return True
    cells = column.dropna()
    return column.dtype == object and all(type(cell) is int for cell in cells) and len(cells) > 0


def _kept(
    column: pd.Series[Any], values: FloatArray | None, whole: bool, kept: NDArray[np.bool_]
) -> NDArray[Any]:
    """The target's values in the rows that are `kept` (N,)."""
    cells = column[kept]
    if values is None:
        return np.array([str(value) for value in cells])
    if whole:
        exact = [int(value) for value in cells]
        wide = max(map(abs, exact), default=0) >= 2**63
        return np.array(exact, dtype=object if wide else np.int64)
    return values[kept]
