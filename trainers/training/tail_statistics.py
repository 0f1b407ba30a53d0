"""What the last steps of a training looked like: back and forth, or forward?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.problem import FloatArray, IntArray

__all__ = ["TailStatistics"]


class TailStatistics:
    """Running sums over the last max(100, 10 %) steps of the restarts still in the batch."""

    def __init__(self, starts: FloatArray, steps: int) -> None:
        restarts = len(starts)
        self._begin = steps - self.length(steps)
        self._origin = starts
        self._previous, self._spare = np.zeros_like(starts), np.zeros_like(starts)
        self._previous_length = np.zeros(restarts)
        self._path = np.zeros(restarts)
        self._cosine = np.zeros(restarts)
        self._pairs = np.zeros(restarts)

    @staticmethod
    def length(steps: int) -> int:
        """Steps in the tail of a training of `steps` steps."""
        return min(steps, max(100, steps // 10))

    def keep(self, keep: NDArray[np.bool_]) -> None:
        """Drop the restarts that have left the batch."""
        for name, array in vars(self).items():
            if isinstance(array, np.ndarray):
                setattr(self, name, array[keep])

    def add(self, t: int, before: FloatArray, after: FloatArray) -> None:
        """Take in step `t` from `before` to `after`, both (R, P)."""
        if t < self._begin:
            return
        if t == self._begin:
            self._origin = before.copy()
        step = np.subtract(after, before, out=self._spare)
        length = np.sqrt(np.einsum("rp,rp->r", step, step))
        both = length * self._previous_length
        met = both > 0
        self._cosine += np.where(
            met, np.einsum("rp,rp->r", step, self._previous) / np.where(met, both, 1.0), 0.0
        )
        self._pairs += met
        self._path += length
        self._previous, self._spare, self._previous_length = step, self._previous, length

    def summary(
        self, live: IntArray, w: FloatArray, restarts: int
    ) -> tuple[FloatArray, FloatArray]:
        """Mean cosine between successive steps, and net displacement over path; each (restarts,).

        A restart that did not move, or left the batch, has cosine 0 and displacement 1.
        """

        def spread(values: Any, default: float) -> FloatArray:
            out = np.full(restarts, default)
            out[live] = values
            return out

        net = np.sqrt(((w - self._origin) ** 2).sum(axis=1))
        cosine = np.where(self._pairs > 0, self._cosine / np.maximum(self._pairs, 1.0), 0.0)
        ratio = np.where(self._path > 0, net / np.where(self._path > 0, self._path, 1.0), 1.0)
        return spread(cosine, 0.0), spread(ratio, 1.0)
