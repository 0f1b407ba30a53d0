"""The `Trainer` of PyTorch modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from trainers.errors import InvalidInput
from trainers.optimizers.base import UpdateRule
from trainers.problem import Problem, RealArray
from trainers.torch.objective import plain_kernels
from trainers.torch.one_by_one import OneByOne
from trainers.torch.optimizers import Library
from trainers.torch.order import Order
from trainers.torch.stacked import Stacked
from trainers.training.bookkeeping import keep_books
from trainers.training.recorder import Recorder
from trainers.training.stepper import Stepper
from trainers.training.trainer import TrainingPlan
from trainers.training.trajectories import Trajectories

if TYPE_CHECKING:
    from trainers.torch.problem import TorchProblem

__all__ = ["TorchTrainer"]


_ALWAYS = "together = 'always': {} cannot be: {}"


class TorchTrainer:
    """By PyTorch's own optimizers: all restarts of a task at once, or one by one."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def full_name(self, optimizer: str, hyperparameters: Mapping[str, Any]) -> str:
        """See `Trainer`."""
        return self._library.full_name(optimizer, hyperparameters)

    def remarks(
        self, problem: Problem, rules: Sequence[UpdateRule], batch_size: int | None
    ) -> list[str]:
        """See `Trainer`.

        Raises:
            InvalidInput: restarts shall be trained together and cannot; or nothing would differ
                between them.
        """
        problem = cast("TorchProblem", problem)  # whose trainer this is
        name, said = problem.name, []
        reasons = {problem.trials.why_one_by_one(rule, batch_size): None for rule in rules}
        for reason in reasons:
            if reason is None or problem.together == "never":
                continue
            if problem.together == "always":
                raise InvalidInput(_ALWAYS.format(name, reason))
            said.append(
                f"{name} cannot be trained many restarts at a time: {reason}. Restarts are trained "
                "one by one (2 to 20 times slower); together='never' silences this"
            )
        if not problem.starts_differ:
            if batch_size is None:
                raise InvalidInput(
                    f"{name} starts the same every time, and so all restarts would be the same: "
                    "give the class in place of the module, or batch_size: then they differ by the "
                    "order of the data"
                )
            said.append(
                f"{name} starts the same every time: restarts differ by the order of the data "
                "alone, and what is promised is promised over those"
            )
        if problem.double is None:
            said.append(
                f"{name} does not run in double precision: no restart can be told to be in a local "
                "or the global minimum"
            )
        if problem.trials.draws:
            said.append(
                f"{name} draws random numbers while it is trained (dropout): all restarts draw the "
                "same at a step, by torch.manual_seed(trainers.torch.step_seed(seed, step))"
            )
        return said

    def train(
        self,
        problem: Problem,
        optimizer: UpdateRule,
        plan: TrainingPlan,
        recorders: Sequence[Recorder] = (),
    ) -> Trajectories:
        """See `Trainer`.

        Raises:
            InvalidInput: the restarts have different rates, and PyTorch's optimizers have one; a
                GPU was asked for that is not here; or what `remarks` refuses.
            MemoryError: the GPU has no room for so many.
        """
        problem = cast("TorchProblem", problem)  # whose trainer this is
        problem.check_here()
        rate = float(plan.learning_rate[0])
        if (plan.learning_rate != rate).any():
            raise InvalidInput("learning_rate: PyTorch's optimizers have one rate; give a number")
        if not problem.starts_differ and plan.orders is None:
            raise InvalidInput(f"{problem.name} starts the same every time: orders is missing")
        data = problem.data.tensors

        def measure(w: torch.Tensor) -> RealArray:
            return problem.measure.losses(w, data)

        with plain_kernels(), np.errstate(all="ignore"):
            recipe = problem.recipe(optimizer, rate)
            order = Order(problem.data, plan, measure, draws=recipe.draws)
            why = problem.trials.why_one_by_one(optimizer, plan.batch_size)
            if why is not None and problem.together == "always":
                raise InvalidInput(_ALWAYS.format(problem.name, why))
            alone = problem.together == "never" or why is not None
            try:
                stepper: Stepper = (OneByOne if alone else Stacked)(
                    recipe,
                    torch.as_tensor(plan.starts, dtype=problem.dtype, device=problem.device),
                    order,
                )
                return keep_books(stepper, optimizer, plan, recorders)
            except torch.OutOfMemoryError as error:  # another time others may hold less of the GPU
                raise MemoryError(
                    f"the GPU has no room for {len(plan.starts)} restarts of {problem.name}: give "
                    "fewer to a task by training.memory_per_task, or more of a GPU by "
                    "cluster.gpus_per_task"
                ) from error
