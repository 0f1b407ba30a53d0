"""What is found out about a module by trying it on a few examples, before it is trained."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.func import functional_call, vmap
from torch.utils.flop_counter import FlopCounterMode

from trainers.errors import InvalidInput
from trainers.optimizers.base import UpdateRule
from trainers.randomness import Purpose, generator
from trainers.torch.complaints import checked_loss, complaint
from trainers.torch.deciding import (
    Seen,
    attempted,
    first_difference,
    last_layer,
    same,
    two_steps,
    why_refused,
)
from trainers.torch.device import random_states
from trainers.torch.examples import leaves, mapped
from trainers.torch.measure import Measure
from trainers.torch.objective import as_array, plain_kernels
from trainers.torch.one_by_one import OneByOne
from trainers.torch.optimizers import COUPLED
from trainers.torch.order import Order
from trainers.torch.randomness import drawn_seed, seeded
from trainers.torch.recipe import Recipe
from trainers.torch.soundness import check_soundness
from trainers.torch.stacked import Stacked
from trainers.training.trainer import TrainingPlan

if TYPE_CHECKING:
    from trainers.torch.problem import TorchProblem

__all__ = ["Trials"]

_FEW = 32
_RATE = 1e-2
_SYMMETRIC = 1e-4  # what single precision keeps is 1e-6


class Trials:
    """Of one problem in one precision.

    Attributes:
        draws: whether the module draws random numbers in training. judged_draws, remembers: see
            `check_soundness`.
        flops: floating-point operations of loss and gradient, an example.
        kept_bytes: what the backward pass has kept for it, an example.

    Raises:
        InvalidInput: it cannot even be tried, in one line.
    """

    def __init__(self, problem: TorchProblem) -> None:
        self._problem = problem
        self._reasons: dict[tuple[str, int | None], str | None] = {}
        self._products: dict[bool, bool] = {}
        few = problem.data.first(_FEW)
        batch, objective = mapped(torch.clone, few.tensors), copy.deepcopy(problem.objective)
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with warnings.catch_warnings(record=True) as said, seeded(0):
            warnings.simplefilter("always")
            before = random_states(problem.device)
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
                failed = attempted(lambda: checked_loss(problem.name, objective(batch)).backward())
            self.draws = not all(map(torch.equal, before, random_states(problem.device)))
        if isinstance(failed, Exception):
            raise complaint(problem.name, failed, few.tensors) from failed
        for warning in said:
            if "target size" in str(warning.message):
                raise InvalidInput(
                    f"{problem.name}: the loss {' '.join(str(warning.message).split())}"
                )
        problem.objective.changes_input = not all(
            torch.equal(a, b) and not a.requires_grad
            for a, b in zip(leaves(batch), leaves(few.tensors), strict=True)
        )
        self.judged_draws, self.remembers = check_soundness(problem, few.tensors)
        self.flops = _flops(problem, few.tensors) / few.count
        parameters = {p.untyped_storage().data_ptr() for p in objective.parameters()}
        self.kept_bytes = sum(n for at, n in kept.items() if at not in parameters) / few.count

    @cached_property
    def can_be_measured_together(self) -> bool:
        """Whether vmap evaluates it as one by one does."""
        w, batch = self.two_starts(), self._problem.data.first(_FEW).tensors
        ways = [self._measure(together=together) for together in (True, False)]
        with quietly():
            found = attempted(lambda: [way.losses_and_gradients(w, batch) for way in ways])
        return not isinstance(found, Exception) and all(
            same(a, b) for a, b in zip(*found, strict=True)
        )

    def has_products(self, *, together: bool) -> bool:
        """Whether its gradient can be differentiated: not every operation's can, and of those some
        are silently left out. Then the Hessian is not symmetric: u . H v is not v . H u."""
        if together not in self._products:
            batch, w = self._problem.data.first(_FEW).tensors, self.two_starts()[:1].repeat(2, 1)
            draws = torch.Generator().manual_seed(0)
            v = torch.randn(w.shape, generator=draws, dtype=torch.float64).to(w)
            with quietly():
                found = attempted(lambda: self._measure(together=together).products(w, v, batch))
            sound = False
            if not isinstance(found, Exception):
                u = as_array(v)
                size = float(np.linalg.norm(u[0]) * np.linalg.norm(found[1]))
                sound = bool(abs(u[0] @ found[1] - u[1] @ found[0]) <= _SYMMETRIC * size)
            self._products[together] = sound
        return self._products[together]

    def _measure(self, *, together: bool) -> Measure:
        return Measure(
            self._problem.objective,
            self._problem.layout,
            together=together,
            row_bytes=0.0,
            draws=self.judged_draws,
            remembers=self.remembers is not None,
        )

    @cached_property
    def backward_inside(self) -> bool:
        """Whether vmap cannot go forward alone: so it is with recurrent layers."""
        problem = self._problem
        objective = copy.deepcopy(problem.objective)
        batch, rows = problem.data.first(_FEW).tensors, problem.layout.rows(self.two_starts())

        def loss(named: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]) -> torch.Tensor:
            return functional_call(objective, named | buffers, (batch,))

        buffers = {n: torch.stack([b, b]) for n, b in objective.named_buffers()}
        for values in rows.values():
            values.requires_grad_()
        with quietly(), seeded(0):
            found = attempted(lambda: vmap(loss, randomness="same")(rows, buffers).sum().backward())
        return isinstance(found, Exception)

    def why_one_by_one(self, rule: UpdateRule, batch_size: int | None) -> str | None:
        """Why restarts cannot be trained at once by `rule`, in words; None if they can.

        Raises:
            InvalidInput: they cannot be trained one by one either.
        """
        key = str(rule), batch_size
        if key not in self._reasons:
            problem = self._problem.double or self._problem
            self._reasons[key] = _reason(problem, rule, batch_size)
        return self._reasons[key]

    def two_starts(self) -> torch.Tensor:
        """(2, P)."""
        problem = self._problem
        rows = [problem.start(drawn_seed(generator(0, Purpose.START, i))) for i in range(2)]
        return torch.as_tensor(np.stack(rows), dtype=problem.dtype, device=problem.device)


def _flops(problem: TorchProblem, batch: Any) -> float:
    """Of loss and gradient; where they cannot be counted, as dense layers': 6 P an example."""
    counter, objective = FlopCounterMode(display=False), copy.deepcopy(problem.objective)
    with quietly(), seeded(0), counter:
        failed = attempted(lambda: objective(batch).backward())
    if isinstance(failed, Exception):
        return 6.0 * problem.parameters * len(leaves(batch)[0])
    return float(counter.get_total_flops())


