"""What a training leaves behind, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainers.optimizers.base import UpdateRule
from trainers.problem import FloatArray, IntArray
from trainers.training.tail_statistics import TailStatistics

__all__ = ["Trajectories", "recorded_steps"]

_MOST_RECORDED = 10_000


def recorded_steps(steps: int, *, at_no_cost: bool) -> IntArray:
    """The steps whose full-batch loss is recorded, 0 and `steps` among them.

    All of them up to 10,000 steps where it is free: full batch. Beyond that about 200 over the
    run and 100 in the tail; with mini-batches, where each costs an epoch, 60 and 40.
    """
    if at_no_cost and steps <= _MOST_RECORDED:
        return np.arange(steps + 1)
    over, late = (200, 100) if at_no_cost else (60, 40)
    tail = steps - TailStatistics.length(steps)
    grid = [
        np.linspace(0, steps, min(steps, over) + 1),
        np.linspace(tail, steps, min(steps - tail, late) + 1),
    ]
    return np.unique(np.concatenate(grid).round().astype(np.intp))


@dataclass(frozen=True)
class Trajectories:
    """How R restarts went through T steps; R rows or columns everywhere, in the order of the
    starts.

    Attributes:
        optimizer, learning_rate (R,): the setting. last_rate (R,): the rate of the last step, which
            a schedule may have changed.
        starts (R, P), weights (R, P): first and last parameters; of a restart that diverged, the
            last finite.
        steps: T.
        recorded (K,): the steps at which the full-batch loss was recorded, 0 and T among them.
        losses (K, R): those losses; NaN from the step of divergence on.
        diverged_at (R,): the step of divergence, or -1.
        cosine (R,): mean cosine between successive steps in the tail.
        displacement (R,): net displacement over length of path in the tail.
        tail_weights (R, P): mean of the parameters over the tail; of a restart that diverged, as
            `weights`.
        preconditioner (R, P): what the gradient was divided by at the end; None for identity.
        batch_size: None for full batch.
        path (T + 1, R, P): all parameters, when asked for; NaN after divergence.
        sharpness (K', R): lambda_max(P^-1 H) at `sharpness_steps` (K',), when asked for; NaN once
            diverged. See `trainers.training.sharpness_recorder`.
    """

    optimizer: UpdateRule
    learning_rate: FloatArray
    last_rate: FloatArray
    starts: FloatArray
    weights: FloatArray
    steps: int
    recorded: IntArray
    losses: FloatArray
    diverged_at: IntArray
    cosine: FloatArray
    displacement: FloatArray
    tail_weights: FloatArray
    preconditioner: FloatArray | None
    batch_size: int | None
    path: FloatArray | None = None
    sharpness_steps: IntArray | None = None
    sharpness: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def diverged(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return self.diverged_at >= 0

    @property
    def final_losses(self) -> FloatArray:
        """(R,): the loss at `weights`; of a restart that diverged, the last one recorded."""
        last = np.where(np.isnan(self.losses), -1, np.arange(len(self.losses))[:, None]).max(axis=0)
        return np.asarray(self.losses[np.maximum(last, 0), np.arange(len(self))])
