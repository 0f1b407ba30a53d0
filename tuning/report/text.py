"""The answer in words, for the page and the terminal alike."""

from __future__ import annotations

import math
from collections import Counter

from trainers import Basin, Dynamics, Evidence
from tuning.report.formatting import (
    count,
    decades,
    interval,
    number,
    percent,
    plain,
    rate,
    tolerances,
)
from tuning.report.instead import trapped
from tuning.report.labels import MARKS
from tuning.report.model import Report, SettingRow, Status
from tuning.statistics.intervals import UnseenMass

__all__ = [
    "FLAT",
    "LEVEL",
    "basin_sentences",
    "bounds",
    "cliff_sentences",
    "comparison_sentences",
    "headline",
    "marks",
    "paste_sentence",
    "reference",
    "sharpness_sentences",
    "sorted_settings",
    "title",
    "unseen_sentences",
]

#: What a flat minimum is, and what is said of it.
FLAT = (
    "does not curve in some directions; told apart by its loss alone, its curvatures are medians "
    "over the restarts"
)

#: What a level is, and what is said of it.
LEVEL = (
    "all restarts whose bottoms are as low, within the tolerance, and not proven: however many "
    "minima that may be"
)

_NAMES = {Basin.UNDETERMINED.value: "not judged"}
_GROUNDS: dict[str, str] = {
    Evidence.PROVEN: "proven",
    Evidence.EXTRAPOLATED: "by the bound on their bottom",
    Evidence.LEVEL: "by the loss they reached",
}
#: Libraries by their names in `Report.to_paste`.
LIBRARIES = {
    "pytorch": "PyTorch",
    "keras": "Keras",
    "optax": "optax",
    "scikit-learn": "scikit-learn",
}
_LOSSES = {
    "cross-entropy": "the cross-entropy",
    "squared-error": "half the squared error",
}
_AT_THE_EDGE = 0.1  # a sharpness within this part of its limit


def title(report: Report) -> str:
    """The job's name, or else its problem's."""
    return plain(report.job.get("name") or report.problem.get("name") or "job")


def headline(report: Report) -> str:
    """The answer in one line."""
    best = report.best_stable
    if report.unfinished:
        return f"No answer yet: {plain(report.unfinished)}"
    if best is None:
        if any(row.status.stable for row in report.settings):
            return "No learning rate was found that learns"
        return "No stable learning rate was found"
    which = f"{number(best.learning_rate)} with {plain(best.optimizer)}"
    if best.status is not Status.CONFIRMED:
        return f"Best learning rate that looks stable, not confirmed: {which}"
    return f"Best stable learning rate: {which}"


def bounds(report: Report) -> list[str]:
    """What is known of the rate to use, and what that cost, a sentence each; empty without one."""
    best = report.best_stable
    if best is None:
        return []
    confidence = report.job.get("stability", {}).get("confidence")
    sure = f"{100 * confidence:g} % sure" if isinstance(confidence, float) else "surely"
    confirmed = best.status is Status.CONFIRMED
    most = percent(best.unstable_upper)
    lines = [
        f"Unstable on fresh starts: {rate(best.unstable)}, {sure} at most {most}."
        if confirmed
        else f"Unstable in the search: {rate(best.unstable)}, by these alone at most {most}."
    ]
    if best.margin > 1 and best.unstable_at_margin is not None:
        lines.append(
            f"At {number(best.margin)} times the rate, {number(best.margin * best.learning_rate)}: "
            f"{rate(best.unstable_at_margin)}, {sure} at most "
            f"{percent(best.unstable_upper_at_margin)}."
        )
    if best.looks is not None:
        lines.append(
            f"Confirmed with {count(best.fresh_starts)} fresh starts, at look {best.look} of "
            f"{best.looks}."
        )
    by_tolerance = tolerances(best.trapped_at)
    beside = f"; {by_tolerance}" if by_tolerance else ""
    lines.append(f"Trapped in a local minimum: {trapped(report, best)}{beside}.")
    if best.cost is not None:
        lines.append(
            f"Expected cost on these starts: {number(best.cost)} steps for each restart that "
            f"reaches the target loss."
        )
    cliff = report.cliffs.get(best.optimizer)
    if best.decades_to_cliff is not None and cliff is not None and cliff.estimate is not None:
        where = f"{number(cliff.estimate)} {interval(cliff.low, cliff.high)}"
        lines.append(f"Distance to the cliff at {where}: {decades(best.decades_to_cliff)}.")
    return lines


def probes_sentence(report: Report) -> str | None:
    """Where the settings are that the tables leave out."""
    if not report.probes:
        return None
    restarts = sum(row.restarts for row in report.probes)
    return (
        f"Beside these, {count(restarts)} restarts at {count(len(report.probes))} rates, of starts "
        "that were chosen for how they did elsewhere: settings.csv has them."
    )


def marks() -> str:
    """What the character before a setting says of its status."""
    return "   ".join(f"{mark} {status}" for status, mark in MARKS.items())


