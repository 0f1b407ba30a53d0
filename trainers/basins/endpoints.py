"""What is known of the bottom below each restart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows, filled
from trainers.problem import FloatArray

__all__ = ["REASONS", "BasinEndpoints", "Point"]


class Point(StrEnum):
    """The kind of point at the bottom, which depends on this restart alone.

    Whether a minimum is the global one is decided later, when all bottoms are known.
    """

    MINIMUM = "minimum"
    FLAT = "flat"  # a minimum, but not a strict one
    SADDLE = "saddle"
    PLATEAU = "plateau"
    UNDETERMINED = "undetermined"
    NONE = "none"  # diverged


REASONS = {
    "strict": "a strict minimum: every direction curves up",
    "flat": "a minimum, flat in some directions: 20 pushes found nothing lower",
    "known": "at the known minimum, which is flat",
    "kink": "a minimum where the gradient jumps: 20 pushes found nothing lower",
    "saddle": "at rest where some direction curves down",
    "pushed": "at rest, but a small push finds a way down",
    "empty": "the loss is the same all around: no slope, no curvature",
    "endless": "the loss falls for ever as the weights grow: no minimum is there",
    "creeping": "the weights creep on for ever while the loss hardly falls: no minimum is there",
    "interval": "an interval holds the bottom below it",
    "single": "its losses are of single precision: no bottom can be told from their rounding",
    "spent": "the flow was still descending when its budget ended",
    "hopeless": "the flow descends too slowly to end within its budget",
    "doubt": "at rest, but its smallest curvature cannot be told from 0",
    "jumps": "still descending, where the gradient jumps",
    "diverged": "diverged: it has no basin",
}


@dataclass(frozen=True)
class BasinEndpoints(Rows):
    """What is known of the bottom below each of R restarts.

    Attributes:
        point (R,): of `Point`. weights (R, P), loss (R,): the lowest place reached.
        lower (R,): no bottom below is lower than this, as far as can be told; -inf where nothing
            can, and the loss where a proof says what kind of point is there.
        smallest_curvature, largest_curvature (R,): of the Hessian; NaN where it was not measured.
        reason (R,): one sentence.
    """

    point: NDArray[np.object_]
    weights: FloatArray
    loss: FloatArray
    lower: FloatArray
    smallest_curvature: FloatArray
    largest_curvature: FloatArray
    reason: NDArray[np.object_]

    @classmethod
    def unknown(cls, weights: FloatArray) -> BasinEndpoints:
        """Nothing is known yet of the restarts at `weights` (R, P)."""
        nothing = np.full(len(weights), np.nan)
        return cls(
            point=filled(len(weights), Point.UNDETERMINED),
            weights=weights.copy(),
            loss=nothing.copy(),
            lower=np.full(len(weights), -np.inf),
            smallest_curvature=nothing.copy(),
            largest_curvature=nothing.copy(),
            reason=np.full(len(weights), "", dtype=object),
        )

    def label(self, rows: NDArray[Any], point: Point, reason: str) -> None:
        """Label `rows`, a mask (R,) or indices; `reason` is a key of `REASONS`."""
        self.point[rows] = point
        self.reason[rows] = REASONS[reason]

    @property
    def proven(self) -> NDArray[np.bool_]:
        """(R,): whether it is known what kind of point is there."""
        return np.asarray((self.point != Point.UNDETERMINED) & (self.point != Point.NONE))
