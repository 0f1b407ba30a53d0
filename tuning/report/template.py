"""Jinja's templates of the report: what users wrote is escaped, and a missing name is an error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tuning.report import formatting
from tuning.report.labels import MARKS, STATUS_COLOURS

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
    }
    return environment.get_template(name)
