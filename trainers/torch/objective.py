"""The loss of a module, as a function of all its trained parameters in one flat vector."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainers.errors import InvalidInput
from trainers.problem import RealArray
from trainers.torch.device import repeatable_kernels
from trainers.torch.examples import mapped

__all__ = ["Layout", "Objective", "as_array", "measuring_copy", "plain_kernels"]

Step = Callable[[nn.Module, Any], torch.Tensor]


class Objective(nn.Module):
    """A module with its loss, as a module: from a batch to a number.

    Args:
        loss: of (module(*inputs), target), where a batch is (*inputs, target).
        training_step: of (module, batch), in place of it.

    Attributes:
        changes_input: whether the module changes its batch in place: then it is given a copy, as a
            DataLoader would give it.
    """

    changes_input = False

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[..., torch.Tensor] | None,
        training_step: Step | None,
    ) -> None:
        super().__init__()
        self.module = module
        self.loss = copy.deepcopy(loss) if isinstance(loss, nn.Module) else loss
        self.training_step = training_step

    def forward(self, batch: Any) -> torch.Tensor:
        """The loss on `batch`."""
        if self.changes_input:
            batch = mapped(torch.clone, batch)
        if self.training_step is not None:
            given: Any = self.training_step(self.module, batch)
            return given["loss"] if isinstance(given, Mapping) else given
        assert self.loss is not None  # one of the two is given
        if not isinstance(batch, tuple) or len(batch) < 2:
            raise InvalidInput(
                "data must be (inputs, target), or give training_step=lambda module, batch: ... in "
                f"place of loss: a batch is {'a dict' if isinstance(batch, dict) else 'one tensor'}"
            )
        *inputs, target = batch
        return self.loss(self.module(*inputs), target)


@dataclass(frozen=True)
class Layout:
    """Where each trained parameter is in a flat vector.

    Attributes:
        names, shapes: of the parameters that are trained, as the module names them.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        """Tied parameters are one, under their first name."""
        found = [(name, p.shape) for name, p in module.named_parameters() if p.requires_grad]
        return cls(tuple(n for n, _ in found), tuple(s for _, s in found))

    @property
    def sizes(self) -> list[int]:
        """Numbers in each."""
        return [prod(shape) for shape in self.shapes]

    def part(self, names: list[str]) -> Layout:
        """Of some of them."""
        shapes = dict(zip(self.names, self.shapes, strict=True))
        return Layout(tuple(names), tuple(shapes[name] for name in names))

    def split(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """The parameters in `flat` (P,), as views of it."""
        pieces = flat.split(self.sizes)
        return {
            name: piece.view(shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def rows(self, flats: torch.Tensor) -> dict[str, torch.Tensor]:
        """The parameters in `flats` (r, P), (r, ...) each, contiguous copies."""
        pieces = flats.split(self.sizes, dim=1)
        return {
            name: piece.reshape(-1, *shape).contiguous()
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }

    def flat(self, module: nn.Module) -> torch.Tensor:
        """The parameters of `module`, (P,), a copy."""
        here = dict(module.named_parameters())
        return torch.cat([here[name].detach().reshape(-1) for name in self.names])


def measuring_copy(objective: Objective) -> Objective:
    """One whose loss is a function of the parameters alone: without dropout, and normalising by the
    batch itself, as in training, and not by what was seen before."""
    other = copy.deepcopy(objective).eval()
    for module in other.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.train()
    return other


def as_array(values: torch.Tensor) -> RealArray:
    """As NumPy has it: the same memory where it can."""
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    return values.numpy(force=True)


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Attention by plain operations, which vmap and second derivatives know; one thread, for more
    would change the rounding; on GPUs, see `repeatable_kernels`. What vmap has no rule for it does
    one by one, without a warning."""
    threads, fast = torch.get_num_threads(), torch.backends.mha.get_fastpath_enabled()
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # Not by Python's filters, which are all threads': another may be importing just now.
        torch._C._functorch._set_vmap_fallback_warning_enabled(False)
        with sdpa_kernel(SDPBackend.MATH), repeatable_kernels():
            yield
    finally:
        if fast:  # else inside another such
            torch._C._functorch._set_vmap_fallback_warning_enabled(True)
        torch.set_num_threads(threads)
        torch.backends.mha.set_fastpath_enabled(fast)
