"""What the last steps of a training looked like: back and forth, or forward?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trainers._rows import Rows
from trainers.problem import FloatArray, IntArray

__all__ = ["TailStatistics"]

_LEAST = 10


@dataclass
class TailStatistics(Rows):
    """Running sums over the last tenth of the steps, of the restarts still in the batch.

    Attributes:
        first: the step at which the tail begins. steps: how many it has.
        origin (R, P): where that was.
        total (R, P): sum of the places after each step.
        previous (R, P), previous_length (R,): the last step. spare (R, P): room for the next.
        path (R,): length of all steps. cosine (R,): sum over the pairs of successive ones.
        pairs (R,): how many there were in which both moved.
    """

    first: int
    steps: int
    origin: FloatArray
    total: FloatArray
    previous: FloatArray
    spare: FloatArray
    previous_length: FloatArray
    path: FloatArray
    cosine: FloatArray
    pairs: FloatArray

    @classmethod
    def begin(cls, starts: FloatArray, steps: int) -> TailStatistics:
        """Of a training of `steps` steps from `starts` (R, P)."""
        none, nowhere = np.zeros(len(starts)), np.zeros_like(starts)
        sums = (none.copy() for _ in range(3))
        return cls(
            steps - cls.length(steps),
            cls.length(steps),
            starts,
            nowhere.copy(),
            nowhere.copy(),
            nowhere.copy(),
            none.copy(),
            *sums,
        )

    @staticmethod
    def length(steps: int) -> int:
        """Steps in the tail of a training of `steps` steps: a tenth, but ten at least."""
        return min(steps, max(_LEAST, steps // 10))

    def add(self, t: int, before: FloatArray, after: FloatArray) -> None:
        """Take in step `t` from `before` to `after`, both (R, P)."""
        if t < self.first:
            return
        if t == self.first:
            self.origin = before.copy()
        self.total += after
        step = np.subtract(after, before, out=self.spare)
        length = np.sqrt(np.einsum("rp,rp->r", step, step))
        both = length * self.previous_length
        met = both > 0
        self.cosine += np.where(
            met, np.einsum("rp,rp->r", step, self.previous) / np.where(met, both, 1.0), 0.0
        )
        self.pairs += met
        self.path += length
        self.previous, self.spare, self.previous_length = step, self.previous, length

    def summary(
        self, live: IntArray, w: FloatArray, weights: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean cosine between successive steps, and net displacement over path, each (R,); and the
        mean place (R, P). The restarts `live` (r,) are at `w` (r, P), all at `weights` (R, P).

        A restart that did not move, or left the batch, has cosine 0 and displacement 1.
        """
        restarts = len(weights)

        def spread(values: Any, default: float) -> FloatArray:
            out = np.full(restarts, default)
            out[live] = values
            return out

        net = np.sqrt(((w - self.origin) ** 2).sum(axis=1))
        cosine = np.where(self.pairs > 0, self.cosine / np.maximum(self.pairs, 1.0), 0.0)
        ratio = np.where(self.path > 0, net / np.where(self.path > 0, self.path, 1.0), 1.0)
        mean = weights.copy()
        mean[live] = self.total / max(1, self.steps)
        return spread(cosine, 0.0), spread(ratio, 1.0), mean
