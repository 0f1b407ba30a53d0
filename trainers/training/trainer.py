"""The seam between those who want something trained and those who can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trainers.optimizers.base import UpdateRule
from trainers.problem import FloatArray, IntArray, Problem
from trainers.thresholds import Thresholds
from trainers.training.recorder import Recorder
from trainers.training.trajectories import Trajectories

__all__ = ["Trainer", "TrainingPlan"]


@dataclass(frozen=True)
class TrainingPlan:
    """How R restarts are to be trained together.

    Attributes:
        starts (R, P): where they begin.
        learning_rate (R,).
        steps: T.
        batch_size: examples a step, drawn without replacement epoch by epoch, in the same order for
            all restarts; None for full batch.
        seed: seeds the order of the mini-batches, and what else is drawn while training.
        orders (R,): numbers of the orders in which each restart sees the examples, for trainers
            that can give each its own; None for one order for all. NumPy's has one for all.
        diverged: see `Thresholds`.
    """

    starts: FloatArray
    learning_rate: FloatArray
    steps: int
    batch_size: int | None = None
    seed: int = 0
    orders: IntArray | None = None
    diverged: float = Thresholds.diverged


class Trainer(Protocol):
    """Trains restarts by the rules that it knows; `trainers.training.engine` does by NumPy,
    `trainers.torch` by PyTorch's own optimizers.

    What it gives are `Trajectories`: the losses at `recorded_steps`, what the tail looked like, and
    where each restart ended. All that follows, the classification and the reports, reads those
    alone. Who can write a `Stepper` has them from `bookkeeping`.
    """

    def full_name(self, optimizer: str, hyperparameters: Mapping[str, Any]) -> str:
        """The name in a job of the optimizer that people know as `optimizer`.

        Raises:
            InvalidInput: it knows none, or that takes no such hyperparameters.
        """

    def remarks(
        self, problem: Problem, rules: Sequence[UpdateRule], batch_size: int | None
    ) -> list[str]:
        """What people should know before it trains so, a line each."""

    def train(
        self,
        problem: Problem,
        optimizer: UpdateRule,
        plan: TrainingPlan,
        recorders: Sequence[Recorder] = (),
    ) -> Trajectories:
        """Train as `plan` says, which has been checked. A restart that diverges leaves the batch.

        Each recorder sees every step, from 0 to T, that is due to it, and changes nothing.

        Raises:
            Whatever the problem's own code raises.
        """
