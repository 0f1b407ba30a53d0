"""The last screen of a terminal is the answer: at any width, on light and dark, without colour, in
a pipe."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.support import made_reports
from tuning.report.answer import answer_lines
from tuning.report.columns import columns
from tuning.report.model import Report
from tuning.report.terminal import show, text

Make = Callable[[], Report]
every = pytest.mark.parametrize(
    "make",
    [getattr(made_reports, name) for name in made_reports.__all__ if name not in ("bowl", "row")],
)

#: Bold, dim, green and magenta: what is read on light and on dark ground, in the usual palettes.
READABLE = {"0", "1", "2", "32", "35"}


def on_a_terminal(report: Report, width: int, *, full: bool = False, **environment: str) -> str:
    buffer = io.StringIO()
    console = Console(
        file=buffer, width=width, force_terminal=True, _environ={"TERM": "xterm", **environment}
    )
    show(report, console, full=full)
    return buffer.getvalue()


def without_style(printed: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", printed).splitlines()]


@every
@pytest.mark.parametrize("width", [80, 200])
def test_the_answer_is_the_last_that_is_printed(make: Make, width: int) -> None:
    """With two paths below it, within ten lines at 80 columns."""
    made = make()
    lines = without_style(on_a_terminal(made, width))
    assert max(cell_len(line) for line in lines) <= width
    first = next(i for i, line in enumerate(lines) if line.startswith(answer_lines(made)[0][:40]))
    assert len(lines) - first + 2 <= 10
    assert " ".join(" ".join(lines[first:]).split()) == " ".join(
        " ".join(answer_lines(made)).split()
    )


@every
def test_warnings_come_before_the_answer_and_tables_only_when_asked_for(make: Make) -> None:
    made = make()
    lines = without_style(on_a_terminal(made, 200))
    assert "Settings" not in lines
    assert sum(line.startswith("  ! ") for line in lines) == len(made.warnings)
    assert "Settings" in without_style(on_a_terminal(made, 200, full=True))


@every
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_read_on_light_and_on_dark(make: Make, full: bool) -> None:
    codes = re.findall(r"\x1b\[([\d;]*)m", on_a_terminal(make(), 100, full=full))
    assert codes
    assert {part for code in codes for part in code.split(";")} <= READABLE


def test_no_colour_is_no_colour() -> None:
    """https://no-color.org: boldness may stay."""
    printed = on_a_terminal(made_reports.report(), 80, full=True, NO_COLOR="1")
    codes = re.findall(r"\x1b\[([\d;]*)m", printed)
    assert {part for code in codes for part in code.split(";")} <= {"0", "1", "2"}


@pytest.mark.parametrize("full", [False, True])
def test_a_pipe_gets_the_words_alone(full: bool) -> None:
    pipe = io.StringIO()
    show(made_reports.report(), Console(file=pipe, width=80, _environ={}), full=full)
    assert "\x1b" not in pipe.getvalue()
    shown = without_style(on_a_terminal(made_reports.report(), 80, full=full))
    assert pipe.getvalue().splitlines() == shown


def test_the_loss_by_which_one_chose_is_a_column() -> None:
    made = made_reports.report()
    rows = tuple(replace(r, validation_loss=0.4321) for r in made.settings)
    stability = {**made.job["stability"], "choose_by": "validation"}
    by_it = replace(made, settings=rows, job={**made.job, "stability": stability})
    assert "0.432" in text(by_it)
    assert any(line.endswith("0.012    0.43") for line in text(by_it, 80).splitlines())
    assert max(cell_len(line) for line in text(by_it, 80).splitlines()) <= 80
    assert "0.432" not in text(replace(made, settings=rows))
    assert "validation loss" in [column.heading for column in columns(rows)]


def test_a_loss_of_nothing_is_at_the_minimum() -> None:
    """Not 1.5e-256, which says no more and looks like a measurement."""
    made = made_reports.report()
    rows = tuple(replace(r, loss=1.5e-256) for r in made.settings)
    lowest = replace(made.minima[0], loss=1.5e-256, above_best=3e-257)
    found = replace(made, settings=rows, minima=(lowest, *made.minima[1:]))
    for width in (80, 100):
        printed = text(found, width)
        assert "e-25" not in printed
        assert sum("J*" in line.split() for line in printed.splitlines()) >= len(rows)
    by_words = next(
        c for c in columns(rows, at_minimum=found.at_minimum) if c.heading == "median loss"
    )
    assert by_words.cell(rows[0]) == "at the minimum"
    assert not found.at_minimum(0.01)
