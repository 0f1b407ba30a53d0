"""Which examples each step sees, and what else is drawn for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.problem import IntArray, RealArray
from trainers.randomness import batches
from trainers.torch.examples import Examples
from trainers.torch.randomness import step_seed
from trainers.training.trainer import TrainingPlan

__all__ = ["Order"]


class Order:
    """Batch after batch, by (seed, step): one order for all restarts, or each its own.

    Args:
        measure: the loss (r,) on all examples, without what is random, at w (r, P).
        draws: whether the module draws random numbers.

    Attributes:
        own: whether each restart has an order of its own: then a batch has a row for each.
        rows: how many rows that has: at least two, see `Stacked`.
        loss_is_on_all: as in `Stepper`.
        step_seed: for what is drawn at the step whose batch was given last.
    """

    def __init__(
        self,
        examples: Examples,
        plan: TrainingPlan,
        measure: Callable[[torch.Tensor], RealArray],
        *,
        draws: bool,
    ) -> None:
        self._examples, self.measure = examples, measure
        self._seed, self._step, self._size = plan.seed, -1, plan.batch_size
        self.own = plan.batch_size is not None and plan.orders is not None
        self.loss_is_on_all = plan.batch_size is None and not draws
        self._orders: list[Iterator[IntArray]] = []
        if plan.batch_size is not None:
            of = [()] if plan.orders is None else [(int(i),) for i in plan.orders]
            self._orders = [
                batches(examples.count, plan.batch_size, plan.seed, *index) for index in of
            ]

    @property
    def step_seed(self) -> int:
        return step_seed(self._seed, self._step)

    def next(self) -> Any:
        """The batch of the next step."""
        self._step += 1
        if not self._orders:
            return self._examples.tensors
        numbers = [next(order) for order in self._orders]
        if self.own and len(numbers) == 1:
            numbers *= 2
        return self._examples.batch(torch.as_tensor(np.stack(numbers) if self.own else numbers[0]))

    def let_go(self, keep: NDArray[np.bool_]) -> None:
        """Restarts that are no more need no more batches."""
        if self.own:
            self._orders = [order for order, stays in zip(self._orders, keep, strict=True) if stays]
