"""The losses of a task while it trains: for people, who wait long for some."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trainers.training import Moment
from tuning.trial.curves import checkpoints, quantiles, spread

__all__ = ["LossBand", "Watch"]

FloatArray = NDArray[np.float64]

_FIRST_SECONDS, _PAUSE_SECONDS = 10.0, 2.0
_MOST_POINTS = 36
_PARTING_SECONDS = 1.0


@dataclass(frozen=True)
class LossBand:
    """The losses of a task's restarts so far.

    Attributes:
        steps: K checkpoints; each band of a task begins with those of the one before.
        quantiles: 10, 50 and 90 % of the restarts at each, of the kind that `Curves.quantiles` has.
        restarts: how many there are.
    """

    steps: tuple[int, ...]
    quantiles: tuple[tuple[float, ...], ...]
    restarts: int

    @classmethod
    def of(cls, recorded: NDArray[Any], losses: FloatArray) -> Self:
        """Of the losses (K, R) at the steps `recorded` (K,), NaN at those still to come."""
        filled = np.flatnonzero(~np.isnan(losses).all(axis=1))
        last = filled[-1] if filled.size else 0
        grid = checkpoints(int(recorded[-1]))
        grid = grid[spread(len(grid), _MOST_POINTS)]
        grid = grid[grid <= recorded[last]]
        rows = np.searchsorted(recorded, grid, side="right") - 1
        with np.errstate(over="ignore"):
            found = quantiles(losses[rows].astype(np.float32))
        return cls(tuple(grid.tolist()), tuple(tuple(q) for q in found.tolist()), losses.shape[1])


class Watch:
    """Tells how far a training is: ten seconds after it began, and every two from then on.

    A `trainers.Recorder` that costs a training nothing: it looks once, before the first step, at
    the table that will be filled; a thread reads that. For as long as the `with` lasts.

    Args:
        tell: called from that thread.
    """

    def __init__(
        self,
        tell: Callable[[LossBand], None],
        first: float = _FIRST_SECONDS,
        pause: float = _PAUSE_SECONDS,
    ) -> None:
        self._tell, self._first, self._pause = tell, first, pause
        self._table: tuple[NDArray[Any], FloatArray] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_PARTING_SECONDS)  # who is told may be slow: the task does not wait

    def due(self, t: int) -> bool:
        """Once: see `trainers.Recorder`."""
        return t == 0

    def add(self, moment: Moment) -> None:
        """Where the losses will be."""
        self._table = moment.recorded, moment.losses

    def _work(self) -> None:
        pause = self._first
        while not self._over.wait(pause):
            pause = self._pause
            if self._table is not None:
                self._tell(LossBand.of(*self._table))
