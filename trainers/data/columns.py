"""One column of a table: numbers, categories or neither, and where values are missing.

Rows are counted from 1 in what is said of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.problem import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MOST_CATEGORIES",
    "Column",
    "ColumnOptions",
    "Missing",
    "column_options",
    "feature_column",
    "few_enough",
    "first_text",
    "keys",
    "missing_values",
    "numbers",
    "refuse_infinite",
]

Missing: TypeAlias = Literal["error", "impute", "drop"]

#: A text column with more different values is an id or free text rather than a category.
MOST_CATEGORIES = 100
_MOST_LABELS, _ROWS_PER_LABEL = 20, 20
# Signs that people write into numbers, such as 1,000 and 50 %: they make no category of one.
_WRITTEN_INTO_NUMBERS = re.compile(r"[\s,'_%$€£]")


@dataclass(frozen=True)
class ColumnOptions:
    """What the user says of a table's features.

    Attributes:
        missing: `error` refuses missing values, `impute` fills them in (`trainers.data.encoding`),
            `drop` leaves rows out in which a feature or the target is missing.
        markers: values that mean "missing", beside those that the file's type has.
        drop: columns to be left out. keep: saved indices that are features all the same.
        categorical: columns that are categories though they hold numbers, or many values.
    """

    missing: Missing = "error"
    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    markers: tuple[str | float, ...] = ()


@dataclass(frozen=True, eq=False)
class Column:
    """A feature's column of N rows.

    Attributes:
        name: as the table has it.
        values: (N,) float64, NaN where missing; for categories objects: text, None where missing.
        categories: for categories all that there are, in their order; None for numbers.
    """

    name: str
    values: NDArray[Any]
    categories: tuple[str, ...] | None = None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(N,): where there is no value."""
        if self.categories is None:
            return np.isnan(cast(FloatArray, self.values))
        return np.array([value is None for value in self.values], dtype=bool)

    def rows(self, kept: NDArray[np.bool_]) -> Column:
        """The column without the rows that are not in `kept` (N,)."""
        return Column(self.name, self.values[kept], self.categories)


def column_options(missing: Any, drop: Any, categorical: Any, keep: Any = ()) -> ColumnOptions:
    """The options as a job gives them, checked as far as they can be without a table.

    Raises:
        InvalidInput: a value that is not valid.
    """
    rule, markers = _missing(missing)
    for key, names in (("drop", drop), ("categorical", categorical), ("keep", keep)):
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise InvalidInput(
                f'{key} = {names!r} is not valid; give a list of columns, as in {key} = ["name"]'
            )
    if both := [name for name in drop if name in categorical]:
        raise InvalidInput(f"column {both[0]!r} is named in both drop and categorical; choose one")
    if both := [name for name in drop if name in keep]:
        raise InvalidInput(f"column {both[0]!r} is named in both drop and keep; choose one")
    return ColumnOptions(rule, tuple(drop), tuple(categorical), tuple(keep), markers)


def _missing(given: Any) -> tuple[Missing, tuple[str | float, ...]]:
    """What becomes of missing values, and which values mean that."""
    rule: Any = given
    markers: Any = ()
    if isinstance(given, list | tuple):
        rule, markers = "error", given
    elif isinstance(given, Mapping) and set(given) <= {"rule", "values"}:
        rule, markers = given.get("rule", "error"), given.get("values", ())
    valid = get_args(Missing)
    known = isinstance(markers, list | tuple) and all(
        isinstance(m, str | int | float) and not isinstance(m, bool) for m in markers
    )
    if rule not in valid or not known:
        raise InvalidInput(
            f"missing = {given!r} is not valid{nearest(str(rule), valid)}; or the values that mean "
            'it, as ["NA", -999], or both, as { values = ["NA"], rule = "impute" }'
        )
    return cast(Missing, rule), tuple(markers)


