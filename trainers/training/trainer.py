"""The seam between those who want something trained and those who can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from trainers.optimizers.base import UpdateRule
from trainers.problem import FloatArray, Problem
from trainers.thresholds import Thresholds
from trainers.training.recorder import Recorder
from trainers.training.trajectories import Trajectories

__all__ = ["Trainer", "TrainingPlan"]

Rule = TypeVar("Rule", bound=UpdateRule, contravariant=True)


@dataclass(frozen=True)
class TrainingPlan:
    """How R restarts are to be trained together.

    Attributes:
        starts (R, P): where they begin.
        learning_rate (R,).
        steps: T.
        batch_size: examples a step, drawn without replacement epoch by epoch, in the same order for
            all restarts; None for full batch.
        seed: seeds the order of the mini-batches, nothing else.
        diverged: see `Thresholds`.
    """

    starts: FloatArray
    learning_rate: FloatArray
    steps: int
    batch_size: int | None = None
    seed: int = 0
    diverged: float = Thresholds.diverged


class Trainer(Protocol[Rule]):
    """Trains restarts by the rules that it knows; `trainers.training.engine` does by NumPy.

    Another one, as with PyTorch's own optimizers, gives the same `Trajectories`: the losses at
    `recorded_steps`, what the tail looked like, and where each restart ended. All that follows, the
    classification and the reports, reads those alone.
    """

    def train(
        self,
        problem: Problem,
        optimizer: Rule,
        plan: TrainingPlan,
        recorders: Sequence[Recorder] = (),
    ) -> Trajectories:
        """Train as `plan` says, which has been checked. A restart that diverges leaves the batch.

        Each recorder sees every step, from 0 to T, that is due to it, and changes nothing.

        Raises:
            Whatever the problem's own code raises.
        """
