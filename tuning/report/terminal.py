"""The report in a terminal: the answer, and on request the tables that it rests on."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from tuning.report.answer import answer_lines
from tuning.report.columns import Column, columns
from tuning.report.formatting import count, number, plain
from tuning.report.labels import MARKS
from tuning.report.model import Report, SettingRow, Status
from tuning.report.text import (
    FLAT,
    LEVEL,
    basin_sentences,
    bounds,
    cliff_sentences,
    comparison_sentences,
    headline,
    marks,
    paste_sentence,
    probes_sentence,
    reference,
    sharpness_sentences,
    sorted_settings,
    title,
    unseen_sentences,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["print_answer", "print_report", "show", "text"]

_MINIMA = 12
_Columns = Callable[[Sequence[SettingRow]], list[Column]]
_WIDE = 96  # columns from which all numbers of a setting fit
_NARROWEST = 80  # in fewer, columns would be cut off; a terminal that is narrower wraps
# Read on light and on dark ground alike, as yellow, cyan and blue are not.
_SURE, _UNSURE = "bold green", "bold magenta"


def text(
    report: Report,
    width: int = 100,
    *,
    colour: bool = False,
    full: bool = True,
    tables: str = "--full",
) -> str:
    """The report in lines of at most `width` characters, at least 80: all of it, or the answer
    alone, which says with `tables` how to ask for the rest; with ANSI colours if asked for."""
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        legacy_windows=False,
        _environ={},
    )
    if full:
        print_report(report, console)
    else:
        print_answer(report, console, tables)
    return "".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())


def show(report: Report, console: Console, *, full: bool = False, tables: str = "--full") -> None:
    """Print the answer, or with `full` the tables too, to a terminal as it can take it; to a file
    or a pipe as `text`.

    Args:
        tables: how they are asked for, in words to type.
    """
    if not console.is_terminal:
        console.file.write(text(report, console.width, full=full, tables=tables))
    elif full:
        print_report(report, console)
    else:
        print_answer(report, console, tables)


def print_answer(report: Report, console: Console, tables: str = "--full") -> None:
    """Print the warnings and, last, so that nothing scrolls it away, the answer in five lines."""
    say = _sayer(console)
    console.width = max(_NARROWEST, console.width)
    say(title(report), "bold")
    say(f"every setting, the cliffs, the minima: {tables}", "dim")
    for warning in report.warnings:
        say(f"! {plain(warning)}", indent=2)
    first, *others = answer_lines(report)
    say(first, _headline_style(report))
    for line in others:
        say(line, indent=2)


def _sayer(console: Console) -> Callable[..., None]:
    """What prints a line, in a style and indented."""
    from rich.padding import Padding
    from rich.text import Text

    def say(line: str, style: str = "", indent: int = 0) -> None:
        console.print(Padding(Text(line, style=style), (0, 0, 0, indent)), highlight=False)

    return say


def _headline_style(report: Report) -> str:
    best = report.best_stable
    return _SURE if best is not None and best.status is Status.CONFIRMED else _UNSURE


def print_report(report: Report, console: Console) -> None:
    """Print the report: the answer, then what it rests on."""
    say = _sayer(console)
    shown = partial(
        columns,
        by_validation=report.job.get("stability", {}).get("choose_by") == "validation",
        at_minimum=report.at_minimum,
    )

    def section(name: str, lines: Iterable[str] = (), mark: str = "") -> None:
        say("")
        say(name, "bold")
        for line in lines:
            say(f"{mark}{line}", indent=2)

    console.width = max(_NARROWEST, console.width)
    say(title(report), "bold")
    say(headline(report), _headline_style(report))
    for line in bounds(report):
        say(line, indent=2)
    say(plain(report.explanation), indent=2)
    if report.warnings:
        section("Warnings", (plain(warning) for warning in report.warnings), "! ")
    _print_settings(report.settings, "Settings", console, shown)
    if (beside := probes_sentence(report)) is not None:
        say(beside, indent=2)
    if report.confirmations:
        _print_settings(report.confirmations, "Confirmations, on fresh starts", console, shown)
    if report.rivals:
        name = "Each other optimizer's best, on the same fresh starts"
        _print_settings(report.rivals, name, console, shown)
    say(marks(), "dim")
    say(
        "hover: median, % of the descent   trapped: %, [95 % interval], (count, ? not judged)   "
        "J*: at the minimum",
        "dim",
    )
    if places := basin_sentences(report):
        section("Where they ended", (f"{plain(name)}: {line}" for name, line in places.items()))
    if report.cliffs:
        section(
            "Cliffs", (f"{plain(name)}: {line}" for name, line in cliff_sentences(report).items())
        )
    if report.comparisons:
        section("Against the other optimizers", comparison_sentences(report).values())
    if edges := sharpness_sentences(report):
        section("Edge of stability", (f"{plain(name)}: {line}" for name, line in edges.items()))
    if report.minima:
        section("Distinct minima")
        console.print(_minima(report), highlight=False)
        hidden = report.minima[_MINIMA:]
        if hidden:
            flat = sum(minimum.flat for minimum in hidden)
            say(
                f"and {count(len(hidden))} more" + (f", {flat} of them flat" * bool(flat)), "dim", 2
            )
        if any(minimum.flat for minimum in report.minima):
            say(f"flat: {FLAT}", "dim", 2)
        if any(minimum.by_level for minimum in report.minima):
            say(f"level: {LEVEL}", "dim", 2)
    if unseen := unseen_sentences(report.unseen):
        section("What may be unseen", unseen)
    section("What the words refer to", reference(report))
    pytorch = report.to_paste.get("pytorch")
    if pytorch is not None and pytorch.line is not None:
        section("To train so in PyTorch", (pytorch.line, paste_sentence(report)))


def _print_settings(
    rows: tuple[SettingRow, ...], name: str, console: Console, shown: _Columns
) -> None:
    from rich.text import Text

    for index, (optimizer, group) in enumerate(sorted_settings(rows).items()):
        console.print()
        if index == 0:
            console.print(Text(name, style="bold"))
        console.print(Text(f"  {plain(optimizer)}", style="bold"))
        console.print(_settings(group, shown, wide=console.width >= _WIDE), highlight=False)


def _settings(rows: list[SettingRow], columns_of: _Columns, *, wide: bool) -> Table:
    table = _table(gap=2 if wide else 1)
    table.add_column("", width=1)
    shown = [column.narrow for column in columns_of(rows) if column.narrow is not None]
    for column in shown:
        width = column.widths[0 if wide else 1]
        table.add_column(column.heading, justify="right", no_wrap=not column.wraps, min_width=width)
    for row in rows:
        chosen = row.status is Status.RECOMMENDED
        table.add_row(
            MARKS[row.status],
            *(column.cell(row, wide) for column in shown),
            style=_SURE if chosen else "" if row.status.stable else "dim",
        )
    return table


def _minima(report: Report) -> Table:
    table = _table(gap=2)
    table.add_column("", width=1)
    for name in ("loss", "above J*", "restarts", "settings", "smallest λ", "sharpness λ", "2/λ"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for minimum in report.minima[:_MINIMA]:
        above = None if minimum.above_best is None else 100.0 * minimum.above_best
        exact = report.at_minimum(minimum.loss)
        if exact and above is not None:
            above = 0.0
        table.add_row(
            "★" if minimum.is_global else "",
            number(report.best_loss if exact else minimum.loss, 4),
            number(above) + (" %" if above is not None else ""),
            count(minimum.count),
            count(len(minimum.found_by)),
            number(minimum.smallest_curvature),
            number(minimum.largest_curvature),
            number(minimum.gd_limit),
            "level" if minimum.by_level else "flat" if minimum.flat else "",
        )
    return table


def _table(gap: int) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), header_style="", show_edge=False)
