"""Data sets to train on: built in or from a table, split and encoded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, cast

import numpy as np

from trainers._suggest import nearest
from trainers.data.columns import column_options, few_enough
from trainers.data.encoding import Encoding, encode, standardise
from trainers.data.sources import BUILT_IN, Source, Task, name_of, read_source
from trainers.data.tables import Table
from trainers.errors import InvalidInput
from trainers.problem import FloatArray, IntArray

__all__ = ["BUILT_IN", "Dataset", "Task", "load"]


_MOST_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Dataset:
    """N training rows and V validation rows (V may be 0) of D features, with K targets.

    Attributes:
        name: the built-in name, the path, the URI without its credentials, or "a DataFrame".
        task: classification or regression.
        task_was_guessed: whether nobody said which.
        guess_reason: one sentence, why this task.
        classes: names of the K classes, in the order of the columns; none for regression.
        feature_names: D names.
        train_inputs: (N, D) float64. Each column of numbers has mean 0 and standard deviation 1
            over the training rows; one that is constant there is 0 throughout. Categories are
            one-hot.
        train_targets: (N, K) float64. One-hot for classification; for regression K = 1, with mean
            0 and standard deviation 1 over the training rows.
        validation_inputs: (V, D), encoded as the training rows say.
        validation_targets: (V, K), scaled like the training rows.
        fingerprint: SHA-256 of the four arrays, 64 hexadecimal digits.
        encoding: how a table's columns became the features; None for the built-in ones, whose
            columns are the features, standardised.
        notes: what was done to the cells of a table on the way, a sentence each.
    """

    name: str
    task: Task
    task_was_guessed: bool
    guess_reason: str
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    train_inputs: FloatArray = field(repr=False)
    train_targets: FloatArray = field(repr=False)
    validation_inputs: FloatArray = field(repr=False)
    validation_targets: FloatArray = field(repr=False)
    fingerprint: str
    encoding: Encoding | None = None
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> list[str]:
        """What became of a table: its task, its classes, its features, and what was done to cells;
        a sentence each."""
        said = [f"Task: {self.task}{', guessed' * self.task_was_guessed}. {self.guess_reason}"]
        if self.classes:
            names = ", ".join(map(repr, self.classes[:_MOST_SHOWN]))
            more = len(self.classes) - _MOST_SHOWN
            said.append(f"{len(self.classes)} classes: {names}{f' and {more} more' * (more > 0)}.")
        return [*said, *([] if self.encoding is None else [str(self.encoding)]), *self.notes]


def load(
    data: Source,
    *,
    target: str | None = None,
    task: str | None = None,
    missing: str | Sequence[str | float] | Mapping[str, Any] = "error",
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    categorical: Sequence[str] = (),
    validation: float = 0.0,
    split_seed: int = 0,
) -> Dataset:
    """Load a data set, split it and scale it.

    Without `task`, a text, boolean or categorical target means classification, and so does one of
    whole numbers with at most 20 distinct values that each stand for 20 rows on average (two
    values always pass). Any other target means regression.

    Args:
        data: breast-cancer, digits, wine or diabetes (from scikit-learn), the path or URI of a
            .csv, .parquet or .npz file, or a DataFrame: pandas', or one that has `to_pandas`.
        target: the column to predict; required but for .npz: there it is the array of targets, by
            default `y`, beside the inputs `X`.
        task: classification, regression, or None to guess.
        missing: what becomes of missing values: "error" refuses them; "impute" fills them in, by
            the median of the training rows and an indicator for numbers, as a category of its own
            for text; "drop" leaves rows out in which a feature or the target is missing. A list
            names values that mean "missing"; `{"values": [...], "rule": "impute"}` both.
        drop: columns of the table to leave out. keep: saved indices ("Unnamed: 0") that are
            features all the same.
        categorical: columns to encode one-hot though they hold numbers, or more than 100 values.
        validation: share of the rows that is held out, in [0, 1); stratified for classification.
            With 0 all rows train, in their order.
        split_seed: seed of the split, passed to `sklearn.model_selection.train_test_split`.

    Raises:
        InvalidInput: anything that keeps the data from being trained on, in one line.
    """
    if task is not None and task not in ("classification", "regression"):
        raise InvalidInput(
            f"task = {task!r} is not valid{nearest(task, ['classification', 'regression'])}"
        )
    share, seed = _check_split(validation, split_seed)
    table = read_source(data, target, column_options(missing, drop, categorical, keep))
    chosen, reason, guessed = _task(data, table, cast(Task | None, task))
    classes: tuple[str, ...] = ()
    codes: IntArray | None = None
    if chosen == "classification":
        classes, codes = _classes(table)
        targets = np.eye(len(classes))[codes]
    else:
        if table.kind == "text":
            raise InvalidInput(
                f"{table.where}: regression needs numbers, but target {table.target_name!r} holds "
                f"{table.stray}; encode it, or use task = 'classification'"
            )
        targets = table.target.astype(np.float64)[:, None]
    train, held_out = _split(table, codes, classes, share, seed)
    if chosen == "regression":
        if (targets[train] == targets[train[0]]).all():
            raise InvalidInput(
                f"{table.where}: target {table.target_name!r} is {targets[train[0], 0]:g} in every "
                f"training row; regression needs one that varies"
            )
        targets = standardise(targets, train)
    inputs, features, encoding = encode(table, train)
    arrays = (inputs[train], targets[train], inputs[held_out], targets[held_out])
    built_in = isinstance(data, str) and data in BUILT_IN
    return Dataset(
        name_of(data),
        chosen,
        guessed,
        reason,
        classes,
        features,
        *arrays,
        _fingerprint(arrays),
        None if built_in else encoding,
        table.notes,
    )


def _check_split(validation: Any, split_seed: Any) -> tuple[float, int]:
    share, seed = validation, split_seed
    if isinstance(share, bool) or not isinstance(share, Real) or not 0.0 <= float(share) < 1.0:
        raise InvalidInput(
            f"validation = {validation!r} is not valid; give a share of the rows from 0 to below 1"
        )
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 2**32:
        raise InvalidInput(
            f"split_seed = {split_seed!r} is not valid; give a whole number from 0 to 2**32 - 1"
        )
    return float(share), int(seed)


def _task(data: Source, table: Table, task: Task | None) -> tuple[Task, str, bool]:
    """The task, why it is this one, and whether it was guessed."""
    if isinstance(data, str) and (fixed := BUILT_IN.get(data)):
        if task not in (None, fixed):
            raise InvalidInput(f"task = {task!r}: {data!r} is for {fixed}; drop the key")
        return fixed, f"{data} is a built-in data set for {fixed}.", False
    if task is not None:
        return task, "The job says so.", False
    return *_guess(table), True


def _guess(table: Table) -> tuple[Task, str]:
    """The task that the target suggests, and why."""
    name, rows = table.target_name, len(table.target)
    if table.kind == "text":
        if not table.categories and rows > table.numeric > rows / 2:
            raise InvalidInput(
                f"{table.where}: target {name!r} is mostly numbers, but not {table.stray}; "
                f"correct it, or say task = 'classification'"
            )
        return "classification", f"The target {name!r} is text."
    if table.kind == "boolean":
        return "classification", f"The target {name!r} is true or false."
    if table.target.dtype.kind == "f" and (table.target != np.rint(table.target)).any():
        return "regression", f"The target {name!r} has fractions."
    distinct = len(np.unique(table.target))
    found = f"The target {name!r} has {distinct} distinct whole numbers in {rows} rows"
    if few_enough(distinct, rows):
        return "classification", f"{found}, few enough to be classes."
    return "regression", f"{found}, too many to be classes."


def _classes(table: Table) -> tuple[tuple[str, ...], IntArray]:
    """Names of the classes, and the class (N,) of each row."""
    values, codes = np.unique(table.target, return_inverse=True)
    if table.categories:
        rank = {name: place for place, name in enumerate(table.categories)}
        order = np.argsort([rank[value] for value in values])
        values, codes = values[order], np.argsort(order)[codes]
    if table.kind == "text":
        names = tuple(str(value) for value in values)
    elif table.kind == "boolean":
        names = tuple(str(bool(value)) for value in values)
    else:
        names = tuple(str(int(v)) if int(v) == v else repr(float(v)) for v in values)
    if len(names) < 2:
        raise InvalidInput(
            f"{table.where}: target {table.target_name!r} is {names[0]!r} in every row; "
            f"classification needs at least 2 classes"
        )
    return names, codes.astype(np.intp)


def _split(
    table: Table, codes: IntArray | None, classes: tuple[str, ...], validation: float, seed: int
) -> tuple[IntArray, IntArray]:
    """Indices of the training and of the validation rows."""
    rows = np.arange(len(table.target))
    held_out = math.ceil(validation * len(rows))  # as scikit-learn rounds
    left = len(rows) - held_out
    asked = f"{table.where}: validation = {validation:g} of {len(rows)} rows"
    if left < 2:
        raise InvalidInput(f"{asked} leaves {left} to train on; at least 2 are needed")
    if not held_out:
        return rows, rows[:0]
    if codes is not None:
        counts = np.bincount(codes)
        if counts.min() < 2:
            raise InvalidInput(
                f"{table.where}: class {classes[int(counts.argmin())]!r} of {table.target_name!r} "
                f"has 1 row, which a stratified split cannot share; drop it, or use validation = 0"
            )
        if min(held_out, left) < len(classes):
            raise InvalidInput(
                f"{asked} holds out {held_out} and leaves {left}; each part needs at least one row "
                f"for each of the {len(classes)} classes"
            )
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(rows, test_size=validation, random_state=seed, stratify=codes)
    if (
        codes is not None
        and (absent := np.bincount(codes[train], minlength=len(classes)) == 0).any()
    ):
        raise InvalidInput(
            f"{asked} leaves no training row of class {classes[int(absent.argmax())]!r}; lower it"
        )
    return train, rest


def _fingerprint(arrays: tuple[FloatArray, ...]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    return digest.hexdigest()
