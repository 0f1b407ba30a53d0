"""The settings as a table for pandas, and so as CSV: a row a setting, a column a number.

A column is called as the field of `SettingRow`, and what has a unit has it in its name:

- what the setting is: `number`, `optimizer`, `learning_rate`, `role`, `status`;
- restarts, counted: `restarts`, `reached`, `dynamics.settled`, `basins.saddle`, `falls.swings`, and
  likewise `joint` and `evidence`;
- shares of them, from 0 to 1, with the ends of their intervals: `unstable`, `unstable.low`,
  `unstable.high`, and likewise `diverged`, `trapped`, `global_minimum`; `unstable_upper`;
- J, in the problem's own unit: `loss`, `best_loss`, `validation_loss`;
- parts of the descent, from the median start to J*: `hover_descents`, `worst_hover_descents`, and
  the tolerances of `trapped_at.0.001_descents`, which are shares of restarts themselves;
- training steps of all restarts for each that reached the target: `cost_steps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tuning.report.rows import SettingRow
from tuning.statistics.intervals import Rate

if TYPE_CHECKING:
    import pandas

__all__ = ["UNITS", "dataframe"]

#: Field -> its unit, where it is neither a count, a share nor a loss.
UNITS = {
    "hover": "descents",
    "worst_hover": "descents",
    "trapped_at": "descents",
    "cost": "steps",
}


def dataframe(rows: Iterable[SettingRow]) -> pandas.DataFrame:
    """See the module."""
    import pandas

    return pandas.DataFrame([_cells(row) for row in rows])


def _cells(row: SettingRow) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name in (field.name for field in fields(row)):
        value, unit = getattr(row, name), f"_{UNITS[name]}" if name in UNITS else ""
        match value:
            case Rate():
                cells |= {
                    name: value.estimate,
                    f"{name}.low": value.low,
                    f"{name}.high": value.high,
                }
            case Mapping():
                cells |= {
                    f"{name}.{key}{unit}": of.estimate if isinstance(of, Rate) else of
                    for key, of in value.items()
                }
            case _:
                cells[f"{name}{unit}"] = value
    return cells
