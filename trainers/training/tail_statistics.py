"""What the last steps of a training looked like: back and forth, or forward?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, starmap
from typing import Any

import numpy as np

from trainers._rows import Rows
from trainers.problem import FloatArray, IntArray, RealArray

__all__ = ["TailStatistics"]

_LEAST = 10
_NUMBERS = 1 << 16


@dataclass
class TailStatistics(Rows):
    """Running sums over the last tenth of the steps, of the restarts still in the batch; places in
    the precision in which is trained.

    Attributes:
        first: the step at which the tail begins. steps: how many it has.
        origin (R, P): where that was.
        total (R, P): sum of the places after each step.
        previous (R, P), previous_length (R,): the last step.
        path (R,): length of all steps. cosine (R,): sum over the pairs of successive ones.
        pairs (R,): how many there were in which both moved.
    """

    first: int
    steps: int
    origin: RealArray
    total: RealArray
    previous: RealArray
    previous_length: FloatArray
    path: FloatArray
    cosine: FloatArray
    pairs: FloatArray

    @classmethod
    def begin(cls, starts: RealArray, steps: int) -> TailStatistics:
        """Of a training of `steps` steps from `starts` (R, P)."""
        # Zeros take no memory before the tail begins and they are written to.
        origin, total, previous = (np.zeros(starts.shape, starts.dtype) for _ in range(3))
        sums = (np.zeros(len(starts)) for _ in range(4))
        tail = cls.length(steps)
        return cls(steps - tail, tail, origin, total, previous, *sums)

    @staticmethod
    def length(steps: int) -> int:
        """Steps in the tail of a training of `steps` steps: a tenth, but ten at least."""
        return min(steps, max(_LEAST, steps // 10))

    def add(self, t: int, before: RealArray, after: RealArray) -> None:
        """Take in step `t` from `before` to `after`, both (R, P)."""
        if t < self.first:
            return
        if t == self.first:
            self.origin[:] = before
        self.total += after
        for rows in _pieces(*after.shape):
            self._add(rows, after[rows] - before[rows])

    def _add(self, rows: slice, step: RealArray) -> None:
        previous = self.previous[rows]
        length = np.sqrt(np.einsum("rp,rp->r", step, step, dtype=np.float64))
        both = length * self.previous_length[rows]
        met = both > 0
        product = np.einsum("rp,rp->r", step, previous, dtype=np.float64)
        self.cosine[rows] += np.where(met, product / np.where(met, both, 1.0), 0.0)
        self.pairs[rows] += met
        self.path[rows] += length
        previous[:], self.previous_length[rows] = step, length

    def summary(
        self, live: IntArray, w: RealArray, weights: FloatArray
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

        net = np.empty(len(w))
        for rows in _pieces(*w.shape):
            net[rows] = np.sqrt((np.subtract(w[rows], self.origin[rows], dtype=float) ** 2).sum(1))
        cosine = np.where(self.pairs > 0, self.cosine / np.maximum(self.pairs, 1.0), 0.0)
        ratio = np.where(self.path > 0, net / np.where(self.path > 0, self.path, 1.0), 1.0)
        mean = weights.copy()
        for rows in _pieces(*w.shape):
            mean[live[rows]] = self.total[rows] / max(1, self.steps)
        return spread(cosine, 0.0), spread(ratio, 1.0), mean


def _pieces(rows: int, parameters: int) -> Iterator[slice]:
    """Rows that are handled at a time: what is worked out on the way stays small. Never one row of
    several, of which NumPy sums otherwise."""
    each = max(2, _NUMBERS // max(1, parameters))
    return starmap(slice, pairwise([*range(0, max(1, rows - 1), each), rows]))