def _reason(problem: TorchProblem, rule: UpdateRule, batch_size: int | None) -> str | None:
    recipe, starts = problem.recipe(rule, _RATE), problem.trials.two_starts()
    few = problem.data.first(2 * _FEW)
    size = None if batch_size is None else min(batch_size, _FEW, few.count)
    plan = TrainingPlan(starts.double().numpy(force=True), np.full(2, _RATE), 2, size)

    def tried(kind: type[Stacked | OneByOne]) -> list[Seen]:
        order = Order(few, plan, lambda w: w.numpy(force=True), draws=recipe.draws)
        return two_steps(kind(recipe, starts, order))

    layers = [""]
    with quietly():
        alone = attempted(lambda: tried(OneByOne))
        if isinstance(alone, Exception):
            batch = few.batch(torch.arange(size)) if size else few.tensors
            raise complaint(f"{problem.name} by {rule}", alone, batch) from alone
        known = _known_reason(recipe, rule, problem.trials.remembers)
        if known is not None:
            return known
        with last_layer(layers.append):
            together = attempted(lambda: tried(Stacked))
    if isinstance(together, Exception):
        return why_refused(together, layers[-1])
    return first_difference(together, alone)


def _known_reason(recipe: Recipe, rule: UpdateRule, remembers: str | None) -> str | None:
    """What need not be tried."""
    groups: Any = [torch.nn.Parameter(torch.zeros(2, 2))]
    optimizer = recipe.factory(groups, lr=_RATE)
    if isinstance(optimizer, COUPLED):
        return f"{rule.name} moves each parameter by what it knows of others"
    if isinstance(recipe.scheduled(optimizer), torch.optim.lr_scheduler.ReduceLROnPlateau):
        return "ReduceLROnPlateau gives each restart a rate of its own"
    if recipe.objective.changes_input:
        return "its forward changes its input in place: write x = x + 1 in place of x += 1"
    if remembers is not None:
        return f"its forward changes its attribute {remembers}: make it a buffer, changed in place"
    return None


@contextmanager
def quietly() -> Iterator[None]:
    """Without warnings, of which training itself gives those that matter."""
    with plain_kernels(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
