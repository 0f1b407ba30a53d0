"""The answer in five lines: a terminal's last screen, and the note in MLflow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from trainers import Basin, Dynamics
from tuning.report.formatting import count, interval, number, percent, plain, rate, tolerances
from tuning.report.model import BestStable, Report, SettingRow, Status
from tuning.report.text import headline
from tuning.statistics.intervals import Rate

__all__ = ["answer_lines", "paste_line", "short_answer"]


def short_answer(report: Report) -> str:
    """The answer in a column of a list: `momentum 3.04, confirmed`."""
    best = report.best_stable
    if report.unfinished:
        return "unfinished"
    if best is None:
        return "no stable rate"
    status = "confirmed" if best.status is Status.CONFIRMED else "looks stable"
    return f"{plain(best.optimizer)} {number(best.learning_rate)}, {status}"


def answer_lines(report: Report) -> tuple[str, ...]:
    """The answer in five lines of plain text, none of which has a line break:

    1. the learning rate and the optimizer; 2. what is promised of it, with its counts; 3. how many
    were trapped, and how many of all were judged; 4. how far the cliff is; 5. what to do next, with
    what to paste. The last four begin with a word and a colon. Where no rate is stable they say how
    near the least unstable setting came.
    """
    best = report.best_stable
    if best is None:
        return (headline(report), *_without_a_rate(report), f"Next: {_next(report)}.")
    return (
        headline(report),
        f"Promise: {_promise(best, report)}.",
        f"Trapped: {_trapped(best, report)}.",
        f"Cliff: {_distance(best, report)}.",
        f"Next: {_next(report)}",
    )


def paste_line(report: Report) -> str | None:
    """What makes the optimizer, in the first library that has it: PyTorch if it does; and what else
    the job trained with, in words. None without a best setting and for a rule of no library."""
    line = next((of.line for of in report.to_paste.values() if of.line is not None), None)
    beside = [plain(words) for words in report.problem.get("trained_with", ())]
    return line if line is None or not beside else f"{line} with {' and '.join(beside)}"


def _promise(best: BestStable, report: Report) -> str:
    confidence = report.job.get("stability", {}).get("confidence")
    sure = f"{100 * confidence:g} % sure" if isinstance(confidence, float) else "sure"
    most, seen = percent(best.unstable_upper), _of(best.unstable)
    if best.status is not Status.CONFIRMED:
        return (
            f"none, for no fresh start confirmed it; {seen} starts of the search were unstable, "
            f"by these alone at most {most}"
        )
    said = f"at most {most} unstable, {sure} ({seen} fresh starts)"
    if best.margin > 1 and best.unstable_at_margin is not None:
        upper, there = percent(best.unstable_upper_at_margin), _of(best.unstable_at_margin)
        said += f"; at {number(best.margin)} times the rate at most {upper} ({there})"
    return said


def _of(value: Rate) -> str:
    unknown = f", {count(value.undecided)} not known" if value.undecided else ""
    return f"{count(value.count)} of {count(value.total)}{unknown}"


def _trapped(best: BestStable, report: Report) -> str:
    row = _row_of(best, report)
    said = _share_trapped(best.trapped, [row] if row else [])
    by_tolerance = tolerances(best.trapped_at)
    return f"{said}; {by_tolerance}" if by_tolerance else said


def _row_of(best: BestStable, report: Report) -> SettingRow | None:
    """The row whose restarts `best` tells of: the confirmation's, or its own of the search."""
    if best.status is not Status.CONFIRMED:
        return next((row for row in report.settings if row.number == best.number), None)
    alike = (best.optimizer, best.learning_rate)
    fresh = (r for r in report.confirmations if (r.optimizer, r.learning_rate) == alike)
    return next(fresh, None)


def _share_trapped(trapped: Rate, rows: Iterable[SettingRow]) -> str:
    joint = Counter[str]()
    for row in rows:
        joint.update(row.joint)
    descending = joint[f"{Dynamics.DESCENDING}/{Basin.UNDETERMINED}"]
    still = f", {count(descending)} of them still descending" if descending else ""
    if trapped.estimate is None:
        if not trapped.undecided:
            return "nobody was there to be judged"
        still = f", {count(descending)} still descending" if descending else ""
        return f"not judged ({count(trapped.undecided)} of {count(trapped.total)}{still})"
    bounds = f"{rate(trapped).partition(' (')[0]}"
    judged = "all judged"
    if trapped.undecided:
        judged = f"{count(trapped.undecided)} not judged{still}"
    return (
        f"{count(trapped.count)} of {count(trapped.total)} in a local minimum, {bounds}; {judged}"
    )


def _distance(best: BestStable, report: Report) -> str:
    cliff = report.cliffs.get(best.optimizer)
    if cliff is None:
        return "not known"
    if cliff.ring is not None:
        stable = f" alone; all stable up to {number(cliff.stable_up_to)}" * bool(cliff.stable_up_to)
        return f"none{stable}, for P(unstable) does not only rise with the rate"
    if best.decades_to_cliff is None or cliff.estimate is None:
        return cliff.explanation
    where = f"{number(cliff.estimate)} {interval(cliff.low, cliff.high)}"
    times = f"{number(10.0**best.decades_to_cliff)} times the rate"
    return f"{times} ({number(best.decades_to_cliff)} decades), at {where}"


def _without_a_rate(report: Report) -> tuple[str, str, str]:
    rows = report.settings
    if not rows:
        return ("Promise: none.", "Trapped: nobody was trained.", "Cliff: not known.")
    least = min(rows, key=lambda r: (r.unstable.count / max(r.unstable.total, 1), r.learning_rate))
    cliff = report.cliffs.get(least.optimizer)
    where = "not known" if cliff is None else f"{plain(least.optimizer)} is {cliff.explanation}"
    return (
        f"Promise: none; the least unstable so far is {plain(least.optimizer)} at "
        f"{number(least.learning_rate)}, where {_of(least.unstable)} starts were.",
        f"Trapped: there {_share_trapped(least.trapped, [least])}.",
        f"Cliff: {where}.",
    )


def _next(report: Report) -> str:
    advice, paste = plain(report.advice), paste_line(report)
    if paste is None and report.best_stable is not None:
        paste = _by_hand(report.best_stable)
    if not advice:
        return paste or "look at the warnings"
    return f"{advice}; until then {paste}" if paste else advice


def _by_hand(best: BestStable) -> str:
    """What is to be set, where no library's line says it."""
    values = {"learning_rate": best.learning_rate, **best.hyperparameters}
    said = ", ".join(f"{plain(name)} = {value!r}" for name, value in values.items())
    return f"train with {plain(best.optimizer.partition('(')[0])}, {said}"
