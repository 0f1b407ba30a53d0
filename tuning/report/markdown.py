"""The report as plain Markdown, for a pull request: the answer first, and no more than is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tuning.report import text
from tuning.report.columns import columns
from tuning.report.export import to_toml
from tuning.report.formatting import count, plain
from tuning.report.labels import MARKS
from tuning.report.model import Report, SettingRow

__all__ = ["to_markdown"]

_MOST_ROWS = 20
_SPECIAL = "\\`*_[]<>|#"


def to_markdown(report: Report) -> str:
    """Headings, lists and tables of GitHub's Markdown; whatever users wrote is escaped.

    Of many settings the best are in the table, in the order of their status and cost.
    """
    parts = [
        f"# Surefoot: {_safe(text.title(report))}",
        f"**{_safe(text.headline(report))}**",
        _list(text.bounds(report)),
        _safe(report.explanation),
    ]
    if report.warnings:
        parts += ["## Warnings", _list(report.warnings)]
    cliffs = [f"{name}: {sentence}" for name, sentence in text.cliff_sentences(report).items()]
    parts += ["## Cliffs", _list(cliffs)]
    if report.comparisons:
        parts += [
            "## Against the other optimizers",
            _list(text.comparison_sentences(report).values()),
        ]
    shown = _best(report.settings)
    heading = "## Settings"
    if len(shown) < len(report.settings):
        heading += f": {len(shown)} of {count(len(report.settings))}, the best first"
    parts += [heading, _table(report, shown)]
    if report.confirmations:
        parts += ["## Confirmations, on fresh starts", _table(report, report.confirmations)]
    basins = [f"{name}: {sentence}" for name, sentence in text.basin_sentences(report).items()]
    parts += ["## Where they ended", _list(basins), _list(text.reference(report))]
    job = to_toml(report.job)
    # A fence longer than any run of backticks within.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", job)), default=0))
    parts += ["## Job", f"{fence}toml\n{job.rstrip()}\n{fence}"]
    versions = ", ".join(f"{name} {fact}" for name, fact in report.run.host.items())
    parts += [_safe(f"Job {report.run.job_id}, {report.run.created}; {versions}.")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _best(rows: Sequence[SettingRow]) -> list[SettingRow]:
    """At most so many: by status, then cost, then rate; if all fit, by optimizer and rate."""
    if len(rows) <= _MOST_ROWS:
        return [row for group in text.sorted_settings(tuple(rows)).values() for row in group]
    order = list(MARKS)
    endless = float("inf")
    return sorted(
        rows,
        key=lambda row: (
            order.index(row.status),
            endless if row.cost is None else row.cost,
            row.learning_rate,
            row.number,
        ),
    )[:_MOST_ROWS]


def _table(report: Report, rows: Sequence[SettingRow]) -> str:
    # In words that the page has too; the counts by label are in settings.csv.
    kept = [
        column
        for column in columns(rows, at_minimum=report.at_minimum)
        if column.key is not None and not column.heading.startswith("hover")
    ]
    lines = [["optimizer", *(column.heading for column in kept)]]
    lines += [[row.optimizer, *(column.cell(row) for column in kept)] for row in rows]
    written = [f"| {' | '.join(map(_safe, line))} |" for line in lines]
    rule = "|---|" + "---:|" * len(kept)
    return "\n".join([written[0], rule, *written[1:]])


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {_safe(sentence)}" for sentence in sentences)


def _safe(words: object) -> str:
    """One line in which nothing is markup."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in plain(words))
