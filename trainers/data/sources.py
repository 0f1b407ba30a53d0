"""From what a job calls its data to a table: a built-in data set, a file by its path or URI, or a
DataFrame."""

from __future__ import annotations

import io
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol, TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from trainers._suggest import nearest
from trainers.data.columns import Column, ColumnOptions
from trainers.data.files import EXTENSIONS, Read, read_file
from trainers.data.tables import Table, read_table
from trainers.data.uri import fetch, is_address, masked
from trainers.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BUILT_IN", "Source", "Task", "ToPandas", "is_frame", "name_of", "read_source"]


class ToPandas(Protocol):
    """A table of another library, such as polars' DataFrame or pyarrow's Table."""

    def to_pandas(self) -> pd.DataFrame:
        """The same as a DataFrame of pandas."""


#: What can be loaded: a name, path or URI, or the table itself.
Source: TypeAlias = "str | pd.DataFrame | ToPandas"

Task = Literal["classification", "regression"]

BUILT_IN: dict[str, Task] = {
    "breast-cancer": "classification",
    "digits": "classification",
    "wine": "classification",
    "diabetes": "regression",
}

_FILE = f"the path or URI of a file ({', '.join(EXTENSIONS)})"


def is_frame(data: object) -> bool:
    """Whether `data` is a table itself: pandas', or one that has `to_pandas`."""
    import pandas as pd

    return isinstance(data, pd.DataFrame) or callable(getattr(data, "to_pandas", None))


def name_of(data: Source) -> str:
    """What the report calls it; a URI without its credentials."""
    return masked(data) if isinstance(data, str) else f"a {type(data).__name__}"


def read_source(data: Any, target: Any, options: ColumnOptions) -> Table:
    """The table that `data` names or is: one of `BUILT_IN`, from scikit-learn, a file by its path
    or URI, or a DataFrame, also one that has `to_pandas`.

    Raises:
        InvalidInput: there is no such data set or file, or what it holds cannot be used.
    """
    if target is not None and not isinstance(target, str):
        raise InvalidInput(f"target = {target!r} is not valid; give the name of a column")
    if is_frame(data):
        return _read_frame(data, target, options)
    if isinstance(data, str) and is_address(data):
        return _read_address(data, target, options)
    if not isinstance(data, str) or data not in BUILT_IN:
        return _read_file(_existing_file(data), target, options)
    if target is not None:
        raise InvalidInput(f"target = {target!r}: {data!r} has its own target; drop the key")
    if options != ColumnOptions():
        raise InvalidInput(
            f"missing, drop, keep and categorical are for tables; {data!r} is built in, all of it "
            "numbers: take the key out"
        )
    return _built_in(data)


def _read_frame(data: Any, target: str | None, options: ColumnOptions) -> Table:
    import pandas as pd

    where = f"data ({name_of(data)})"
    if not isinstance(data, pd.DataFrame):
        try:
            data = data.to_pandas()
        except ImportError as error:  # polars' and pyarrow's say which package is missing
            raise InvalidInput(f"{where}: to_pandas() needs another package: {error}") from error
        if not isinstance(data, pd.DataFrame):
            raise InvalidInput(f"{where} is no table: to_pandas() gives a {type(data).__name__}")
    return read_table(Read(data, target), where, options)


def _read_address(uri: str, target: str | None, options: ColumnOptions) -> Table:
    where = f"data = {masked(uri)!r}"
    try:
        parts = urlsplit(uri)
        complete = parts.port != 0 and (parts.hostname or parts.scheme not in ("http", "https"))
    except ValueError:  # a port that is no number, brackets that do not close
        complete = False
    if not complete or not uri.isprintable():
        raise InvalidInput(f"{where} is not a valid URI; write SCHEME://HOST/FILE")
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise InvalidInput(f"{where} is on another machine; write file:///FOLDER/FILE")
        return _read_file(_existing_file(url2pathname(parts.path)), target, options)
    kind = PurePosixPath(parts.path).suffix.lower()
    if kind not in EXTENSIONS:
        raise InvalidInput(f"{where} has the extension {kind!r}; valid: {', '.join(EXTENSIONS)}")
    return _read_open(io.BytesIO(fetch(uri)), masked(uri), kind, target, options)


def _read_file(path: Path, target: str | None, options: ColumnOptions) -> Table:
    try:
        with path.open("rb") as file:
            return _read_open(file, str(path), path.suffix.lower(), target, options)
    except OSError as error:
        raise InvalidInput(f"data = {str(path)!r} cannot be read: {error.strerror}") from error


def _read_open(
    file: BinaryIO, name: str, kind: str, target: str | None, options: ColumnOptions
) -> Table:
    return read_table(read_file(file, repr(name), kind, target), repr(name), options)


def _built_in(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, "load_" + name.replace("-", "_"))()
    inputs = np.asarray(bunch.data, dtype=np.float64).T
    columns = tuple(map(Column, map(str, bunch.feature_names), inputs))
    where = f"data = {name!r}"
    if BUILT_IN[name] == "regression":
        return Table(where, columns, bunch.target.astype(np.float64), "target", "number")
    order = tuple(str(label) for label in bunch.target_names)
    return Table(where, columns, np.array(order)[bunch.target], "target", "text", order)


def _existing_file(data: Any) -> Path:
    names = ", ".join(BUILT_IN)
    if not isinstance(data, str) or not data.strip() or "\0" in data:
        raise InvalidInput(
            f"data = {data!r} is not valid; give {names}, or {_FILE}, or a DataFrame"
        )
    path, shown = Path(data), repr(masked(data))  # most often a path, but perhaps half a URI
    try:
        if path.is_dir():
            raise InvalidInput(f"data = {shown} is a directory; give {_FILE}")
        if path.is_file():
            if path.suffix.lower() in EXTENSIONS:
                return path
            ending = f"the extension {path.suffix!r}" if path.suffix else "no extension"
            raise InvalidInput(f"data = {shown} has {ending}; valid: {', '.join(EXTENSIONS)}")
        if path.suffix.lower() not in EXTENSIONS and len(path.parts) == 1:
            raise InvalidInput(f"data = {shown} is unknown{nearest(data, BUILT_IN)}, or {_FILE}")
        if not path.parent.is_dir():
            folder = masked(str(path.parent))
            raise InvalidInput(
                f"data = {shown} does not exist, nor does the directory {folder!r}; "
                f"give {names}, or {_FILE}"
            )
        files = [file.name for file in path.parent.iterdir() if file.suffix.lower() in EXTENSIONS]
    except OSError as error:
        raise InvalidInput(f"data = {shown} cannot be read: {error.strerror}") from error
    # Any file is better than none: it shows which directory was looked in.
    close = get_close_matches(path.name, sorted(files), n=1, cutoff=0.0)
    hint = f"the nearest file there is {close[0]!r}" if close else f"give {names}, or {_FILE}"
    raise InvalidInput(f"data = {shown} does not exist; {hint}")