def reference(report: Report) -> list[str]:
    """What the words of this report refer to: J*, the tolerance and the target, a sentence each;
    and how a table's columns became features."""
    encoding = report.problem.get("encoding")
    table = [] if encoding is None else [f"The table: {plain(encoding)}"]
    table += [plain(note) for note in report.problem.get("data_notes", ())]
    start = (
        f"The median loss at the start, J0, is {number(report.start_loss)}; "
        "heights above J* are parts of the descent J0 - J*."
    )
    target = f"The target loss is {number(report.target.loss, 4)}: {plain(report.target.origin)}."
    within = f"; within {number(report.tolerance)} of it counts as the global minimum"
    if not math.isfinite(report.start_loss):
        start = "The losses at the start, and so the descent from there, are not known."
        within = ""
    if report.best_loss is None:
        unknown = "No restart found a bottom, so the lowest loss J* is unknown."
        return [*table, start, unknown, target]
    known = (
        "known for this problem"
        if report.best_loss_is_known
        else f"the best that this job found, with {plain(report.best_loss_found_by)}"
    )
    return [
        *table,
        start,
        f"The lowest loss J* is {number(report.best_loss, 4)}, {known}{within}.",
        target,
    ]


def basin_sentences(report: Report) -> dict[str, str]:
    """By optimizer: in which basins the restarts of all its settings ended, on what evidence, and
    how many came to the best that this optimizer found."""
    out = {}
    for name, rows in sorted_settings(report.settings).items():
        total = sum(row.restarts for row in rows)
        found = {
            basin.value: sum(row.basins.get(basin.value, 0) for row in rows) for basin in Basin
        }
        found["diverged"] = sum(row.dynamics[Dynamics.DIVERGED] for row in rows)
        parts = [f"{count(n)} {_NAMES.get(label, label)}" for label, n in found.items() if n]
        lines = [f"{', '.join(parts)}; of {count(total)} restarts."]
        why = Counter[str]()
        for row in rows:
            why.update(row.evidence)
        if any(why.values()):
            grounds = [f"{count(n)} {_GROUNDS[e]}" for e, n in why.items() if n]
            lines.append(f"Of these {', '.join(grounds)}.")
        if not report.best_loss_is_known and (own := report.own_best.get(name)) is not None:
            lines.append(
                f"Its own best, {number(own.loss, 4)}, was reached by {rate(own.reached)}."
            )
        out[name] = " ".join(lines)
    return out


def cliff_sentences(report: Report) -> dict[str, str]:
    """By optimizer: where it stops being stable, with a capital and a full stop."""
    return {
        name: f"{cliff.explanation[:1].upper()}{cliff.explanation[1:]}."
        + (f" The search ended: {report.stopped[name]}." if name in report.stopped else "")
        for name, cliff in report.cliffs.items()
    }


def comparison_sentences(report: Report) -> dict[str, str]:
    """By optimizer: whether its best setting reaches the target from other starts than the
    recommended one."""
    return {name: plain(found.explanation) for name, found in report.comparisons.items()}


def paste_sentence(report: Report) -> str:
    """What the line for PyTorch takes for granted, and where those for the others are."""
    loss = _LOSSES.get(report.problem.get("loss") or "")
    said = f"The loss is {loss}, the mean over the examples. " if loss is not None else ""
    others = [LIBRARIES[name] for name, of in report.to_paste.items() if of.line is not None][1:]
    if not others:
        return f"{said}The HTML report has it with all that belongs to it."
    *most, last = others
    names = f"{', '.join(most)} and {last}" if most else last
    return f"{said}The HTML report has the same for {names}."


def unseen_sentences(unseen: UnseenMass | None) -> list[str]:
    """How much the restarts may have missed; empty when nothing is known about that."""
    if unseen is None or not unseen.total:
        return []
    once = (
        f"{count(unseen.singletons)} seen only once"
        if unseen.singletons
        else "each seen more than once"
    )
    lines = [
        f"{count(unseen.total)} sightings, a start counting once for each minimum it led to: "
        f"{count(unseen.distinct)} distinct {'minimum' if unseen.distinct == 1 else 'minima'}, "
        f"{once}."
    ]
    if unseen.estimate is not None:
        lines.append(
            f"One more start would find a new one with probability {percent(unseen.estimate)}."
        )
    lines.append(
        f"A better basin, if there is one, catches at most {percent(unseen.better_high)} of the "
        f"starts."
    )
    return lines


def sorted_settings(rows: tuple[SettingRow, ...]) -> dict[str, list[SettingRow]]:
    """By optimizer in the order they were first tried; the rates ascending."""
    groups: dict[str, list[SettingRow]] = {}
    for row in rows:
        groups.setdefault(row.optimizer, []).append(row)
    return {
        name: sorted(group, key=lambda r: (r.learning_rate, r.number))
        for name, group in groups.items()
    }


def sharpness_sentences(report: Report) -> dict[str, str]:
    """By optimizer: at which rates the median sharpness ended at its limit; empty where it was not
    measured."""
    out = {}
    for name, rows in sorted_settings(report.settings).items():
        measured = [
            (row.learning_rate, curves)
            for row in rows
            if (curves := report.sharpness.get(row.number)) is not None
        ]
        if not measured:
            continue
        limit = number(measured[0][0] * measured[0][1].limit)
        edge = [
            number(rate)
            for rate, curves in measured
            if abs(curves.p50[-1] / curves.limit - 1.0) <= _AT_THE_EDGE
        ]
        out[name] = (
            f"The median sharpness ends within {100 * _AT_THE_EDGE:g} % of its limit, {limit} / "
            f"learning rate, at {len(edge)} of {len(measured)} rates"
            + (f": {', '.join(edge)}." if edge else ".")
        )
    return out
