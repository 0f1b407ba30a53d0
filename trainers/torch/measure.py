"""The loss on given examples as a function of w alone, with its derivatives, for many w at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad, grad_and_value, vjp, vmap

from trainers.problem import RealArray
from trainers.torch.objective import Layout, Objective, as_array, measuring_copy
from trainers.torch.randomness import seeded

__all__ = ["Measure"]

# Kept for the backward pass of as many rows as go together: what is much larger than the cache
# takes half as long again.
_MOST_BYTES = 1.6e7

Buffers = dict[str, torch.Tensor]


class Measure:
    """What J is: the module's loss without what is random, see `measuring_copy`.

    Args:
        together: whether rows go through vmap; else one by one.
        draws: whether random numbers are drawn even so: then they are the same at every w.
        remembers: whether the module changes what is neither parameter nor buffer when it is
            called: then a fresh copy is called each time.

    Attributes:
        together: as given.
        row_bytes: what the evaluation of one row keeps for the way back: as many rows at a time as
            stay near the cache.
    """

    def __init__(
        self,
        objective: Objective,
        layout: Layout,
        *,
        together: bool,
        row_bytes: float,
        draws: bool = False,
        remembers: bool = False,
    ) -> None:
        self._objective, self._layout = measuring_copy(objective), layout
        self.together, self._draws, self._remembers = together, draws, remembers
        self._rows = max(2, int(_MOST_BYTES / max(row_bytes, 1.0)))
        self._buffers = {name: b.detach().clone() for name, b in self._objective.named_buffers()}

    def losses(self, w: torch.Tensor, batch: Any) -> RealArray:
        """(r,) at w (r, P)."""
        found = self._mapped(self._value, self._value_alone, batch, w)
        return as_array(torch.cat(found))

    def losses_and_gradients(self, w: torch.Tensor, batch: Any) -> tuple[RealArray, RealArray]:
        """(r,) and (r, P)."""
        found = self._mapped(grad_and_value(self._loss), self._slope_alone, batch, w)
        return as_array(torch.cat([f[1] for f in found])), as_array(
            torch.cat([f[0] for f in found])
        )

    def products(self, w: torch.Tensor, v: torch.Tensor, batch: Any) -> RealArray:
        """H v (r, P)."""
        return as_array(torch.cat(self._mapped(self._product, self._product_alone, batch, w, v)))

    def _loss(self, w: torch.Tensor, buffers: Buffers, batch: Any) -> torch.Tensor:
        objective = copy.deepcopy(self._objective) if self._remembers else self._objective
        with self._drawing():
            return functional_call(objective, {**buffers, **self._layout.split(w)}, (batch,))

    def _drawing(self) -> AbstractContextManager[None]:
        return seeded(0) if self._draws else nullcontext()

    def _value(self, w: torch.Tensor, buffers: Buffers, batch: Any) -> torch.Tensor:
        # As if to be differentiated: recurrent layers have no other way through vmap.
        value: torch.Tensor = vjp(lambda w: self._loss(w, _clones(buffers), batch), w)[0]
        return value

    def _set(self, w: torch.Tensor) -> tuple[Objective, list[nn.Parameter]]:
        """The module itself, with w (P,) for parameters; and these. `functional_call` would take
        them away before the way back, on which some work their activations out again."""
        objective = copy.deepcopy(self._objective) if self._remembers else self._objective
        here = dict(objective.named_parameters())
        for name, values in self._layout.split(w.detach()).items():
            here[name].data = values
            here[name].requires_grad_()
        for name, b in objective.named_buffers():
            b.detach().copy_(self._buffers[name])
        return objective, [here[name] for name in self._layout.names]

    def _value_alone(self, w: torch.Tensor, batch: Any) -> torch.Tensor:
        objective, parameters = self._set(w)
        for p in parameters:
            p.requires_grad_(False)  # in place of no_grad, which would be for the inputs too
        with self._drawing():
            return objective(batch).detach()

    def _slope_alone(self, w: torch.Tensor, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        objective, parameters = self._set(w)
        with self._drawing():
            loss = objective(batch)
            found = torch.autograd.grad(loss, parameters, materialize_grads=True)
        return _flat(found), loss.detach()

    def _product_alone(self, w: torch.Tensor, v: torch.Tensor, batch: Any) -> torch.Tensor:
        objective, parameters = self._set(w)
        with self._drawing():
            loss = objective(batch)
            slope = _flat(
                torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
            )
            if not slope.requires_grad:  # a linear loss
                return torch.zeros_like(v)
            return _flat(torch.autograd.grad(slope @ v, parameters, materialize_grads=True))

    def _product(
        self, w: torch.Tensor, v: torch.Tensor, buffers: Buffers, batch: Any
    ) -> torch.Tensor:
        def slope(w: torch.Tensor) -> torch.Tensor:
            return grad(self._loss)(w, _clones(buffers), batch) @ v

        return grad(slope)(w)

    def _mapped(
        self,
        function: Callable[..., Any],
        alone: Callable[..., Any],
        batch: Any,
        *rows: torch.Tensor,
    ) -> list[Any]:
        """`function` of pieces of the rows by vmap, or `alone` of each; always with buffers of its
        own, which it may change."""
        if not self.together:
            return [_with_rows(alone(*one, batch)) for one in zip(*rows, strict=True)]
        found = []
        for pieces in zip(*(r.split(self._rows) for r in rows), strict=True):
            count = len(pieces[0])
            buffers = {k: b.expand(count, *b.shape).clone() for k, b in self._buffers.items()}
            dims = (*(0 for _ in pieces), 0, None)
            program = vmap(function, in_dims=dims, randomness="same" if self._draws else "error")
            found.append(program(*pieces, buffers, batch))
        return found


def _clones(buffers: Buffers) -> Buffers:
    return {name: b.clone() for name, b in buffers.items()}


def _flat(pieces: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.cat([piece.reshape(-1) for piece in pieces])


def _with_rows(found: Any) -> Any:
    return tuple(f[None] for f in found) if isinstance(found, tuple) else found[None]
