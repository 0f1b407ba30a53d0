"""Whether a restart has fallen: how high it hovers, and whether that is a fall.

All but the scale is known of each restart alone: D, the way from the median loss of the starts down
to J*, changes when a better minimum is found, and then this is done anew.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.problem import FloatArray

__all__ = ["Fall", "TailFacts", "find_falls", "hover", "settled"]


class Fall(StrEnum):
    """Why a restart is unstable."""

    DIVERGED = "diverged"
    SWINGS = "swings"  # high above its bottom, without progress
    ABOVE_START = "above-start"


class TailFacts(NamedTuple):
    """What is known of the tails of R restarts, each (R,).

    `start` and `level` are J0 and J90, the 90th percentile of the tail's losses, NaN where fewer
    than 8 losses say nothing; `gap` is J90 over the bottom. `still`: no progress. `held`: and
    successive steps oppose each other, or the rate is at the optimizer's limit, and most of the gap
    is the swing. `excess`: the tail's mean loss over the loss at its mean weights.
    """

    diverged: NDArray[np.bool_]
    start: FloatArray
    level: FloatArray
    gap: FloatArray
    still: NDArray[np.bool_]
    held: NDArray[np.bool_]
    excess: FloatArray


def hover(tail: TailFacts, descent: float) -> FloatArray:
    """(R,): J90 over the bottom, in descents D; NaN where it diverged, or D is none."""
    if not descent > 0:
        return np.full(len(tail.gap), np.nan)
    return np.where(tail.diverged, np.nan, np.maximum(tail.gap, 0.0) / descent)


def settled(tail: TailFacts, descent: float, threshold: float) -> NDArray[np.bool_]:
    """(R,): through the tail nothing is left to gain that anybody would read."""
    rounding = 64.0 * np.finfo(float).eps * np.maximum(np.abs(tail.start), np.abs(tail.level))
    return np.asarray(~tail.diverged & (tail.gap <= threshold * descent + rounding))


def find_falls(tail: TailFacts, descent: float, max_hover: float) -> NDArray[np.object_]:
    """Why each restart is unstable (R,); None where it is not.

    Hovering is a fall above `max_hover` D, and only without progress: swings that oppose each
    other, or are at the optimizer's limit; or a loss that is lower in the middle of the swing by as
    much. Slow and noisy training is none, nor is a small swing far above the bottom: along the edge
    of stability it opposes itself all the way down, too slow at times to be seen. To end so far
    above one's own start is a fall whatever it was doing. Where D is none, only divergence tells.
    """
    falls = np.full(len(tail.start), None, dtype=object)
    if descent > 0:
        high = max_hover * descent
        swings = tail.still & (tail.gap > high) & (tail.held | (tail.excess > high))
        falls[swings] = Fall.SWINGS
        falls[tail.level > tail.start + high] = Fall.ABOVE_START
    falls[tail.diverged] = Fall.DIVERGED
    return falls
