"""Why a restart has its labels: the rules, one comparison after another, as they are applied.

The labels themselves are given to many restarts at once by `dynamics`, `stability` and `basins`;
here the same rules are walked for one, so that each step can be shown with both of its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainers.basins.endpoints import Point
from trainers.outcomes.basins import Basin, Credibility
from trainers.outcomes.dynamics import LEAST_FALL, Dynamics
from trainers.outcomes.stability import Fall
from trainers.thresholds import Thresholds

if TYPE_CHECKING:
    from trainers.outcomes.classify import Outcome

__all__ = ["STABLE", "Comparison", "Frame", "why_basin", "why_dynamics", "why_fall"]

#: Where no fall is found.
STABLE = "stable"


@dataclass(frozen=True)
class Frame:
    """What a restart's numbers are held against; the same for all restarts of a setting.

    Attributes:
        optimizer, stability_limit: which, and its limit of lr * lambda_max(P^-1 H).
        batch_size: None for full batch. steps: T.
        best: J*, NaN if nothing was found. known: whether the problem knows it. credibility:
            whether it may be called the minimum where it is only the best known.
        descent: D, 0 where there is none. limits: the thresholds.
    """

    optimizer: str
    stability_limit: float
    batch_size: int | None
    steps: int
    best: float
    known: bool
    credibility: Credibility
    descent: float
    limits: Thresholds

    @property
    def tolerance(self) -> float:
        """tau: a loss this close to J* counts as it."""
        return self.limits.material_for(known=self.known) * self.descent


@dataclass(frozen=True)
class Comparison:
    """One step: what was compared, what it says, and the label it led to, "" if it went on.

    Without a `relation` there is nothing to compare, and `what` says why.
    """

    what: str
    said: str
    label: str = ""
    value: float = np.nan
    relation: str = ""
    limit: float = np.nan
    limit_name: str = ""

    @property
    def text(self) -> str:
        """As `J90 - J_bottom = 0.3 > 0.001 = settled x D`."""
        if not self.relation:
            return self.what
        value, limit = _apart(float(self.value), float(self.limit))
        named = f" = {self.limit_name}" if self.limit_name else ""
        return f"{self.what} = {value} {self.relation} {limit}{named}"


def _apart(a: float, b: float) -> tuple[str, str]:
    """Two numbers to four digits, or to as many as tell them apart."""
    texts = [(f"{a:.{digits}g}", f"{b:.{digits}g}") for digits in range(4, 18)]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])


@dataclass(frozen=True)
class _Rule:
    """`what` = value, held against a limit, by name."""

    what: str
    value: float
    limit: float
    name: str

    def above(self, yes: str, no: str, label: str = "", otherwise: str = "") -> Comparison:
        """Whether the value is above the limit: what that says, and leads to."""
        return self._compared(self.value > self.limit, ">", "<=", yes, no, label, otherwise)

    def below(self, yes: str, no: str, label: str = "", otherwise: str = "") -> Comparison:
        """Whether it is below."""
        return self._compared(self.value < self.limit, "<", ">=", yes, no, label, otherwise)

    def _compared(
        self, holds: bool, if_so: str, if_not: str, yes: str, no: str, label: str, otherwise: str
    ) -> Comparison:
        said, leads = (yes, label) if holds else (no, otherwise)
        relation = if_so if holds else f"not {if_so}" if np.isnan(self.value) else if_not
        return Comparison(self.what, said, leads, self.value, relation, self.limit, self.name)


def why_dynamics(o: Outcome, frame: Frame) -> list[Comparison]:
    """Up to the comparison that gave the restart its `Dynamics`."""
    return list(_until_labelled(_dynamics(o, frame)))


def why_fall(o: Outcome, frame: Frame) -> list[Comparison]:
    """Up to the comparison that gave it its `Fall`, or none: `STABLE`."""
    return list(_until_labelled(_fall(o, frame)))


def why_basin(o: Outcome, frame: Frame) -> list[Comparison]:
    """Up to the comparison that gave it its `Basin`, or none where it diverged."""
    return list(_until_labelled(_basin(o, frame)))


def _until_labelled(steps: Iterator[Comparison]) -> Iterator[Comparison]:
    for step in steps:
        yield step
        if step.label:
            return


def _unknown(o: Outcome, label: str) -> Comparison | None:
    """Where the tail says nothing there is one step only."""
    if np.isnan(o.cosine):
        what = "told by an earlier version of Surefoot, which kept nothing of the tail"
        return Comparison(what, "", label)
    if np.isnan(o.tail_gap):
        return Comparison("fewer than 8 losses of the tail are recorded", "they say nothing", label)
    return None


def _dynamics(o: Outcome, frame: Frame) -> Iterator[Comparison]:
    limits, noisy = frame.limits, frame.batch_size is not None
    if o.dynamics == Dynamics.DIVERGED:
        yield _diverged(o, limits, Dynamics.DIVERGED)
    if nothing := _unknown(o, o.dynamics):
        yield nothing
    rounding = 64.0 * np.finfo(float).eps * max(abs(o.start_loss), abs(o.tail_loss))
    settled = _Rule(
        "J90 - J_bottom", o.tail_gap, limits.settled * frame.descent + rounding, "settled x D"
    )
    yield settled.above("there is more to gain", "nothing is left to gain", "", Dynamics.SETTLED)
    bouncing = _bouncing(o, limits)
    progress = _progress(o)
    along = ", along the edge of stability" if o.cosine < limits.opposed else ""
    yield progress.below(f"still falling{along}", "no progress", Dynamics.DESCENDING)
    if noisy:
        limit = frame.stability_limit
        yield _Rule("sharpness", o.sharpest, limit, f"limit of {frame.optimizer}").below(
            "the noise of mini-batches holds it off",
            "more than noise holds it off",
            Dynamics.HOVERING,
        )
    yield bouncing.below(
        "successive steps oppose each other", "they do not bounce", Dynamics.OSCILLATING
    )
    yield _Rule("displacement", o.displacement, limits.confined, "confined").below(
        "the path leads nowhere", "the path leads somewhere", "", Dynamics.DESCENDING
    )
    yield _edge(o, frame).below(
        "the rate is small enough", "the rate is at the limit", "", Dynamics.OSCILLATING
    )
    yield _Rule("middle", o.tail_middle, o.start_loss, "J0").above(
        "swings above its start",
        "swings, and will come to rest",
        Dynamics.OSCILLATING,
        Dynamics.DESCENDING,
    )


def _fall(o: Outcome, frame: Frame) -> Iterator[Comparison]:
    limits = frame.limits
    if o.dynamics == Dynamics.DIVERGED:
        yield _diverged(o, limits, Fall.DIVERGED)
    if nothing := _unknown(o, o.fall or STABLE):
        yield nothing
    if not frame.descent > 0:
        yield Comparison("there is no descent", "only divergence is a fall", STABLE)
    high, name = limits.max_hover * frame.descent, "max_hover x D"
    yield _Rule("J90 - J0", o.tail_loss - o.start_loss, high, name).above(
        "ends above its start", "not above its start", Fall.ABOVE_START
    )
    yield _Rule("J90 - J_bottom", o.tail_gap, high, name).above(
        "high above its bottom", "so low is no fall", "", STABLE
    )
    yield _progress(o).below("slow training is no fall", "no progress", STABLE)
    yield _Rule("excess", o.tail_excess, high, name).above(
        "held up there: lower in the middle of its swing", "not as much in its middle", Fall.SWINGS
    )
    yield _Rule("swing", o.swing, limits.swing * o.tail_gap, "swing x (J90 - J_bottom)").above(
        "most of it is the swing", "a small swing far up is no fall", "", STABLE
    )
    yield _bouncing(o, limits).below(
        "held up there: successive steps oppose each other", "they do not bounce", Fall.SWINGS
    )
    yield _edge(o, frame).below(
        "noisy training is no fall", "held up there: the rate is at the limit", STABLE, Fall.SWINGS
    )


def _diverged(o: Outcome, limits: Thresholds, label: str) -> Comparison:
    bound = limits.diverged * max(o.start_loss, 1.0)
    return Comparison(
        f"step {o.diverged_at}: not finite, or J > {bound:.4g} = diverged x max(J0, 1) and growing",
        f"the last J was {o.loss:.4g}",
        label,
    )


def _progress(o: Outcome) -> _Rule:
    return _Rule("trend", o.trend, -LEAST_FALL, "rounding")


def _bouncing(o: Outcome, limits: Thresholds) -> _Rule:
    return _Rule("cosine", o.cosine, limits.opposed, "opposed")


def _edge(o: Outcome, frame: Frame) -> _Rule:
    limit = frame.limits.edge * frame.stability_limit
    return _Rule("sharpness", o.sharpest, limit, f"edge x limit of {frame.optimizer}")


def _basin(o: Outcome, frame: Frame) -> Iterator[Comparison]:
    trust, near = frame.credibility, frame.best + frame.tolerance
    level = _Rule("J", o.basin_loss, near, "J* + tau")
    inside, reached = "within the tolerance of J*", bool(o.basin_loss <= near)
    if o.point == Point.NONE:
        yield Comparison("diverged", "it has no basin", "none")
    if o.point in (Point.MINIMUM, Point.FLAT):
        yield _bend(o, frame, "")
        if reached:
            yield level.above("", inside, "", Basin.GLOBAL_MINIMUM)
    if np.isfinite(o.basin_loss):
        known = Basin.GLOBAL_MINIMUM if frame.known else ""
        yield level.above("above the tolerance of J*", inside, "", known)
    if o.point in (Point.SADDLE, Point.PLATEAU):
        yield _bend(o, frame, Basin(str(o.point)))
    if reached:
        doubt = "J* may not be called the minimum yet"
        yield _Rule("bottoms known to tau / 4", trust.tight, trust.needed, "needed").below(
            doubt, "enough", Basin.UNDETERMINED
        )
        yield _Rule("of these within tau of J*", trust.near, 1, "needed").below(
            doubt, "J* may be called the minimum", Basin.UNDETERMINED, Basin.GLOBAL_MINIMUM
        )
    yield _Rule("J_low", o.lower_bound, near, "J* + tau").above(
        "no bottom below is low enough",
        "the bottom below may be low enough",
        Basin.LOCAL_MINIMUM,
        Basin.UNDETERMINED,
    )


def _bend(o: Outcome, frame: Frame, label: str) -> Comparison:
    """What kind of point is there, by its curvatures where these say it."""
    reason = o.reason.rpartition("; ")[2]
    smallest, largest, limits = o.smallest_curvature, o.largest_curvature, frame.limits
    if o.point == Point.SADDLE and smallest < -limits.saddle * largest:
        rule = _Rule("smallest curvature", smallest, -limits.saddle * largest, "-saddle x largest")
        return rule.below(reason, "", label)
    if o.point == Point.MINIMUM and smallest > limits.strict * largest:
        rule = _Rule("smallest curvature", smallest, limits.strict * largest, "strict x largest")
        return rule.above(reason, "", label)
    return Comparison(f"proven: {reason}", "", label)
