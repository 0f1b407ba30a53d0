"""What is known of the bottom below each restart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows
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
    "spent": "the flow was still descending when its budget ended",
    "hopeless": "the flow descends too slowly to end within its budget",
    "doubt": "at rest, but its smallest curvature cannot be told from 0",
    "jumps": "still descending, where the gradient jumps",
    "diverged": "diverged: it has no basin",
}


@dataclass(frozen=True)
class BasinEndpoints(Rows):
    """For each of R restarts: kind of point (R,), where (R, P), loss (R,), extreme curvatures (R,),
    NaN where they were not measured, a reason in one sentence (R,), whether the gradient jumps
    there (R,), and whether the flow came to rest there, whatever kind of point it is (R,)."""

    point: NDArray[np.object_]
    weights: FloatArray
    loss: FloatArray
    smallest_curvature: FloatArray
    largest_curvature: FloatArray
    reason: NDArray[np.object_]
    kinked: NDArray[np.bool_]
    rests: NDArray[np.bool_]

    @classmethod
    def unknown(cls, weights: FloatArray) -> BasinEndpoints:
        """Nothing is known yet of the restarts at `weights` (R, P)."""
        nothing = np.full(len(weights), np.nan)
        return cls(
            point=np.full(len(weights), Point.UNDETERMINED, dtype=object),
            weights=weights.copy(),
            loss=nothing.copy(),
            smallest_curvature=nothing.copy(),
            largest_curvature=nothing.copy(),
            reason=np.full(len(weights), "", dtype=object),
            kinked=np.zeros(len(weights), dtype=bool),
            rests=np.zeros(len(weights), dtype=bool),
        )

    def label(self, rows: NDArray[Any], point: Point, reason: str) -> None:
        """Label `rows`, a mask (R,) or indices; `reason` is a key of `REASONS`."""
        self.point[rows] = point
        self.rests[rows] = reason not in ("spent", "hopeless", "jumps", "diverged")
        self.reason[rows] = REASONS[reason]
