"""Restarts one after another, each an ordinary module with its ordinary optimizer."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.problem import FloatArray, RealArray
from trainers.torch.objective import Objective, as_array
from trainers.torch.optimizers import divisor
from trainers.torch.order import Order
from trainers.torch.randomness import seeded
from trainers.torch.recipe import Recipe, advance

__all__ = ["OneByOne"]


class OneByOne:
    """A `Stepper`: what `Stacked` does, by a loop.

    The parameters of every module are views of one tensor (R, P), and their gradients of another,
    so that nothing is copied to look at them.
    """

    def __init__(self, recipe: Recipe, starts: torch.Tensor, order: Order) -> None:
        self._recipe, self._order = recipe, order
        self.loss_is_on_all = order.loss_is_on_all
        self._flat, self._slopes = starts.clone(), torch.zeros_like(starts)
        self._models = [_Model(recipe) for _ in starts]
        self._point()

    def _point(self) -> None:
        for model, row, slope in zip(self._models, self._flat, self._slopes, strict=True):
            model.point_to(row, slope)

    @property
    def w(self) -> RealArray:
        return as_array(self._flat)

    @property
    def gradient(self) -> RealArray:
        return as_array(self._slopes)

    @property
    def buffers(self) -> dict[str, torch.Tensor]:
        """Of all models, (r, ...) each."""
        each = [dict(model.objective.named_buffers()) for model in self._models]
        return {name: torch.stack([b[name] for b in each]) for name in each[0]}

    @property
    def state_bytes(self) -> float:
        """What the optimizers of all models remember."""
        return float(sum(model.state_bytes for model in self._models))

    def look(self) -> RealArray:
        batch, seed = self._order.next(), self._order.step_seed
        self._slopes.zero_()
        own = self._order.own
        loss = [m.look(_row(batch, i) if own else batch, seed) for i, m in enumerate(self._models)]
        return as_array(torch.stack(loss))

    def loss_on_all(self) -> RealArray:
        return self._order.measure(self._flat)

    def step(self) -> None:
        for model in self._models:
            model.step()

    def let_go(self, keep: NDArray[np.bool_]) -> None:
        self._order.let_go(keep)
        self._models = [m for m, stays in zip(self._models, keep, strict=True) if stays]
        rows = torch.as_tensor(keep, device=self._flat.device)
        self._flat, self._slopes = self._flat[rows], self._slopes[rows]
        self._point()

    def own_gradient(self) -> None:
        return

    def preconditioner(self, *, ahead: bool) -> FloatArray | None:
        rows = [model.divisor(ahead=ahead) for model in self._models]
        if any(row is None for row in rows):
            return None
        return as_array(torch.stack([row for row in rows if row is not None])).astype(np.float64)

    def last_rate(self) -> FloatArray | None:
        rates = [rate for model in self._models if (rate := model.last_rate) is not None]
        return np.array(rates) if rates else None


def _row(batch: Any, i: int) -> Any:
    if isinstance(batch, dict):
        return {key: _row(value, i) for key, value in batch.items()}
    return tuple(_row(v, i) for v in batch) if isinstance(batch, tuple) else batch[i]


class _Model:
    """One restart."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.objective: Objective = copy.deepcopy(recipe.objective)
        here = dict(self.objective.named_parameters())
        self._parameters = {name: here[name] for name in recipe.layout.names}
        self._optimizer, self._schedule = self._made(self._parameters)
        self._places: dict[str, torch.Tensor] = {}
        self._batch: Any = None
        self._seed = 0
        self._loss = torch.zeros(())
        # Those that look several times in a step have no other way to ask.
        asks = inspect.signature(self._optimizer.step).parameters.get("closure")
        self._asks = asks is not None and (
            asks.default is asks.empty or isinstance(self._optimizer, torch.optim.LBFGS)
        )
        self.last_rate: float | None = None  # see `Stepper`

    def _made(self, parameters: dict[str, Any]) -> tuple[torch.optim.Optimizer, Any]:
        groups = [
            {"params": [parameters[name] for name in g.names], **g.options}
            for g in self._recipe.groups(self.objective)
        ]
        optimizer = self._recipe.factory(groups, lr=self._recipe.rate)
        return optimizer, self._recipe.scheduled(optimizer)

    def point_to(self, row: torch.Tensor, slope: torch.Tensor) -> None:
        """Have the parameters, and their gradients, there."""
        self._places = self._recipe.layout.split(row)
        self._slopes = self._recipe.layout.split(slope)
        for name, p in self._parameters.items():
            p.grad = None
            p.data = self._places[name]
            p.grad = self._slopes[name]

    def look(self, batch: Any, seed: int) -> torch.Tensor:
        """The loss, with the gradients in their place."""
        self._batch, self._seed = batch, seed
        self._loss = self._gradient()
        return self._loss

    def _gradient(self) -> torch.Tensor:
        if self._recipe.draws:
            with seeded(self._seed):
                loss = self.objective(self._batch)
        else:
            loss = self.objective(self._batch)
        loss.backward()
        if self._recipe.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(self._parameters.values()), self._recipe.clip_norm)
        return loss.detach()

    def step(self) -> None:
        """As in a script of one's own."""
        if self._asks:
            self._optimizer.step(self._again)
        else:
            self._optimizer.step()
        for name, p in self._parameters.items():
            if p.data_ptr() != self._places[name].data_ptr():  # put elsewhere: p.data = ...
                self._places[name].copy_(p.data)
                p.data = self._places[name]
            p.grad = self._slopes[name]  # an optimizer may put another in its place
        if self._schedule is not None:
            self.last_rate = float(self._optimizer.param_groups[0]["lr"])
            plateau = isinstance(self._schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)
            advance(self._schedule, *([float(self._loss)] if plateau else []))

    def _again(self) -> torch.Tensor:
        """The closure of optimizers that look several times in a step."""
        with torch.enable_grad():
            for p in self._parameters.values():
                assert p.grad is not None  # a view, see `point_to`
                p.grad.zero_()
            return self._gradient()

    def divisor(self, *, ahead: bool) -> torch.Tensor | None:
        """See `Stepper.preconditioner`, (P,)."""
        optimizer, parameters = self._optimizer, self._parameters
        if ahead:
            parameters = {n: torch.nn.Parameter(p.detach().clone()) for n, p in parameters.items()}
            for name, p in parameters.items():
                p.grad = self._parameters[name].grad
            state = copy.deepcopy(optimizer.state_dict())
            optimizer, _ = self._made(parameters)
            optimizer.load_state_dict(state)
            optimizer.step()
        of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        found = [
            divisor(optimizer, of[id(p)], p) if id(p) in of else torch.ones_like(p)
            for p in parameters.values()
        ]
        if any(d is None for d in found):
            return None
        return torch.cat([d.reshape(-1) for d in found if d is not None])

    @property
    def state_bytes(self) -> int:
        """What the optimizer remembers."""
        told = [value for state in self._optimizer.state.values() for value in state.values()]
        each = [one for value in told for one in (value if isinstance(value, list) else [value])]
        return sum(t.numel() * t.element_size() for t in each if isinstance(t, torch.Tensor))
