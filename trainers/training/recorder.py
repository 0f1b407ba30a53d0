"""What is measured along the way, beside the losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trainers.problem import FloatArray, IntArray, RealArray

__all__ = ["Moment", "PathRecorder", "Recorder"]


@dataclass(frozen=True)
class Moment:
    """A training about to take step `t` (from 0; T is the end), as recorders see it.

    Attributes:
        live (r,): the restarts still in the batch, whose rows the others are.
        w (r, P): where they are. gradient (r, P): what the step goes by. Neither may be changed.
        preconditioner: gives P (r, P) of the step to come, or None for identity. It tries the step
            on copies, so it is asked only by those who need it.
        recorded (K,), losses (K, R): the steps at which losses are kept, and those of all restarts:
            NaN after one has diverged, and at steps that are still to come. Neither may be changed;
            whoever keeps `losses` sees it fill.
    """

    t: int
    live: IntArray
    w: RealArray
    gradient: RealArray
    preconditioner: Callable[[], FloatArray | None]
    recorded: IntArray
    losses: FloatArray


class Recorder(Protocol):
    """Something measured at some steps of a training, which it leaves as it is."""

    def due(self, t: int) -> bool:
        """Whether to measure before step `t`."""

    def add(self, moment: Moment) -> None:
        """Measure at a moment that is due."""


class PathRecorder:
    """The parameters at every step: `values` is (T + 1, R, P), NaN once a restart diverged."""

    def __init__(self, starts: FloatArray, steps: int) -> None:
        self.values = np.full((steps + 1, *starts.shape), np.nan)

    def due(self, t: int) -> bool:
        return True

    def add(self, moment: Moment) -> None:
        self.values[moment.t, moment.live] = moment.w
