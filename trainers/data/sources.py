"""From what a job calls its data to a table: a built-in data set, a file, or a file by URI."""

from __future__ import annotations

import io
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from trainers._suggest import nearest
from trainers.data.tables import EXTENSIONS, Table, read_table
from trainers.data.uri import fetch, is_address, masked
from trainers.errors import InvalidInput

__all__ = ["BUILT_IN", "Task", "read_source"]

Task = Literal["classification", "regression"]

BUILT_IN: dict[str, Task] = {
    "breast-cancer": "classification",
    "digits": "classification",
    "wine": "classification",
    "diabetes": "regression",
}

_FILE = f"the path or URI of a file ({', '.join(EXTENSIONS)})"


def read_source(data: Any, target: Any) -> Table:
    """The table that `data` names: one of `BUILT_IN`, from scikit-learn, or a file by its path or
    URI.

    Raises:
        InvalidInput: there is no such data set or file, or the file cannot be used.
    """
    if target is not None and not isinstance(target, str):
        raise InvalidInput(f"target = {target!r} is not valid; give the name of a column")
    if isinstance(data, str) and is_address(data):
        return _read_address(data, target)
    if not isinstance(data, str) or data not in BUILT_IN:
        return _read_file(_existing_file(data), target)
    if target is not None:
        raise InvalidInput(f"target = {target!r}: {data!r} has its own target; drop the key")
    return _built_in(data)


def _read_address(uri: str, target: str | None) -> Table:
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
        return _read_file(_existing_file(url2pathname(parts.path)), target)
    kind = PurePosixPath(parts.path).suffix.lower()
    if kind not in EXTENSIONS:
        raise InvalidInput(f"{where} has the extension {kind!r}; valid: {', '.join(EXTENSIONS)}")
    return read_table(io.BytesIO(fetch(uri)), repr(masked(uri)), kind, target)


def _read_file(path: Path, target: str | None) -> Table:
    try:
        with path.open("rb") as file:
            return read_table(file, repr(str(path)), path.suffix.lower(), target)
    except OSError as error:
        raise InvalidInput(f"data = {str(path)!r} cannot be read: {error.strerror}") from error


def _built_in(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, "load_" + name.replace("-", "_"))()
    inputs = np.ascontiguousarray(bunch.data, dtype=np.float64)
    features = tuple(str(feature) for feature in bunch.feature_names)
    where = f"data = {name!r}"
    if BUILT_IN[name] == "regression":
        return Table(where, inputs, features, bunch.target.astype(np.float64), "target", "number")
    order = tuple(str(label) for label in bunch.target_names)
    return Table(where, inputs, features, np.array(order)[bunch.target], "target", "text", order)


def _existing_file(data: Any) -> Path:
    names = ", ".join(BUILT_IN)
    if not isinstance(data, str) or not data.strip() or "\0" in data:
        raise InvalidInput(f"data = {data!r} is not valid; give {names}, or {_FILE}")
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
