"""Jinja's templates of the report: what users wrote is escaped, and a missing name is an error."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from tuning.report import formatting, text
from tuning.report.labels import MARKS, STATUS_COLOURS
from tuning.report.model import SettingRow

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["template"]


@cache
def template(name: str) -> Template:
    """That of `templates/`, with the numbers' formats as filters."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tuning.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": formatting.number,
        "percent": formatting.percent,
        "rate": formatting.rate,
        "plain": formatting.plain,
        "seconds": formatting.seconds,
        "thousands": formatting.count,
        "mark": MARKS.__getitem__,
        "colour": STATUS_COLOURS.__getitem__,
        "bare": lambda value: "" if value is None else value,
        "by_rate": _by_rate,
    }
    return environment.get_template(name)


def _by_rate(rows: Sequence[SettingRow]) -> list[SettingRow]:
    return [row for group in text.sorted_settings(tuple(rows)).values() for row in group]
