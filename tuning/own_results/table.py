"""The table checked: one training a row, as arrays, or one line that says what is wrong where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trainers.errors import InvalidInput
from tuning.own_results import cells
from tuning.own_results.reading import Columns

__all__ = ["Trainings", "checked"]

FloatArray = NDArray[np.float64]
T = TypeVar("T")

_ALONE = "optimizer"  # what the only one is called where no column names it
_OPTIONAL = ("optimizer", "diverged", "start_loss", "validation_loss")
#: Column that must be there -> what others call it.
_REQUIRED = {
    "learning_rate": ("lr", "rate", "eta", "alpha", "step_size", "stepsize", "learningrate"),
    "seed": ("start", "restart", "run", "trial", "init", "random_state", "random_seed"),
    "loss": ("final_loss", "train_loss", "training_loss", "losses", "curve", "cost", "value"),
}


@dataclass(frozen=True)
class Trainings:
    """N trainings, in the order of the table.

    Attributes:
        names: of the optimizers, in the order met. optimizer (N,): index in it.
        learning_rate (N,). start (N,): number of the start, the same for the same seed.
        losses (K, N): along the run, or K = 1 final ones; not finite from divergence on.
        diverged (N,): whether the table says so, or the last loss is not finite.
        start_loss, validation_loss (N,): NaN where there is none.
    """

    names: tuple[str, ...]
    optimizer: NDArray[np.intp]
    learning_rate: FloatArray
    start: NDArray[np.intp]
    losses: FloatArray
    diverged: NDArray[np.bool_]
    start_loss: FloatArray
    validation_loss: FloatArray


def checked(columns: Columns, where: str) -> Trainings:
    """The rows of a table called `where`.

    Raises:
        InvalidInput: one line that names the column, the row (the first training is row 1) and what
            is valid.
    """
    _refuse_missing(columns, where)
    count = len(columns["loss"])
    if not count:
        raise InvalidInput(f"{where} has no rows; one a training is valid")

    def column(name: str, convert: Callable[[object], T]) -> list[T]:
        return [_cell(where, name, row, cell, convert) for row, cell in enumerate(columns[name], 1)]

    def optional(name: str) -> FloatArray:
        found = column(name, cells.number) if name in columns else [np.nan] * count
        known = np.array(found, dtype=np.float64)
        return np.where(np.isfinite(known), known, np.nan)

    chosen = column("optimizer", cells.name) if "optimizer" in columns else [_ALONE] * count
    names = tuple(dict.fromkeys(chosen))
    rates, seeds = column("learning_rate", cells.rate), column("seed", cells.seed)
    _refuse_twice(where, list(zip(chosen, rates, seeds, strict=True)))
    losses = _rectangle(where, column("loss", cells.losses))
    told = column("diverged", cells.flag) if "diverged" in columns else [False] * count
    start_loss = optional("start_loss")
    if len(losses) > 1:
        first = np.where(np.isfinite(losses[0]), losses[0], np.nan)
        start_loss = np.where(np.isnan(start_loss), first, start_loss)
    return Trainings(
        names=names,
        optimizer=np.array([names.index(name) for name in chosen], dtype=np.intp),
        learning_rate=np.array(rates, dtype=np.float64),
        start=_numbered(seeds),
        losses=losses,
        diverged=np.array(told, dtype=bool) | ~np.isfinite(losses[-1]),
        start_loss=start_loss,
        validation_loss=optional("validation_loss"),
    )


def _refuse_missing(columns: Columns, where: str) -> None:
    there = {name.lower(): name for name in columns}
    for needed, others in _REQUIRED.items():
        if needed in columns:
            continue
        known = next((there[other] for other in (needed, *others) if other in there), None)
        near = [known] if known else get_close_matches(needed, list(columns), n=1)
        hint = f"did you mean {near[0]!r}? Rename it; " if near else ""
        raise InvalidInput(
            f"{where}: column {needed!r} is missing; {hint}valid: {', '.join(_REQUIRED)}, and "
            f"if you like {', '.join(_OPTIONAL)}"
        )


def _cell(where: str, column: str, row: int, cell: object, convert: Callable[[object], T]) -> T:
    try:
        return convert(cell)
    except ValueError as valid:
        shown = "nothing" if cell is None or cell == "" else repr(cell)
        shown = shown if len(shown) <= 60 else f"a {type(cell).__name__}"
        raise InvalidInput(f"{where}: {column} in row {row} is {shown}; valid: {valid}") from None


def _refuse_twice(where: str, settings: Sequence[tuple[str, float, int | str]]) -> None:
    seen: dict[tuple[str, float, int | str], int] = {}
    for row, setting in enumerate(settings, 1):
        first = seen.setdefault(setting, row)
        if first != row:
            name, rate, seed = setting
            raise InvalidInput(
                f"{where}: {name} at learning_rate {rate:g} with seed {seed} is in row {first} and "
                f"again in row {row}; keep one, or give each training a seed of its own"
            )


def _rectangle(where: str, found: Sequence[float | list[float]]) -> FloatArray:
    """(K, N). A number that is not finite stands for a whole curve of such where others are
    lists."""
    lengths = {row: len(loss) for row, loss in enumerate(found, 1) if isinstance(loss, list)}
    if not lengths:
        return np.array([found], dtype=np.float64)
    first, length = next(iter(lengths.items()))
    table = np.full((length, len(found)), np.nan)
    pad = "pad who ended early with null, or nan"
    for row, loss in enumerate(found, 1):
        if isinstance(loss, list):
            if len(loss) != length or not loss:
                raise InvalidInput(
                    f"{where}: loss in row {row} has {len(loss)} entries, in row {first} {length}; "
                    f"valid: as many everywhere, two or more; {pad}"
                )
            table[:, row - 1] = loss
            _refuse_holes(where, row, table[:, row - 1])
        elif np.isfinite(loss):
            raise InvalidInput(
                f"{where}: loss in row {row} is one number, in row {first} a list; "
                "valid: the same kind everywhere"
            )
    if length == 1:
        raise InvalidInput(
            f"{where}: loss in row {first} is a list of one; valid: a number, or a longer list"
        )
    return table


def _refuse_holes(where: str, row: int, curve: FloatArray) -> None:
    finite = np.isfinite(curve)
    begun, ended = int(finite.argmin()), len(curve) - int(finite[::-1].argmax())
    if not finite.all() and finite.any() and begun < ended:
        raise InvalidInput(
            f"{where}: loss in row {row} is not finite at entry {begun + 1} and goes on after it; "
            "valid: numbers throughout, or up to where it diverged"
        )


def _numbered(seeds: Sequence[int | str]) -> NDArray[np.intp]:
    """(N,): numbers of the starts, by seed where all are numbers, else as they are met."""
    distinct = dict.fromkeys(seeds)
    whole = [seed for seed in distinct if isinstance(seed, int)]
    order = sorted(whole) if len(whole) == len(distinct) else list(distinct)
    number = {seed: i for i, seed in enumerate(order)}
    return np.array([number[seed] for seed in seeds], dtype=np.intp)
