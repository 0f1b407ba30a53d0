"""Files: CSV, Parquet and NPZ in, a DataFrame whose columns have names out."""

from __future__ import annotations

import csv
import warnings
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainers.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXTENSIONS", "NAMELESS", "Read", "check_names", "is_index", "read_file", "some"]

EXTENSIONS = (".csv", ".parquet", ".npz")

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LONGEST_HEADER = 1 << 20
#: How pandas calls a column without a name: most often an index that was saved.
NAMELESS = "Unnamed: "


@dataclass(frozen=True)
class Read:
    """What a file holds.

    Attributes:
        frame: its columns. target: the name of the target's.
        typed: whether the file says what is text. commas: what they are for, see `cells.tidy`.
        notes: what a reader should know, a sentence each.
    """

    frame: pd.DataFrame
    target: str | None
    typed: bool = True
    commas: str | None = None
    notes: tuple[str, ...] = ()


def read_file(file: BinaryIO, where: str, kind: str, target: str | None) -> Read:
    """Read the table in `file`, which messages call `where`.

    Args:
        kind: one of `EXTENSIONS`.
        target: kept as it is, except for .npz: there it names the array of targets, by default `y`;
            the inputs are the array `X`, or the only other one where `target` is given.

    Raises:
        InvalidInput: the file cannot be read.
    """
    if kind == ".npz":
        return Read(*_read_npz(file, where, target))
    if kind == ".csv":
        return _read_csv(file, where, target)
    return Read(_read_parquet(file, where), target)


def _read_csv(file: BinaryIO, where: str, target: str | None) -> Read:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A surplus field in every row: pandas would drop the last column and only warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            separator = _separator(file)
            form: dict[str, Any] = {
                "sep": separator,
                "keep_default_na": False,  # a class may be called NA
                "encoding": "utf-8-sig",
            }
            # The header first: pandas renames duplicates and columns without a name.
            header = pd.read_csv(file, header=None, nrows=1, dtype=str, **form).iloc[0]
            names = [name.strip() for name in header]
            check_names(where, [name or f"{NAMELESS}{i}" for i, name in enumerate(names)])
            file.seek(0)
            frame = pd.read_csv(file, low_memory=False, index_col=False, na_values=[""], **form)
            frame.columns = pd.Index([name or f"{NAMELESS}{i}" for i, name in enumerate(names)])
            if "" in names and not is_index(frame.iloc[:, names.index("")]):
                raise InvalidInput(f"{where}: column {names.index('') + 1} has no name; name it")
            said = f"Fields are separated by {_SEPARATORS[separator]}, as the header shows."
            return Read(
                frame,
                target,
                typed=False,
                commas="thousands" if separator == "," else None,
                notes=() if separator == "," else (said,),
            )
    except pd.errors.EmptyDataError as error:
        raise InvalidInput(f"{where}: the file is empty; give a header and rows") from error
    except (OSError, ValueError, OverflowError, pd.errors.ParserWarning) as error:
        raise _unreadable(where, "a CSV table in UTF-8", error) from error


def _separator(file: BinaryIO) -> str:
    """Of those in use, that which makes the most of the first line; else the comma."""
    text = file.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace")
    file.seek(0)
    # What ends a line elsewhere, and what is in no text: csv raises at either.
    line = text.replace("\r", "").replace("\n", "").replace("\0", "")
    fields = {s: len(next(csv.reader([line], delimiter=s), [])) for s in _SEPARATORS}
    return max(fields, key=lambda s: fields[s])


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
            check_names(where, pyarrow.parquet.read_schema(file).names)
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
            raise InvalidInput(f"{where}: needs the arrays {rule}; it holds: {some(names)}")
        x, y = (_native(loaded[name]) for name in (inputs, key))
        for name, array in ((inputs, x), (key, y)):
            if array.dtype.kind in "SV":
                raise InvalidInput(f"{where}: array {name} holds bytes; save numbers or text")
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


def is_index(column: pd.Series[Any]) -> bool:
    """Whether it numbers the rows: whole numbers, another in each. As a feature it would give the
    target away wherever the rows are sorted."""
    return column.dtype.kind in "iu" and bool(column.is_unique)


def check_names(where: str, names: list[str]) -> None:
    """Refuse columns that share a name, or have none."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise InvalidInput(f"{where}: two columns are named {twice[0]!r}; rename or drop one")
    if "" in names:
        raise InvalidInput(
            f"{where}: column {names.index('') + 1} has no name; "
            f"name it, or drop it if it is an index"
        )


def some(names: list[str], most: int = 20) -> str:
    """The first names, and how many more there are."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more
