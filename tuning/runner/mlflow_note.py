"""The note above an experiment's runs in MLflow, whose first line is all that is seen at first."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tuning.report.answer import answer_lines
from tuning.report.formatting import count, number, percent, rate
from tuning.report.model import Report
from tuning.report.text import comparison_sentences, headline
from tuning.tracking import report_path

__all__ = ["answer_line", "final_note", "running_note"]

_MOST_CHARACTERS = 19_000  # of 20,000 that MLflow takes

_COLUMNS = {
    "rank": "1 is the setting to use; then the stable ones by their cost; then the others, the "
    "less unstable first",
    "learning_rate, log10_lr": "the rate, and its logarithm, for the axes of charts",
    "status": "how far a setting came: recommended, confirmed, looks-stable, undecided, unstable",
    "outcome": "what most restarts did: settled, descending, hovering, oscillating, diverged",
    "unstable": "the share of restarts that fell: diverged, or swing or hover too high",
    "trapped": "the share of the judged restarts that are in a local minimum; absent where too "
    "few are judged",
    "hover": "how high the tail is over the bottom, in parts of the descent: the median restart",
    "loss": "where the median restart ended; absent where half of them diverged",
    "all/loss, all/unstable": 'every setting of an optimizer in one run, "all ...", by '
    "all/log10_lr",
}


def running_note(state: str, progress: str, answer: str) -> str:
    """Of a job that is not done."""
    end = "" if state == "running" else f" ({state})"
    return (
        f"**{_escaped(progress)}{end}: {_escaped(answer)}**\n\n"
        "The runs below are settings that are done. Reload the page to see this line as it is by "
        "then.\n"
    )


def final_note(
    report: Report, pictures: Sequence[str], experiment_id: str, run_id: str | None
) -> str:
    """Of a finished job.

    Args:
        pictures: names of files of the report's run `run_id`, None where MLflow has none.
    """
    answer = f"**{_escaped(answer_line(report))}**"
    if run_id is not None:
        # Relative, so that it works wherever the server is; the UI's own paths begin with "#".
        answer += f" · [report]({report_path(experiment_id, run_id).removeprefix('/')})"
    parts = [answer, _bullets(answer_lines(report)[1:]), _escaped(report.explanation)]
    if report.warnings:
        parts += ["**Warnings**", _bullets(report.warnings)]
    if compared := list(comparison_sentences(report).values()):
        parts += ["**Against the other optimizers**", _bullets(compared)]
    parts += [
        "**What the columns mean**",
        "| column | |\n|---|---|\n"
        + "\n".join(f"| {_escaped(name)} | {meaning} |" for name, meaning in _COLUMNS.items()),
    ]
    if run_id is not None:
        parts += [f"![{name}](get-artifact?path={name}&run_uuid={run_id})" for name in pictures]
    note = ""
    for part in filter(None, parts):
        if len(note) + len(part) < _MOST_CHARACTERS:
            note += f"{part}\n\n"
    return note


def answer_line(report: Report) -> str:
    """The answer, how sure, how many are trapped and how far the cliff is, in one line."""
    best = report.best_stable
    if best is None:
        return headline(report)
    where = "fresh starts" if best.fresh_starts else "starts of the search"
    fallen, total = count(best.unstable.count), count(best.unstable.total)
    parts = [
        headline(report),
        f"{fallen} of {total} {where} unstable, at most {percent(best.unstable_upper)}",
        "trapped "
        + (rate(best.trapped) if best.trapped.estimate is None else percent(best.trapped.estimate)),
    ]
    if best.decades_to_cliff is not None:
        parts.append(f"cliff × {number(10.0**best.decades_to_cliff)} away")
    return " · ".join(parts)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_escaped(line)}" for line in lines)


def _escaped(text: str) -> str:
    """As it is, where Markdown has other ideas."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)
