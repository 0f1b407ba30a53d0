"""Many restarts at once: one module, as many rows of parameters, PyTorch's own optimizer.

The parameters of a group are one tensor (r, n), a row a restart, and vmap works out all losses
together. The way back goes through them from outside, or, for modules that vmap cannot otherwise
(recurrent layers), inside for each restart.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from trainers.problem import FloatArray, RealArray
from trainers.torch.objective import Layout, Objective, as_array
from trainers.torch.order import Order
from trainers.torch.randomness import seeded
from trainers.torch.recipe import Recipe
from trainers.torch.row_optimizer import RowOptimizer

__all__ = ["Stacked"]

_SMALL = 1e-6  # as torch.nn.utils.clip_grad_norm_ has it


class Stacked:
    """A `Stepper`.

    Never fewer than two rows: a single one is rounded otherwise, so the last restart is trained
    beside a copy of itself.

    Args:
        starts (R, P). order: which examples each step sees.

    Attributes:
        buffers: of all rows, (r, ...) each.
    """

    def __init__(self, recipe: Recipe, starts: torch.Tensor, order: Order) -> None:
        self._recipe, self._order = recipe, order
        self.loss_is_on_all = order.loss_is_on_all
        # A copy: what a module remembers of its calls must not stay, least of all vmap's tensors.
        layout, objective = recipe.layout, copy.deepcopy(recipe.objective)
        for part in objective.modules():
            if isinstance(part, nn.modules.batchnorm._NormBase):
                part.register_forward_pre_hook(_apart)
        groups = recipe.groups(objective)
        still = sorted(set(layout.names) - {name for g in groups for name in g.names})
        self._parts = [layout.part(g.names) for g in groups]
        self._parts += [layout.part(still)] if still else []
        names = [name for part in self._parts for name in part.names]
        self._places = None if tuple(names) == layout.names else _places(layout, names)
        self._count = len(starts)
        rows = starts if self._places is None else starts[:, torch.argsort(self._places)]
        rows = rows.repeat(2, 1) if len(rows) == 1 else rows
        sizes = [sum(part.sizes) for part in self._parts]
        self._flats = [piece.clone() for piece in rows.split(sizes, dim=1)]
        self._moved = len(groups)
        self._optimizer = RowOptimizer(
            self._flats[: self._moved],
            [g.options for g in groups],
            recipe.factory,
            recipe.rate,
            recipe.scheduler,
        )
        self.buffers = {
            name: b.detach().expand(len(rows), *b.shape).clone()
            for name, b in objective.named_buffers()
        }
        self._gradients: list[torch.Tensor] = []
        self._batch: Any = None
        self._program = self._vectorized(objective)

    def _vectorized(self, objective: Objective) -> Any:
        """From the parameters by name, and the buffers and batches that differ by row, to losses,
        or gradients and losses. What all rows share is no argument: vmap handles each at every
        step."""
        own = self._order.own

        def loss(named: dict[str, torch.Tensor], *rest: Any) -> torch.Tensor:
            given = list(rest)
            batch = given.pop() if own else self._batch
            return functional_call(objective, named | given[0] if given else named, (batch,))

        program = vmap(
            grad_and_value(loss) if self._recipe.backward_inside else loss,
            randomness="same" if self._recipe.draws else "error",
        )
        return torch.compile(program) if self._recipe.compile else program

    def _gradients_and_losses(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Of each part, (r, n), and (r,)."""
        rest = ([self.buffers] if self.buffers else []) + ([self._batch] if self._order.own else [])
        named: dict[str, torch.Tensor] = {}
        for part, flat in zip(self._parts, self._flats, strict=True):
            named |= part.rows(flat)  # contiguous, which convolutions like
        if self._recipe.backward_inside:
            slopes, loss = self._program(named, *rest)
        else:
            for values in named.values():
                values.requires_grad_()
            loss = self._program(named, *rest)
            found = torch.autograd.grad(loss.sum(), list(named.values()), materialize_grads=True)
            slopes, loss = dict(zip(named, found, strict=True)), loss.detach()
            del found
        named.clear()  # memory, before more is taken
        return [self._joined(part, slopes, len(loss)) for part in self._parts], loss

    @staticmethod
    def _joined(part: Layout, slopes: dict[str, torch.Tensor], rows: int) -> torch.Tensor:
        """(rows, n): those of the part, each of which is freed when it has its place."""
        first = slopes[part.names[0]]
        joined = first.new_empty(rows, sum(part.sizes))
        del first
        pieces = joined.split(part.sizes, dim=1)
        for name, shape, piece in zip(part.names, part.shapes, pieces, strict=True):
            slope = slopes.pop(name)
            piece.unflatten(1, shape or (1,)).copy_(slope if shape else slope[:, None])
        return joined

    @property
    def w(self) -> RealArray:
        return self._shown(self._flats)

    @property
    def gradient(self) -> RealArray:
        return self._shown(self._gradients)

    def _shown(self, flats: Any) -> RealArray:
        whole = flats[0] if len(flats) == 1 else torch.cat(tuple(flats), dim=1)
        if self._places is not None:
            whole = whole[:, self._places]
        return as_array(whole[: self._count])

    def look(self) -> RealArray:
        self._batch = self._order.next()
        self._gradients = []  # memory, before more is taken
        if self._recipe.draws:
            with seeded(self._order.step_seed):
                gradients, loss = self._gradients_and_losses()
        else:
            gradients, loss = self._gradients_and_losses()
        self._gradients = self._clipped(gradients)
        return as_array(loss[: self._count])

    def _clipped(self, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
        longest = self._recipe.clip_norm
        if longest is None:
            return gradients
        squares = torch.stack([(g * g).sum(dim=1) for g in gradients]).sum(dim=0)
        factor = (longest / (squares.sqrt() + _SMALL)).clamp(max=1.0)
        return [g * factor[:, None] for g in gradients]

    def loss_on_all(self) -> RealArray:
        return self._order.measure(torch.as_tensor(self.w, device=self._flats[0].device))

    def step(self) -> None:
        self._optimizer.step(self._gradients[: self._moved])

    def let_go(self, keep: NDArray[np.bool_]) -> None:
        self._order.let_go(keep)
        rows = np.flatnonzero(keep)
        self._count = len(rows)
        chosen = torch.as_tensor(np.resize(rows, max(2, len(rows))), device=self._flats[0].device)
        self._flats = [flat[chosen] for flat in self._flats]
        self._gradients = [g[chosen] for g in self._gradients]
        self._optimizer.let_go(self._flats[: self._moved], chosen)
        self.buffers = {name: b[chosen] for name, b in self.buffers.items()}

    def own_gradient(self) -> None:
        return

    def preconditioner(self, *, ahead: bool) -> FloatArray | None:
        moved = self._gradients[: self._moved]
        optimizer = self._optimizer
        found = optimizer.divisors_ahead(moved) if ahead else optimizer.divisors()
        if found is None:
            return None
        still = [torch.ones_like(flat) for flat in self._flats[self._moved :]]
        return self._shown([*found, *still]).astype(np.float64)

    def last_rate(self) -> FloatArray | None:
        rate = self._optimizer.scheduled_rate
        return None if rate is None else np.full(self._count, rate)


def _apart(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a layer of batch normalisation is given, so that gradients come back out of it restart
    by restart in memory: else the sums that follow are rounded by how many restarts there are."""
    x, *more = given
    return (x.flatten().view(x.shape) if x.ndim == 2 else x, *more)


def _places(layout: Layout, names: list[str]) -> torch.Tensor:
    """Where each number of the flat vector is when the parameters come in the order of `names`."""
    sizes, at, first = dict(zip(layout.names, layout.sizes, strict=True)), 0, {}
    for name in names:
        first[name] = at
        at += sizes[name]
    return torch.cat([torch.arange(first[n], first[n] + sizes[n]) for n in layout.names])
