"""Tables: a CSV, Parquet or NPZ file in, checked numbers and a target out.

Everything wrong with a file becomes one `InvalidInput` that names the file, the column and the row.
Rows are counted from 1; the header of a CSV file is not one.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from numbers import Real
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.errors import InvalidInput
from trainers.problem import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXTENSIONS", "Table", "read_table"]

EXTENSIONS = (".csv", ".parquet", ".npz")


@dataclass(frozen=True, eq=False)
class Table:
    """N rows of D numbers and what is to be predicted from them.

    Attributes:
        where: the file or data set, as messages name it.
        inputs: (N, D), finite.
        feature_names: D names.
        target: (N,), finite numbers or text.
        target_name: the target's column.
        kind: what the target holds; booleans are the numbers 0 and 1.
        categories: the order of the target's values, where the data state one.
        stray: for a text target, the first value that is no number, and its row.
        numeric: for a text target, how many of its values read as numbers.
    """

    where: str
    inputs: FloatArray
    feature_names: tuple[str, ...]
    target: NDArray[Any]
    target_name: str
    kind: Literal["number", "boolean", "text"]
    categories: tuple[str, ...] = ()
    stray: str = ""
    numeric: int = 0


def read_table(file: BinaryIO, where: str, kind: str, target: str | None) -> Table:
    """Read the table in `file`, which messages call `where`, and set its column `target` apart.

    Args:
        kind: one of `EXTENSIONS`.
        target: required, except for .npz: there it names the array of targets, by default `y`; the
            inputs are the array `X`, or the only other one where `target` is given.

    Raises:
        InvalidInput: the file cannot be read, or what it holds cannot be trained on.
    """
    if kind == ".npz":
        frame, target = _read_npz(file, where, target)
    else:
        frame = _read_csv(file, where) if kind == ".csv" else _read_parquet(file, where)
        _check_names(where, [str(name) for name in frame.columns])
        frame.columns = [str(name) for name in frame.columns]
    if target is None or target not in frame.columns:
        names = list(frame.columns)
        close = [] if target is None else get_close_matches(target, names, n=1)
        hint = f"did you mean {close[0]!r}? the" if close else "name one of the"
        what = "no target is given" if target is None else f"there is no column {target!r}"
        raise InvalidInput(f"{where}: {what}; {hint} columns: {_some(names)}")
    features = frame.drop(columns=target)
    if not len(frame):
        raise InvalidInput(f"{where}: the table has no rows; at least 2 are needed")
    if not len(features.columns):
        raise InvalidInput(
            f"{where}: {target!r} is the only column; there is nothing to learn from"
        )
    inputs = np.empty(features.shape)
    for column, name in enumerate(features.columns):
        inputs[:, column] = _feature(where, name, features[name])
    return _with_target(where, inputs, tuple(features.columns), frame[target], target)


def _read_csv(file: BinaryIO, where: str) -> pd.DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A surplus field in every row: pandas would drop the last column and only warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # The header first: pandas renames duplicates and columns without a name.
            header = pd.read_csv(
                file, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
            _check_names(where, header.iloc[0].tolist())
            file.seek(0)
            return pd.read_csv(file, low_memory=False, index_col=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError as error:
        raise InvalidInput(f"{where}: the file is empty; give a header and rows") from error
    except (OSError, ValueError, OverflowError, pd.errors.ParserWarning) as error:
        raise _unreadable(where, "a CSV table in UTF-8", error) from error


def _read_parquet(file: BinaryIO, where: str) -> pd.DataFrame:
    import pandas as pd

    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidInput(f"{where}: reading Parquet needs the package pyarrow") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Before pandas, which fails on duplicates without naming them.
            _check_names(where, pyarrow.parquet.read_schema(file).names)
            file.seek(0)
            # An open file: from a path, folders named like `year=2020` would become columns.
            return pd.read_parquet(file, engine="pyarrow")
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise _unreadable(where, "a Parquet table", error) from error


def _read_npz(file: BinaryIO, where: str, target: str | None) -> tuple[pd.DataFrame, str]:
    import pandas as pd

    try:
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise InvalidInput(f"{where}: this is one array; save arrays X and y by np.savez")
        names = list(loaded.files)
        key = "y" if target is None else target
        others = [name for name in names if name != key]
        inputs = "X" if target is None else others[0] if len(others) == 1 else None
        if key not in names or inputs not in names:
            rule = "X and y" if target is None else f"{target!r} and one other, the inputs"
            raise InvalidInput(f"{where}: needs the arrays {rule}; it holds: {_some(names)}")
        x, y = (_native(loaded[name]) for name in (inputs, key))
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _unreadable(where, "an NPZ file of numbers or text", error) from error
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise InvalidInput(
            f"{where}: {inputs} has shape {x.shape} and {key} {y.shape}; "
            f"they must be (N, D) and (N,)"
        )
    frame = pd.DataFrame(x, columns=[f"{inputs}[{column}]" for column in range(x.shape[1])])
    return pd.concat([frame, pd.Series(y, name=key)], axis=1), key


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("="), copy=False)  # pandas takes no other


def _unreadable(where: str, what: str, error: BaseException) -> InvalidInput:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return InvalidInput(f"{where} cannot be read as {what}: {reason}")


def _check_names(where: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise InvalidInput(f"{where}: two columns are named {twice[0]!r}; rename or drop one")
    if "" in names:
        # Most often an index that pandas wrote: as a feature it would give the target away.
        raise InvalidInput(
            f"{where}: column {names.index('') + 1} has no name; "
            f"name it, or drop it if it is an index"
        )


def _some(names: list[str], most: int = 20) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def _numbers(column: pd.Series[Any]) -> FloatArray | None:
    """The column as floats, NaN where missing, or None if it is not one of numbers or booleans."""
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return None
    with np.errstate(all="ignore"):
        if pd.api.types.is_bool_dtype(dtype) or getattr(dtype, "kind", "") in "biuf":
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        present = column.notna()
        if dtype.kind != "O" or not all(isinstance(v, Real | Decimal) for v in column[present]):
            return None
        return np.array([_as_float(value) for value in column.where(present, np.nan)])


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return np.inf


def _first_text(column: pd.Series[Any]) -> tuple[str, int]:
    """The first value that does not read as a number, with its row, and how many values do."""
    import pandas as pd

    present = column.notna().to_numpy()
    reads = pd.to_numeric(column.astype(str), errors="coerce").notna().to_numpy() & present
    # Numbers that are stored as text throughout: any of them will do.
    bad = present & ~reads if (present & ~reads).any() else present
    row = int(bad.argmax())
    value = repr(column.iloc[row])
    return f"{value[:40]}{'...' if len(value) > 40 else ''} in row {row + 1}", int(reads.sum())


def _check_present(where: str, name: str, missing: NDArray[np.bool_]) -> None:
    if missing.any():
        row = int(missing.argmax()) + 1
        raise InvalidInput(
            f"{where}: column {name!r} has {int(missing.sum())} missing or infinite values, the "
            f"first in row {row}; fill in or drop them"
        )


def _feature(where: str, name: str, column: pd.Series[Any]) -> FloatArray:
    values = _numbers(column)
    if values is None:
        bad, _ = _first_text(column)
        raise InvalidInput(
            f"{where}: column {name!r} does not hold numbers: {bad}; encode or drop it"
        )
    _check_present(where, name, ~np.isfinite(values))
    return values


def _with_target(
    where: str, inputs: FloatArray, names: tuple[str, ...], column: pd.Series[Any], target: str
) -> Table:
    import pandas as pd

    values = _numbers(column)
    if values is not None:
        _check_present(where, target, ~np.isfinite(values))
        boolean = pd.api.types.is_bool_dtype(column.dtype)
        return Table(where, inputs, names, values, target, "boolean" if boolean else "number")
    _check_present(where, target, column.isna().to_numpy())
    if getattr(column.dtype, "kind", "") in "mMc":
        raise InvalidInput(
            f"{where}: target {target!r} is of type {column.dtype}; it must be numbers or text"
        )
    order: tuple[str, ...] = ()
    if isinstance(column.dtype, pd.CategoricalDtype):
        order = tuple(str(category) for category in column.dtype.categories)
    text = np.array([str(value) for value in column])
    stray, numeric = _first_text(column)
    return Table(where, inputs, names, text, target, "text", order, stray, numeric)
