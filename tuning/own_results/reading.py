"""A table from a file or from memory, as columns of plain cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from trainers._suggest import nearest
from trainers.errors import InvalidInput

if TYPE_CHECKING:
    import pandas

__all__ = ["Columns", "read"]

#: Column -> its cells; None where nothing stands.
Columns: TypeAlias = dict[str, list[Any]]

_ENDINGS = (".csv", ".parquet", ".json")
_FRAME = "a pandas DataFrame, anything with to_pandas, or a path to .csv, .parquet or .json"


def read(source: object) -> tuple[str, Columns]:
    """How to call the table, and its columns.

    Args:
        source: a DataFrame, whatever has `to_pandas` (as polars' has), or a path.

    Raises:
        InvalidInput: it is none of these, or cannot be read.
    """
    if isinstance(source, str | Path):
        return str(source), _from_file(Path(source))
    import pandas

    if not isinstance(source, pandas.DataFrame) and hasattr(source, "to_pandas"):
        source = source.to_pandas()
    if not isinstance(source, pandas.DataFrame):
        raise InvalidInput(f"verdict: a {type(source).__name__} is no table; give {_FRAME}")
    return "the table", _from_frame("the table", source)


def _from_frame(where: str, frame: pandas.DataFrame) -> Columns:
    names = [str(name).strip() for name in frame.columns]
    _refuse_twice(where, names)
    columns = (frame.iloc[:, i] for i in range(len(names)))
    return {
        name: column.astype(object).where(column.notna(), None).tolist()
        for name, column in zip(names, columns, strict=True)
    }


def _refuse_twice(where: str, names: list[str]) -> None:
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidInput(f"{where}: there are two columns {twice!r}; keep one")


def _from_file(path: Path) -> Columns:
    try:
        match path.suffix.lower():
            case ".csv":
                return _from_csv(path)
            case ".parquet":
                return _from_parquet(path)
            case ".json":
                return _from_json(path)
    except FileNotFoundError:
        files = path.parent.iterdir() if path.parent.is_dir() else ()
        near = nearest(path.name, sorted(f.name for f in files if f.suffix in _ENDINGS))
        raise InvalidInput(f"{path}: no such file{near if 'did you' in near else ''}") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text") from error
    raise InvalidInput(f"{path}: what kind of file it is its name does not say; valid: {_FRAME}")


def _from_csv(path: Path) -> Columns:
    import pandas

    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    try:
        # Without a header of pandas' own, so that a line of more fields than the first is an error.
        table = pandas.read_csv(
            path,
            sep=max(",;\t", key=first.count),
            header=None,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            encoding="utf-8-sig",
        )
    except pandas.errors.EmptyDataError as error:
        raise InvalidInput(f"{path} is empty; {_expected()}") from error
    except pandas.errors.ParserError as error:
        told = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        raise InvalidInput(
            f'{path}: {told}; a list of losses stands in quotes, as in "[0.9, 0.5]"'
        ) from error
    header, rows = table.iloc[0], table.iloc[1:]
    return _from_frame(str(path), rows.set_axis([str(name) for name in header], axis=1))


def _from_parquet(path: Path) -> Columns:
    import pandas
    import pyarrow

    try:
        return _from_frame(str(path), pandas.read_parquet(path))
    except pyarrow.ArrowInvalid as error:
        raise InvalidInput(f"{path} is no Parquet file: {error}") from error


def _from_json(path: Path) -> Columns:
    import pandas

    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path} is not valid JSON: {error}") from error
    rows = isinstance(found, list) and all(isinstance(row, dict) for row in found)
    columns = isinstance(found, dict) and all(isinstance(c, list) for c in found.values())
    if columns and len({len(cells) for cells in found.values()}) > 1:
        raise InvalidInput(f"{path}: its columns are of different lengths")
    if not rows and not columns:
        raise InvalidInput(f"{path}: a list of objects, one a training, is valid; {_expected()}")
    return _from_frame(str(path), pandas.DataFrame(found))


def _expected() -> str:
    return "columns: optimizer, learning_rate, seed, loss, diverged"
