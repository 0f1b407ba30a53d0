"""From a table's columns to the numbers that a network takes, by the training rows alone.

========== ======================================================================================
column     features
========== ======================================================================================
numbers    one, with mean 0 and standard deviation 1 over the training rows; 0 where constant there
categories one of 0 and 1 for each category of the training rows ("one-hot"), in the column's order;
           a category that is not among them is 0 in all
missing    of numbers: the median of the training rows, before they are standardised, and where any
           training row has none a feature that says which do, standardised as numbers are;
           of categories: a category of its own, the last
========== ======================================================================================

It is what scikit-learn's `ColumnTransformer` does with `SimpleImputer(strategy="median",
add_indicator=True)` and `StandardScaler`, and with `OneHotEncoder(handle_unknown="ignore")`, but
for the rounding of `standardise`, which keeps digits where StandardScaler leaves the range of
floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainers.data.columns import Column, keys
from trainers.data.tables import Table
from trainers.errors import InvalidInput
from trainers.problem import FloatArray, IntArray

__all__ = ["Encoding", "encode", "standardise"]


@dataclass(frozen=True)
class Encoding:
    """How columns became features; as text, the rule in a sentence or two.

    Attributes:
        features: how many there are. columns: of how many.
        numbers, categories: columns that were standardised, and that are one-hot.
        one_hot: features of the categories.
        imputed: columns of numbers with missing values. indicators: features that say where.
        missing_categories: columns of categories with missing values.
        constant: columns with one value throughout the training rows, of which nothing is learned.
        dropped: columns that the user left out.
        dropped_rows, rows: rows that were left out for their missing values, of how many.
    """

    features: int
    columns: int
    numbers: int
    categories: int
    one_hot: int
    imputed: tuple[str, ...]
    indicators: int
    missing_categories: tuple[str, ...]
    constant: tuple[str, ...]
    dropped: tuple[str, ...]
    dropped_rows: int
    rows: int

    def __str__(self) -> str:
        parts = []
        if self.numbers:
            part = f"{_count(self.numbers, 'number')} standardised"
            if self.imputed:
                part += f", {_some(self.imputed)} with missing values imputed by the median"
            if self.indicators:
                part += f" and {_count(self.indicators, 'indicator')}"
            parts.append(part)
        if self.categories:
            kinds = "category" if self.categories == 1 else "categories"
            part = f"{self.categories:,} {kinds} one-hot ({_count(self.one_hot, 'feature')})"
            if self.missing_categories:
                part += f", {_some(self.missing_categories)} with one for missing values"
            parts.append(part)
        features, columns = _count(self.features, "feature"), _count(self.columns, "column")
        rule = f"{features} from {columns}: {'; '.join(parts)}."
        if self.constant:
            which = _count(len(self.constant), "column")
            rule += f" With one value throughout, and of no use: {which}, {_some(self.constant)}."
        if self.dropped:
            rule += f" Left out: {_count(len(self.dropped), 'column')}, {_some(self.dropped)}."
        if self.dropped_rows:
            rows = _count(self.rows, "row")
            rule += f" {self.dropped_rows:,} of {rows} left out for missing values."
        return rule


def encode(table: Table, train: IntArray) -> tuple[FloatArray, tuple[str, ...], Encoding]:
    """The features (N, D) of the table, their D names, and how they came about.

    Args:
        train: the rows that decide: their means, medians and categories.

    Raises:
        InvalidInput: a column has no value in any training row.
    """
    import pandas as pd
    from sklearn.compose import ColumnTransformer

    cells: dict[int, pd.Series[Any]] = {}
    steps: list[tuple[str, Any, list[int]]] = []
    features: list[list[str]] = []  # of each column
    for place, column in enumerate(table.columns):
        if column.missing[train].all():
            raise InvalidInput(
                f"{table.where}: column {column.name!r} has no value in any training row; write "
                f"{keys(column.name, 'drop')}"
            )
        step, names = _step(column, train)
        features.append(names)
        values = column.values
        if column.categories is None and step != "passthrough":
            # Halved, which standardising undoes: the mean of the middle two must not overflow.
            values = np.ldexp(values, -1)
        cells[place] = pd.Series(values, dtype=values.dtype)  # of objects it would guess another
        if step == "passthrough" and steps and steps[-1][1] == step:
            steps[-1][2].append(place)  # a transformer for each would take its milliseconds
        else:
            steps.append((str(place), step, [place]))
    frame = pd.DataFrame(cells)
    transformer = ColumnTransformer(steps).fit(frame.iloc[train])
    inputs = np.ascontiguousarray(transformer.transform(frame), dtype=np.float64)
    scaled = np.repeat([c.categories is None for c in table.columns], [len(n) for n in features])
    inputs[:, scaled] = standardise(np.ascontiguousarray(inputs[:, scaled]), train)
    varies = (inputs[train] != inputs[train[0]]).any(axis=0)
    of = np.repeat(np.arange(len(features)), [len(names) for names in features])
    constant = [c.name for i, c in enumerate(table.columns) if not varies[of == i].any()]
    if len(constant) == len(table.columns):
        raise InvalidInput(
            f"{table.where}: no feature varies over the training rows: {_some(constant)} "
            f"{'has' if len(constant) == 1 else 'have'} one value; there is nothing to learn from"
        )
    named = tuple(name for names in features for name in names)
    return inputs, named, _rule(table, features, tuple(constant))


def _step(column: Column, train: IntArray) -> tuple[Any, list[str]]:
    """What makes features of a column, and their names."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder

    said = [f"{column.name} missing"] if column.missing[train].any() else []
    if column.categories is None:
        if not column.missing.any():
            return "passthrough", [column.name]
        return SimpleImputer(strategy="median", add_indicator=True), [column.name, *said]
    seen = set(column.values[train])
    present = [category for category in column.categories if category in seen]
    encoder = OneHotEncoder(
        categories=[[*present, None] if said else present],
        handle_unknown="ignore",
        sparse_output=False,
    )
    return encoder, [*(f"{column.name}={category}" for category in present), *said]


def _rule(table: Table, features: Sequence[Sequence[str]], constant: tuple[str, ...]) -> Encoding:
    numbers = [
        (c, len(f)) for c, f in zip(table.columns, features, strict=True) if c.categories is None
    ]
    categories = [
        (c, len(f))
        for c, f in zip(table.columns, features, strict=True)
        if c.categories is not None
    ]
    return Encoding(
        features=sum(map(len, features)),
        columns=len(table.columns),
        numbers=len(numbers),
        categories=len(categories),
        one_hot=sum(count for _, count in categories),
        imputed=tuple(c.name for c, _ in numbers if c.missing.any()),
        indicators=sum(count - 1 for _, count in numbers),
        missing_categories=tuple(c.name for c, _ in categories if c.missing.any()),
        constant=constant,
        dropped=table.dropped,
        dropped_rows=table.dropped_rows,
        rows=len(table.target) + table.dropped_rows,
    )


def standardise(values: FloatArray, train: IntArray) -> FloatArray:
    """Columns with mean 0, standard deviation 1 over the rows `train`; 0 where constant there."""
    # Compared exactly: the deviation of a constant column is not always 0 after rounding.
    varies = (values[train] != values[train[0]]).any(axis=0)
    # Scaled by a power of two, which rounds nothing, so that squares neither overflow nor vanish.
    exponent = np.frexp(np.abs(values[train]).max(axis=0))[1]
    scaled = np.ldexp(values, -exponent)
    mean, deviation = scaled[train].mean(axis=0), scaled[train].std(axis=0)
    return np.where(varies, (scaled - mean) / np.where(varies, deviation, 1.0), 0.0)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more
