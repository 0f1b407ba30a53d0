"""What a careful reader should know: the verdict in words, and the warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuning.analysis.recommendation import Verdict
from tuning.report.model import BestStable, Minimum, SettingRow
from tuning.spec.job import JobSpec
from tuning.spec.search_space import label
from tuning.statistics.cliff import Cliff
from tuning.statistics.intervals import restarts_needed

__all__ = ["explain", "warnings_of"]

_NOTHING_LEARNED = (
    "No restart came materially below the median loss of the starts, so no rate is recommended: "
    "widen learning_rate, train for more steps, or look at the problem's loss and gradient."
)


# A tail of fewer than 8 losses, the first among them, says nothing.
_LEAST_STEPS = 7


def explain(
    verdict: Verdict,
    best: BestStable | None,
    search: Sequence[SettingRow],
    spec: JobSpec,
    *,
    learned: bool,
) -> str:
    """Why this rate, or why none, in a sentence or two. `learned`: whether any loss is materially
    below the starts'."""
    if best is not None:
        return _why_this(verdict, best, spec)
    if len(search) < spec.search.settings or verdict.next:
        done = f"{len(search)} of {spec.search.settings} settings are done"
        return f"Not finished: {done}, and no winner is confirmed."
    if verdict.candidates == 0 and not learned:
        return _NOTHING_LEARNED
    if verdict.candidates == 0:
        least = min(search, key=lambda r: (r.unstable.count / r.unstable.total, r.learning_rate))
        low, high = spec.search.learning_rate.low, spec.search.learning_rate.high
        return (
            f"No setting from {low:g} to {high:g} is stable with a margin of "
            f"{spec.stability.margin:g}: P(unstable) must be {_limit(spec)}. "
            f"The least unstable was {least.optimizer} at {least.learning_rate:.3g} "
            f"with {least.unstable.count} of {least.unstable.total} restarts unstable. "
            "Lower learning_rate.low, or allow more in [stability]."
        )
    return (
        f"{verdict.candidates} settings looked stable, but none held on fresh starts "
        f"({len(verdict.refused)} tried). "
        "Lower learning_rate.low, use more settings, or allow more in [stability]."
    )


def _limit(spec: JobSpec) -> str:
    limit, confidence = 100 * spec.stability.max_unstable, 100 * spec.stability.confidence
    return f"at most {limit:g} % at {confidence:g} % confidence"


def _why_this(verdict: Verdict, best: BestStable, spec: JobSpec) -> str:
    by_validation = spec.stability.choose_by == "validation"
    criterion = "lowest validation loss" if by_validation else "least expected cost"
    if best.cost is None and not by_validation:
        criterion = "lowest mean loss, for none that held reached the target loss in time"
    at_margin = and_margin = with_margin = others = ""
    if best.margin > 1:
        with_margin = f", without a failure up to {best.margin:g} times their rate,"
        at_margin = f", {best.unstable_at_margin.count} at {best.margin:g} times it"
        and_margin = f" and at {best.margin:g} times it"
    if refused := len(verdict.refused):
        others = (
            f" {refused} better candidate{'s' * (refused > 1)} failed on fresh starts, which the "
            "confidence allows for."
        )
    return (
        f"Of {verdict.candidates} settings that looked stable{with_margin} this one has the "
        f"{criterion}. "
        f"On {best.unstable.total} fresh starts {best.unstable.count} were unstable at this rate"
        f"{at_margin}: P(unstable) is {_limit(spec)} at the rate{and_margin}.{others}"
    )


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
    drift: float | None,
) -> tuple[str, ...]:
    """A sentence or two each, in the spirit of the Tuning Playbook (Godbole et al. 2023).

    Args:
        known: whether the labels rest on the problem's known minimum. learned: as in `explain`.
        drift: as `Report.label_drift`, where J* is likely to fall; else None.
    """
    out = []
    if problem["known_minimum"] is not None and not known:
        out.append(
            f"The problem's known_minimum, {problem['known_minimum']:g}, is not its minimum: lower "
            "losses were found. Labels are relative to the best one found by this job."
        )
    if not learned:
        out.append(_NOTHING_LEARNED)
    if spec.training.steps < _LEAST_STEPS:
        out.append(
            f"{spec.training.steps} steps leave too short a tail to see who swings: of instability "
            f"only divergence was looked for. Train for {_LEAST_STEPS} steps or more."
        )
    if problem.get("task_was_guessed"):
        out.append(f"The task was guessed: {problem['task']}, {problem['guess_reason']}")
    needed = restarts_needed(spec.stability.max_unstable, spec.stability.confidence)
    if spec.training.restarts < needed:
        fresh = f"at least {needed}" if best is None else f"{best.unstable.total}"
        out.append(
            f"{spec.training.restarts} restarts cannot show P(unstable) <= "
            f"{100 * spec.stability.max_unstable:g} %; {needed} can. Candidates were those without "
            f"one unstable restart, confirmed on {fresh} fresh starts."
        )
    if best is not None:
        mine = sorted({r.learning_rate for r in search if r.optimizer == best.optimizer})
        if best.learning_rate == mine[-1]:
            out.append("The best rate is the highest that was tried: search higher.")
        if best.learning_rate == mine[0]:
            out.append("The best rate is the lowest that was tried: search lower.")
        failing = cliffs[best.optimizer].lowest_failing
        if failing is not None and failing < best.learning_rate:
            out.append(
                f"A lower rate than the best one failed: {failing:.3g}. "
                "The boundary of stability is ragged here."
            )
        near = best.decades_to_cliff
        if near is not None and near < np.log10(best.margin) + 0.1:
            out.append(
                f"The best rate is at the edge of stability: its cliff is {near:.2f} decades off."
            )
    unstable = sum(r.unstable.count > 0.5 * r.unstable.total for r in search)
    if learned and unstable > 0.5 * len(search):
        out.append(
            f"In {unstable} of {len(search)} settings most restarts were unstable: "
            "lower learning_rate.high."
        )
    undecided = sum(r.basins["undetermined"] for r in search)
    placed = sum(sum(r.basins.values()) for r in search)
    if undecided > 0.1 * placed:
        out.append(
            f"{undecided} of {placed} restarts are not judged: the bottom below them is known too "
            "little to tell trapped from not. Train for more steps, or raise "
            "outcomes.polish_budget."
        )
    if drift is not None:
        out.append(
            "J* is the best that was found, and half of the starts did not find it: more of them "
            f"may find a lower one. If it fell by the tolerance, {100 * drift:.0f} % of the labels "
            "would change. Compare the trapped rates by tolerance."
        )
    if problem["known_minimum"] is None and minima:
        out.append(
            "The global minimum is not known: "
            "labels are relative to the best one found by this job."
        )
    out.extend(_beyond_curvature(spec, cliffs, minima))
    return tuple(out)


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
        cliff = cliffs.get(label(rule))
        if cliff is None or rule.name not in ("gd", "momentum", "nesterov") or flattest <= 0:
            continue
        limit = rule.stability_limit / flattest
        if cliff.low is not None and cliff.low > 1.1 * limit:
            out.append(
                f"{label(rule)} seems stable up to {cliff.low:.3g}, though the flattest minimum "
                f"found allows only {limit:.3g}: restarts may be far from any minimum still. "
                "Train for more steps."
            )
    return out
