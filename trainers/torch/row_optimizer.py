"""PyTorch's own optimizer on tensors with a row for each restart, of which some rows go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from trainers.torch.optimizers import divisor
from trainers.torch.recipe import advance

__all__ = ["RowOptimizer"]

# Numbers that an optimizer handles at a time: its passes over them stay in the cache. On a million
# numbers Adam takes a third of the time so, and the bits are the same.
_BLOCK = 1 << 16


class RowOptimizer:
    """An optimizer that goes number by number, so that it cannot tell r modules of many tensors
    from one tensor of r rows.

    Args:
        tensors: (r, n) each, a group of parameters each, changed in place.
        options: of each group, beside its parameters.
        factory: makes it from groups and lr. schedule: of the optimizer, or None.

    Attributes:
        scheduled_rate: that of the last step; None without a schedule.
    """

    def __init__(
        self,
        tensors: Sequence[torch.Tensor],
        options: Sequence[dict[str, Any]],
        factory: Callable[..., torch.optim.Optimizer],
        rate: float,
        scheduler: Callable[[torch.optim.Optimizer], Any] | None,
    ) -> None:
        self._factory, self._rate = factory, rate
        groups = [
            {"params": _blocks(tensor), **more}
            for tensor, more in zip(tensors, options, strict=True)
        ]
        self._optimizer = factory(groups, lr=rate)
        self._schedule = None if scheduler is None else scheduler(self._optimizer)
        self.scheduled_rate: float | None = None

    def step(self, gradients: Sequence[torch.Tensor]) -> None:
        """By the gradients of each group, (r, n)."""
        self._give(self._optimizer, gradients)
        self._optimizer.step()
        for group in self._optimizer.param_groups:
            for p in group["params"]:
                p.grad = None  # or its memory would be held
        if self._schedule is not None:
            self.scheduled_rate = float(self._optimizer.param_groups[0]["lr"])
            advance(self._schedule)

    @staticmethod
    def _give(optimizer: torch.optim.Optimizer, gradients: Sequence[torch.Tensor]) -> None:
        # Fused optimizers on the CPU go by the parameter's strides, which vmap's may not have.
        for group, gradient in zip(optimizer.param_groups, gradients, strict=True):
            pieces = gradient.contiguous().split([len(p) for p in group["params"]])
            for p, piece in zip(group["params"], pieces, strict=True):
                p.grad = piece

    def let_go(self, tensors: Sequence[torch.Tensor], rows: torch.Tensor) -> None:
        """Go on with `tensors`, which are the `rows` of those before."""
        state = self._optimizer.state
        for group, tensor in zip(self._optimizer.param_groups, tensors, strict=True):
            before, blocks = group["params"], _blocks(tensor)
            told = [state.pop(p, {}) for p in before]
            group["params"] = blocks
            for key, value in told[0].items():
                if isinstance(value, torch.Tensor) and value.shape == before[0].shape:
                    pieces = torch.cat([t[key] for t in told])[rows].split([len(b) for b in blocks])
                    for block, piece in zip(blocks, pieces, strict=True):
                        state[block][key] = piece.clone()
                else:
                    for block in blocks:
                        clone = isinstance(value, torch.Tensor)
                        state[block][key] = value.clone() if clone else value

    def divisors(self) -> list[torch.Tensor] | None:
        """What the last step divided each group's gradient by, (r, n); None for the identity."""
        return _divisors(self._optimizer)

    def divisors_ahead(self, gradients: Sequence[torch.Tensor]) -> list[torch.Tensor] | None:
        """What a step by these gradients would."""
        groups = [
            {"params": [nn.Parameter(p.detach().clone()) for p in group["params"]]}
            for group in self._optimizer.param_groups
        ]
        other, state = self._factory(groups, lr=self._rate), self._optimizer.state_dict()
        copies = {
            i: {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in told.items()}
            for i, told in state["state"].items()
        }
        other.load_state_dict({**state, "state": copies})
        self._give(other, gradients)
        other.step()
        return _divisors(other)


def _blocks(tensor: torch.Tensor) -> list[nn.Parameter]:
    """Rows of `tensor` as parameters, which share its memory."""
    rows = max(1, _BLOCK // max(1, tensor.shape[1]))
    return [nn.Parameter(piece) for piece in tensor.split(rows)]


def _divisors(optimizer: torch.optim.Optimizer) -> list[torch.Tensor] | None:
    found = []
    for group in optimizer.param_groups:
        pieces = [divisor(optimizer, group, p) for p in group["params"]]
        if any(piece is None for piece in pieces):
            return None
        found.append(torch.cat([piece for piece in pieces if piece is not None]))
    return found
