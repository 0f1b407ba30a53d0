"""The columns of the settings' table, for the page and the terminal: here one is added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainers import Dynamics
from tuning.report.formatting import MISSING, number, percent, rate, rate_cell, short_percent
from tuning.report.labels import FALLS, SHORT, still_descending
from tuning.report.model import SettingRow, Status

__all__ = ["Column", "Narrow", "columns"]


_ORDER = {status: float(place) for place, status in enumerate(Status)}


@dataclass(frozen=True)
class Narrow:
    """A column in a terminal.

    Attributes:
        heading: with a line break where it may be broken.
        cell: of a row, and whether all numbers fit.
        widths: at least so many characters where they fit, and where they do not.
        wraps: whether a cell may take several lines.
    """

    heading: str
    cell: Callable[[SettingRow, bool], str]
    widths: tuple[int, int]
    wraps: bool = False


@dataclass(frozen=True)
class Column:
    """A column on the page, and in a terminal if it is there too.

    `key` is the number by which the page sorts, where the cell is not that number itself.
    """

    heading: str
    cell: Callable[[SettingRow], str]
    narrow: Narrow | None = None
    key: Callable[[SettingRow], float | None] | None = None


def columns(
    rows: Sequence[SettingRow],
    *,
    by_validation: bool = False,
    at_minimum: Callable[[float], bool] = lambda _: False,
) -> list[Column]:
    """From left to right, for the settings `rows`: what none of them has gets no column.

    Args:
        by_validation: whether the setting was chosen by its loss on held-out examples: a terminal,
            which has not room for both, shows that in the place of the cost.
        at_minimum: whether a loss is J* as far as anybody would read: 1.5e-256 is no better than 0.
    """
    validated = any(row.validation_loss is not None for row in rows)
    seen = [d for d in Dynamics if any(row.dynamics.get(d) for row in rows)]
    held_out = Narrow(
        "held-\nout\nloss", lambda row, wide: number(row.validation_loss, 2 + wide), (8, 7)
    )

    def loss(row: SettingRow, digits: int) -> str:
        return "" if row.loss is not None and at_minimum(row.loss) else number(row.loss, digits)

    cost = Narrow("cost", lambda row, wide: number(row.cost, 2 + wide), (7, 6))
    validation = [
        Column(
            "validation loss",
            lambda row: number(row.validation_loss),
            held_out if by_validation else None,
            key=lambda row: row.validation_loss,
        )
    ]
    return [
        Column("status", lambda row: row.status, key=lambda row: _ORDER[row.status]),
        Column(
            "learning rate",
            lambda row: number(row.learning_rate),
            Narrow("rate", lambda row, _: number(row.learning_rate), (8, 7)),
            key=lambda row: row.learning_rate,
        ),
        *map(_count_of, seen),
        Column(
            "unstable [95\N{NO-BREAK SPACE}%] (count)",
            lambda row: rate(row.unstable),
            key=lambda row: row.unstable.estimate,
        ),
        Column(
            "at most",
            lambda row: percent(row.unstable_upper),
            key=lambda row: row.unstable_upper,
        ),
        Column("why", _why),
        Column(
            "hover: median, worst",
            lambda row: f"{percent(row.hover)}, {percent(row.worst_hover)}",
            Narrow("hover,\n%", lambda row, _: short_percent(row.hover), (6, 5)),
            key=lambda row: row.hover,
        ),
        Column(
            "trapped [95\N{NO-BREAK SPACE}%] (count)",
            lambda row: rate(row.trapped, still_descending(row.joint)),
            Narrow(
                "trapped, %",
                lambda row, wide: rate_cell(row.trapped, short=not wide),
                (24, 19),
                wraps=True,
            ),
            key=lambda row: row.trapped.estimate,
        ),
        Column(
            "median loss",
            lambda row: loss(row, 3) or "at the minimum",
            Narrow("median\nloss", lambda row, wide: loss(row, 2 + wide) or "J*", (8, 7)),
            key=lambda row: row.loss,
        ),
        *(validation if validated else []),
        Column(
            "reached target",
            lambda row: f"{row.reached}/{row.restarts}",
            key=lambda row: row.reached / row.restarts,
        ),
        Column(
            "cost",
            lambda row: number(row.cost),
            None if by_validation else cost,
            key=lambda row: row.cost,
        ),
    ]


def _why(row: SettingRow) -> str:
    return ", ".join(f"{n} {FALLS[reason]}" for reason, n in row.falls.items()) or MISSING


def _count_of(dynamics: Dynamics) -> Column:
    def cell(row: SettingRow) -> str:
        return str(row.dynamics.get(dynamics, 0))

    return Column(str(dynamics), cell, Narrow(SHORT[dynamics], lambda row, _: cell(row), (6, 6)))
