"""One restart explained: its facts, the rules that gave it its labels, and its losses as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trainers.basins.endpoints import REASONS
from trainers.outcomes.basins import Basin, Evidence
from trainers.outcomes.character_plot import character_plot
from trainers.outcomes.reasoning import (
    STABLE,
    Comparison,
    Frame,
    why_basin,
    why_dynamics,
    why_fall,
)
from trainers.training.tail_statistics import TailStatistics

if TYPE_CHECKING:
    from trainers.outcomes.classify import Outcome

__all__ = ["Fact", "explanation", "explanation_dict", "facts"]

_LEAST = 20  # losses of a tail that is shown alone


class Fact(NamedTuple):
    """A number of a restart, by the name that the rules use, and what it is."""

    name: str
    value: float
    words: str


def facts(o: Outcome) -> list[Fact]:
    """What the labels of `o` follow from; what was not measured, or does not exist, is left out."""
    frame: Frame = o.frame
    origin = "known to the problem" if frame.known else "the lowest found, and so the best known"
    limits = frame.limits
    material = limits.material_for(known=frame.known)
    found = [
        Fact("J0", o.start_loss, "loss at the start"),
        Fact("J90", o.tail_loss, "90th percentile of the losses of the tail"),
        Fact("middle", o.tail_middle, "their median"),
        Fact("J_bottom", _bottom(o), "lowest loss known below the tail"),
        Fact("J*", frame.best, f"lowest loss of all: {origin}"),
        Fact("D", frame.descent, "the descent, from the median J0 down to J*"),
        Fact("hover", o.hover, f"(J90 - J_bottom) / D; max_hover = {limits.max_hover:g}"),
        Fact("spikes", float(o.spikes), "losses of the tail above ten times J90 - J_bottom"),
        Fact("trend", o.trend, "slope of log(J - J_bottom) by block, upper end of 99.9 %"),
        Fact("cosine", o.cosine, "mean, between successive steps"),
        Fact("displacement", o.displacement, "of the path of the tail"),
        Fact(
            "sharpness",
            o.sharpest,
            "rate x lambda_max(P^-1 H), at its end or the bottom below; "
            f"limit of {frame.optimizer}: {frame.stability_limit:.4g}",
        ),
        Fact("excess", o.tail_excess, "mean of the tail less J at its mean weights"),
        Fact("swing", o.swing, "J90 less the lowest loss of the tail, or the size of that excess"),
        Fact("J", o.basin_loss, "where the descent from its end came to"),
        Fact("J_low", o.lower_bound, "no bottom below is lower, as far as can be told"),
        Fact("tau", frame.tolerance, f"tolerance of J*: {material:g} D"),
    ]
    none = _absent(o)
    return [f for f in found if f.name not in none and not np.isnan(f.value)]


def explanation(o: Outcome, *, ascii_only: bool = False) -> list[str]:
    """For people: lines of text."""
    frame: Frame = o.frame
    wide = max(len(f.name) for f in facts(o))
    lines = ["facts"]
    lines += [f"  {f.name:<{wide}}  {f.value:<11.5g} {f.words}" for f in facts(o)]
    doing, fall, basin = why_dynamics(o, frame), why_fall(o, frame), why_basin(o, frame)
    column = max(len(step.text) for step in (*doing, *fall, *basin) if step.relation or step.said)
    trapped = " (trapped)" if o.basin == Basin.LOCAL_MINIMUM else ""
    for title, steps in (
        (f"dynamics: {o.dynamics}", doing),
        (f"unstable: {f'yes, {o.fall}' if o.fall else 'no'}", fall),
        (f"basin: {o.basin or 'none'}{trapped}", basin),
    ):
        lines += ["", title, *(_line(step, column) for step in steps)]
    if o.basin == Basin.UNDETERMINED:
        lines.append(f"  what would help: {_remedy(o, frame)}")
    elif o.evidence:
        lines.append(f"  evidence: {_GROUNDS[o.evidence]}")
    return [*lines, "", *_plot(o, frame, ascii_only=ascii_only)]


def explanation_dict(o: Outcome) -> dict[str, Any]:
    """Plain JSON: the facts, and for each label the comparisons that led to it."""
    frame: Frame = o.frame
    because = {
        "dynamics": (str(o.dynamics), why_dynamics(o, frame)),
        "unstable": (str(o.fall or STABLE), why_fall(o, frame)),
        "basin": (None if o.basin is None else str(o.basin), why_basin(o, frame)),
    }
    return {
        "facts": {f.name: _plain(f.value) for f in facts(o)},
        "diverged_at": None if o.diverged_at < 0 else int(o.diverged_at),
        **{
            name: {"label": label, "because": [_step_dict(step) for step in steps]}
            for name, (label, steps) in because.items()
        },
        "evidence": None if o.evidence is None else str(o.evidence),
        "what_would_help": _remedy(o, frame) if o.basin == Basin.UNDETERMINED else None,
    }


_GROUNDS = {
    Evidence.PROVEN: "proven, the Hessian or pushes say what kind of point is there",
    Evidence.EXTRAPOLATED: "extrapolated, from how the descent below it slowed or came to rest",
    Evidence.LEVEL: "level, the loss that was reached",
}


def _absent(o: Outcome) -> set[str]:
    """Facts that say nothing of such a restart."""
    if o.diverged_at >= 0:
        return {"cosine", "displacement", "spikes", "J_low", "tau"}
    return {"spikes"} if np.isnan(o.tail_gap) else set()


def _bottom(o: Outcome) -> float:
    return float(o.tail_loss - o.tail_gap)


def _line(step: Comparison, column: int) -> str:
    leads = f"-> {step.label}" if step.label else ""
    said = ": ".join(part for part in (leads, step.said) if part)
    return f"  {step.text:<{column}}  {said}".rstrip()


def _remedy(o: Outcome, frame: Frame) -> str:
    budget = frame.limits.polish_budget
    more = f"more steps, or [outcomes] polish_budget above {budget:g}"
    if o.reason.endswith(REASONS["single"]):
        return "a problem in double precision, see Problem.in_float64"
    if o.basin_loss <= frame.best + frame.tolerance:
        return f"{more}, so that more bottoms are known well"
    return f"{more}, so that J and J_low come together"


def _plot(o: Outcome, frame: Frame, *, ascii_only: bool) -> list[str]:
    """The tail, or the whole way where fewer than 20 losses of the tail are at hand."""
    first = frame.steps - TailStatistics.length(frame.steps)
    late = o.recorded >= first
    alone = int(np.isfinite(o.losses[late]).sum()) >= _LEAST
    steps, losses = (o.recorded[late], o.losses[late]) if alone else (o.recorded, o.losses)
    part = "the tail" if alone else f"the way, with a tick where the tail begins, at {first:,}"
    bottom = np.fmin(_bottom(o), o.basin_loss)
    if frame.descent > 0 and np.isfinite(bottom):
        digits = float(np.finfo(losses.dtype).eps) * float(abs(losses[-1]))
        # Below the rounding of what is kept of them heights say nothing.
        least = max(4.0 * (digits if np.isfinite(digits) else 0.0) / frame.descent, 1e-12)
        heights = np.maximum((losses.astype(float) - bottom) / frame.descent, least)
        limits = frame.limits
        marks = {"max_hover": limits.max_hover, "settled": limits.settled}
        title = f"{part}: (J - J_bottom) / D"
    else:
        heights, marks, title = losses.astype(float), {}, f"{part}: J"
    return [title, *character_plot(steps, heights, marks, tail=first, ascii_only=ascii_only)]


def _step_dict(step: Comparison) -> dict[str, Any]:
    return {
        "text": step.text,
        "value": _plain(step.value),
        "relation": step.relation or None,
        "limit": _plain(step.limit),
        "limit_name": step.limit_name or None,
        "says": step.said,
        "label": step.label or None,
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