def few_enough(distinct: int, rows: int) -> bool:
    """Whether whole numbers, or digits, of so many values are labels: at most 20 that stand for 20
    rows each on average; two always are."""
    return distinct <= max(2, min(_MOST_LABELS, rows // _ROWS_PER_LABEL))


def keys(name: str, *of: str) -> str:
    """What one writes for a column under these keys: `drop = ["name"]`."""
    return " or ".join(f"{key} = [{json.dumps(name, ensure_ascii=False)}]" for key in of)


def feature_column(
    where: str, name: str, column: pd.Series[Any], *, categorical: bool = False
) -> Column:
    """The column of a feature, as numbers (booleans are 0 and 1) or categories.

    Args:
        categorical: whether the user says that it holds categories, whatever it looks like.

    Raises:
        InvalidInput: it holds neither, or nothing, or infinite numbers, or text that looks like
            numbers, or so many different values that they are no categories.
    """
    import pandas as pd

    if column.isna().all():
        raise InvalidInput(
            f"{where}: column {name!r} has no value at all; write {keys(name, 'drop')}"
        )
    values = numbers(column)
    if values is not None:
        refuse_infinite(where, name, values)
        if not categorical:
            return Column(name, values)
    present = column.notna().to_numpy()
    cells = column.to_numpy(dtype=object)
    if not all(isinstance(value, str | Real | Decimal | np.bool_) for value in cells[present]):
        raise InvalidInput(
            f"{where}: column {name!r} does not hold numbers: {first_text(column)[0]}; encode it "
            f"as numbers or text, or write {keys(name, 'drop')}"
        )
    own = column.dtype if isinstance(column.dtype, pd.CategoricalDtype) else None
    if own is not None:
        labels = [_label(value) for value in own.categories]
    elif values is None or all(isinstance(value, bool | np.bool_) for value in cells[present]):
        labels = sorted({_label(value) for value in cells[present]})
    else:
        cells = values.astype(object)
        labels = [_label(value) for value in np.unique(values[present])]
    text = np.array([_label(value) for value in cells], dtype=object)
    text[~present] = None
    if not categorical:
        _check_categories(where, column, text[present], stated=own is not None)
    return Column(name, text, tuple(dict.fromkeys(labels)))


def _label(value: Any) -> str:
    """A category's name; of a number that is whole, without a point."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _check_categories(
    where: str, column: pd.Series[Any], present: NDArray[Any], *, stated: bool
) -> None:
    """Refuse text that is no category.

    Args:
        present: what is not missing, as text. stated: whether the data call it a category.
    """
    name, rows, distinct = str(column.name), len(present), len(set(present))
    if not stated and 2 * _reading(present) >= rows:
        raise InvalidInput(
            f"{where}: column {name!r} does not hold numbers: {first_text(column)[0]}; correct it, "
            f"or write {keys(name, 'categorical', 'drop')}"
        )
    # With fewer than two rows for each value it is an id: nothing can be learned of the most.
    if distinct > MOST_CATEGORIES or (distinct > 2 and 2 * distinct > rows):
        raise InvalidInput(
            f"{where}: column {name!r} has {distinct:,} different values in {rows:,} rows, too "
            f"many for categories; write {keys(name, 'drop')}, encode it in fewer, or write "
            f"{keys(name, 'categorical')} for a feature each"
        )


def _reading(present: NDArray[Any]) -> int:
    """How many values read as numbers, but for the signs that people write into them."""
    import pandas as pd

    bare = [_WRITTEN_INTO_NUMBERS.sub("", value) for value in present]
    return int(pd.to_numeric(pd.Series(bare, dtype=object), errors="coerce").notna().sum())


def numbers(column: pd.Series[Any]) -> FloatArray | None:
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


def first_text(column: pd.Series[Any]) -> tuple[str, NDArray[np.bool_]]:
    """The first value that does not read as a number, with its row; and which (N,) values do."""
    import pandas as pd

    present = column.notna().to_numpy()
    reads = pd.to_numeric(column.astype(str), errors="coerce").notna().to_numpy() & present
    # Numbers that are stored as text throughout: any of them will do.
    bad = present & ~reads if (present & ~reads).any() else present
    row = int(bad.argmax())
    value = repr(column.iloc[row])
    return f"{value[:40]}{'...' if len(value) > 40 else ''} in row {row + 1}", reads


def refuse_infinite(where: str, name: str, values: FloatArray) -> None:
    """Refuse infinite numbers in one line."""
    infinite = np.isinf(values)
    if infinite.any():
        raise InvalidInput(
            f"{where}: column {name!r} has {_counted(infinite, 'infinite value')}; correct them or "
            "drop their rows"
        )


def missing_values(name: str, missing: NDArray[np.bool_]) -> str:
    """How many values of a column are missing, and in which rows."""
    return f"column {name!r} has {_counted(missing, 'missing value')}"


def _counted(bad: NDArray[np.bool_], what: str, most: int = 3) -> str:
    rows: Sequence[int] = (np.flatnonzero(bad) + 1).tolist()
    shown = ", ".join(map(str, rows[:most]))
    more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
    plural = "s" if len(rows) > 1 else ""
    return f"{len(rows):,} {what}{plural}, in row{plural} {shown}{more}"
