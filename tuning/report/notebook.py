"""The report where Python shows a value by itself: a few lines at the prompt, a card in a notebook.

Both are the answer and how to see more. Neither draws a picture: a cell must not wait for one.
"""

from __future__ import annotations

from tuning.report.formatting import decades, number, percent, plain, rate
from tuning.report.model import Report, SettingRow, Status
from tuning.report.template import template
from tuning.report.text import bounds, headline, sorted_settings, title

__all__ = ["fragment", "summary"]

_EACH = 3  # settings of an optimizer
_MORE = 'print(report), report.plot("loss"), report.to_dataframe() and report.save_html(path)'


def summary(report: Report) -> str:
    """At most five lines: the answer, what is known of it, and how to see more."""
    known = [plain(report.explanation)]
    if (best := report.best_stable) is not None:
        beyond = f", at {number(best.margin)} times the rate at most "
        margin = best.unstable_upper_at_margin
        known = [
            f"Unstable: {rate(best.unstable)}, at most {percent(best.unstable_upper)}"
            + (f"{beyond}{percent(margin)}." if margin is not None else "."),
            f"Trapped in a local minimum: {rate(best.trapped)}.",
        ]
        if best.decades_to_cliff is not None:
            known.append(f"Distance to the cliff: {decades(best.decades_to_cliff)}.")
    return "\n  ".join([f"<Report {title(report)}: {headline(report)}.", *known, f"{_MORE}>"])


def fragment(report: Report) -> str:
    """HTML of a few kilobytes, in the notebook's own colours: the answer, the warnings, the best
    settings of each optimizer, and how to see more; whatever users wrote is escaped."""
    return template("fragment.html").render(
        report=report,
        title=title(report),
        headline=headline(report),
        bounds=bounds(report),
        best=best_settings(report),
        more=_MORE,
    )


def best_settings(report: Report) -> dict[str, list[SettingRow]]:
    """By optimizer, at most three: those that are stable, the cheapest first, the recommended one
    before all; where none is, the one that is least unstable."""
    return {
        name: sorted((row for row in rows if row.status.stable), key=_by_cost)[:_EACH]
        or [min(rows, key=lambda row: (row.unstable_upper, row.learning_rate))]
        for name, rows in sorted_settings(report.settings).items()
    }


def _by_cost(row: SettingRow) -> tuple[bool, float, float]:
    cost = float("inf") if row.cost is None else row.cost
    return row.status is not Status.RECOMMENDED, cost, row.learning_rate
