"""What a careful reader should know: the verdict in words, and the warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tuning.analysis.next_step import (
    UNDEFINED,
    lower_end,
    more_starts,
    range_advice,
    upper_end,
)
from tuning.analysis.recommendation import TRIES, Verdict, starts_needed
from tuning.report.model import BestStable, Minimum, SettingRow, Status
from tuning.spec.job import JobSpec
from tuning.statistics.cliff import Cliff
from tuning.statistics.intervals import restarts_needed
from tuning.trial.result import SettingResult

__all__ = ["explain", "undefined_starts", "warnings_of"]

_NOTHING_LEARNED = (
    "No restart came materially below the median loss of the starts, so no rate is recommended: "
    "{}; or else look at the problem's loss and gradient."
)


def explain(
    verdict: Verdict,
    best: BestStable | None,
    search: Sequence[SettingRow],
    spec: JobSpec,
    *,
    missing: str,
    learned: bool,
    advice: str,
    fresh_starts: int,
    undefined: str,
) -> str:
    """Why this rate, or why none, in a few sentences.

    Args:
        search: its rows. missing: how far the job is, empty if it is done.
        learned: whether any loss is materially below the starts'. advice: what to do.
        fresh_starts: how many there were for the confirmation.
        undefined: as `undefined_starts` has it.
    """
    if best is not None:
        return _why_this(verdict, best, spec, fresh_starts)
    if missing:
        return f"Not finished: {missing}, and no winner is confirmed."
    if verdict.candidates == 0 and not learned:
        return _NOTHING_LEARNED.format(advice)
    or_else = f"{_sentence(advice)}, or allow more in [stability]."
    if verdict.candidates == 0:
        least = min(search, key=lambda r: (r.unstable.count / r.unstable.total, r.learning_rate))
        low, high = spec.search.learning_rate.low, spec.search.learning_rate.high
        return (
            f"No setting from {low:g} to {high:g} is stable with a margin of "
            f"{spec.stability.margin:g}: P(unstable) must be {_limit(spec)}. "
            f"The least unstable was {least.optimizer} at {least.learning_rate:.3g} "
            f"with {least.unstable.count} of {least.unstable.total} restarts unstable. "
            f"{undefined or or_else}"
        )
    return (
        f"{verdict.candidates} settings looked stable, but none held on fresh starts "
        f"({len(verdict.refused)} tried). "
        f"{or_else}"
    )


def _sentence(words: str) -> str:
    """With a capital."""
    return f"{words[:1].upper()}{words[1:]}"


def undefined_starts(results: Sequence[SettingResult]) -> str:
    """How many starts have no finite loss and gradient, in a sentence; empty if all have."""
    known: dict[int, bool] = {}
    for result in results:
        known |= zip(
            result.setting.starts, (result.restarts.diverged_at == 0).tolist(), strict=True
        )
    count = sum(known.values())
    if not count:
        return ""
    return (
        f"{count} of {len(known)} starts: not finite before any step, which no rate can mend: "
        f"{UNDEFINED}."
    )


def _limit(spec: JobSpec) -> str:
    limit, confidence = 100 * spec.stability.max_unstable, 100 * spec.stability.confidence
    return f"at most {limit:g} % at {confidence:g} % confidence"


def _why_this(verdict: Verdict, best: BestStable, spec: JobSpec, fresh_starts: int) -> str:
    by_validation = spec.stability.choose_by == "validation"
    criterion = "lowest validation loss" if by_validation else "least expected cost"
    if best.cost is None and not by_validation:
        criterion = "lowest mean loss, for none that held reached the target loss in time"
    with_margin = ""
    if best.margin > 1:
        with_margin = f", without a failure up to {best.margin:g} times their rate,"
    chosen = (
        f"f {verdict.candidates} settings that looked stable{with_margin} this one has the "
        f"{criterion}"
    )
    if spec.seeks_cliff:
        safe = f", safe up to {best.margin:g} times them," if best.margin > 1 else ""
        chosen = f"f the rates below each optimizer's cliff{safe} this one has the {criterion}"
    if best.status is not Status.CONFIRMED:
        return f"Not confirmed: o{chosen}{_why_unconfirmed(verdict, best, spec, fresh_starts)}"
    at_margin = and_margin = ""
    if (above := best.unstable_at_margin) is not None and best.margin > 1:
        at_margin = f", {above.count} of {above.total} at {best.margin:g} times it"
        and_margin = f" and at {best.margin:g} times it"
    others = f" {_failed(verdict)}, which the confidence allows for." if verdict.refused else ""
    return (
        f"O{chosen}. Unstable on fresh starts were {best.unstable.count} of {best.unstable.total} "
        f"at this rate{at_margin}: P(unstable) is {_limit(spec)} at the rate{and_margin}.{others}"
    )


def _why_unconfirmed(verdict: Verdict, best: BestStable, spec: JobSpec, fresh_starts: int) -> str:
    left = fresh_starts - sum(trial.starts for trial in verdict.refused)
    if not fresh_starts:
        why = f". {_sentence(spec.advice.confirm)}."
    elif not verdict.refused:
        why = f". {left} fresh starts are too few to confirm any."
    elif len(verdict.refused) < TRIES:
        why = f" of those left. {_failed(verdict)}, and {left} more are too few for another."
    else:
        why = f" of those left. {_failed(verdict)}, and no more than {TRIES} are tried."
    own = f"its own {best.unstable.total} restarts"
    if spec.seeks_cliff:
        own = f"what is known of {best.unstable.total} starts"
    return (
        f"{why} By {own} P(unstable) is at most "
        f"{100 * best.unstable_upper:.2g} % at {100 * spec.stability.confidence:g} % confidence, "
        "which does not allow for its having been chosen."
    )


def _failed(verdict: Verdict) -> str:
    count = len(verdict.refused)
    return f"{count} better candidate{'s' * (count > 1)} failed on fresh starts"


def warnings_of(
    spec: JobSpec,
    problem: Mapping[str, Any],
    search: Sequence[SettingRow],
    best: BestStable | None,
    cliffs: Mapping[str, Cliff],
    minima: Sequence[Minimum],
    *,
    known: bool,
    learned: bool,
    undefined: str,
    drift: float | None,
) -> tuple[str, ...]:
    """A sentence or two each, in the spirit of the Tuning Playbook (Godbole et al. 2023).

    Args:
        known: whether the labels rest on the problem's known minimum.
        learned, undefined: as in `explain`.
        drift: as `Report.label_drift`, where J* is likely to fall; else None.
    """
    out = []
    if problem["known_minimum"] is not None and not known:
        out.append(
            f"The problem's known_minimum, {problem['known_minimum']:g}, is not its minimum: lower "
            "losses were found. Labels are relative to the best one found by this job. Correct it, "
            "or make it None."
        )
    if undefined:
        out.append(undefined)
    if not learned:
        out.append(_NOTHING_LEARNED.format(range_advice(search, spec, learned=False)))
    out.extend(f"{unseen}." for unseen in spec.advice.unseen)
    if problem.get("task_was_guessed"):
        out.append(
            f"The task was guessed: {problem['task']}, {problem['guess_reason']}. Set "
            f'problem.task = "{problem["task"]}" if it is right.'
        )
    out.extend(_too_few(spec))
    if best is not None:
        ends = (upper_end(best, search, cliffs, spec), lower_end(best, search, spec))
        out.extend(f"{what}: {to_do}." for what, to_do in filter(None, ends))
    out.extend(_not_known(search, spec))
    undecided = sum(r.basins["undetermined"] for r in search)
    placed = sum(sum(r.basins.values()) for r in search)
    if undecided > 0.1 * placed:
        out.append(
            f"{undecided} of {placed} restarts are not judged: the bottom below them is known too "
            f"little to tell trapped from not. {_sentence(spec.advice.judge)}."
        )
    if drift is not None:
        out.append(
            "J* is the best that was found, and half of the starts did not find it: more of them "
            f"may find a lower one. If it fell by the tolerance, {100 * drift:.0f} % of the labels "
            f"would change. Compare the trapped rates by tolerance, or {more_starts(spec)}."
        )
    if problem["known_minimum"] is None and minima:
        out.append(
            "The global minimum is not known: labels are relative to the best one found by this "
            "job. If it is known, let the problem say its known_minimum."
        )
    out.extend(_beyond_curvature(spec, cliffs, minima))
    return tuple(out)


def _too_few(spec: JobSpec) -> list[str]:
    """Where no number of unstable restarts is low enough, in the search or on fresh starts."""
    limits, out = spec.stability, []
    shown = f"cannot show P(unstable) <= {100 * limits.max_unstable:g} %"
    needed = restarts_needed(limits.max_unstable, limits.confidence)
    if spec.training.restarts < needed and not spec.seeks_cliff:
        out.append(
            f"{spec.training.restarts} restarts {shown}; {needed} can: {more_starts(spec)}. "
            "Candidates were those without one unstable restart, and fresh starts "
            "decide."
        )
    fresh = starts_needed(spec)
    if spec.advice.fresh and limits.confirm < fresh:
        out.append(
            f"{limits.confirm} fresh starts {shown}, so nothing is confirmed; {fresh} can: "
            f"{spec.advice.fresh.format(fresh)}."
        )
    return out


def _not_known(search: Sequence[SettingRow], spec: JobSpec) -> list[str]:
    """Of how many restarts it is not known whether they have fallen, and how they count."""
    unknown, total = sum(r.unstable.undecided for r in search), sum(r.restarts for r in search)
    if not unknown:
        return []
    return [
        f"Whether {unknown} of {total} restarts have fallen is not known: they hover higher than "
        f"{spec.stability.max_hover:g} of the descent without progress, and losses alone do not "
        "tell swings from noise. In bounds and cliffs they count as unstable. Give losses over all "
        "examples, which hover less than those of single batches."
    ]


def _beyond_curvature(
    spec: JobSpec, cliffs: Mapping[str, Cliff], minima: Sequence[Minimum]
) -> list[str]:
    """Cliffs above what the flattest minimum allows, which theory forbids (`stability_limit`).

    Nothing is forbidden by what is not proven, nor where a minimum is flat in some directions: how
    sharp it is in the others changes along them.
    """
    if any(m.flat or m.by_level for m in minima):
        return []
    out = []
    flattest = min((m.largest_curvature for m in minima), default=0.0)
    for rule in spec.search.rules:
        cliff = cliffs.get(rule.label)
        if cliff is None or rule.name not in ("gd", "momentum", "nesterov", "sgd") or flattest <= 0:
            continue
        limit = rule.stability_limit / flattest
        if cliff.low is not None and cliff.low > 1.1 * limit:
            out.append(
                f"{rule.label} seems stable up to {cliff.low:.3g}, though the flattest minimum "
                f"found allows only {limit:.3g}: restarts may be far from any minimum still. "
                f"{_sentence(spec.advice.steps)}."
            )
    return out
