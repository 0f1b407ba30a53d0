"""How much memory a restart takes, told before it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainers.optimizers.base import UpdateRule
from trainers.torch.deciding import attempted
from trainers.torch.one_by_one import OneByOne
from trainers.torch.order import Order
from trainers.torch.trials import quietly
from trainers.training.trainer import TrainingPlan

if TYPE_CHECKING:
    from trainers.torch.problem import TorchProblem

__all__ = ["judging_bytes", "state_bytes", "training_bytes"]

_DOUBLE = 8
# Numbers for each parameter when most are held, which is at the end. In the precision trained in:
# where it is, its gradient; of the tail, where that began, the sum of its places, its last step.
_TRAINED = 5
# In double, for the judging: where it began, where it ended, the mean place of the tail.
_KEPT = 3
# What judging holds, in double, L-BFGS and its pairs of steps above all: measured on a million
# parameters. Of fewer more steps are remembered, up to 256 MB for all restarts.
_JUDGED = 46
_FEW = 32
_RATE = 1e-3


def training_bytes(problem: TorchProblem, rule: UpdateRule, batch_size: int | None) -> float:
    """Of one restart: its places, what the optimizer remembers, and what the way back keeps of a
    batch."""
    numbers = problem.parameters * (_TRAINED * problem.dtype.itemsize + _KEPT * _DOUBLE)
    kept = problem.trials.kept_bytes * (batch_size or problem.data.count)
    return numbers + state_bytes(problem, rule) + kept


def judging_bytes(problem: TorchProblem) -> float:
    """Of one restart; nothing where it cannot be judged."""
    return 0.0 if problem.double is None else float(problem.parameters * _JUDGED * _DOUBLE)


def state_bytes(problem: TorchProblem, rule: UpdateRule) -> float:
    """What the optimizer remembers of one restart: it is made, and takes a step. 0 where it fails,
    which training will tell of."""
    start = problem.trials.two_starts()[:1]
    plan = TrainingPlan(start.double().numpy(force=True), np.full(1, _RATE), 1)
    recipe = problem.recipe(rule, _RATE)
    order = Order(problem.data.first(_FEW), plan, lambda w: w.numpy(force=True), draws=recipe.draws)

    def remembered() -> float:
        stepper = OneByOne(recipe, start, order)
        stepper.look()
        stepper.step()
        return stepper.state_bytes

    with quietly():
        found = attempted(remembered)
    return 0.0 if isinstance(found, Exception) else found
