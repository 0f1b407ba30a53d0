"""How the modules of a problem are trained, whichever way they are stepped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trainers.errors import InvalidInput
from trainers.torch.objective import Layout, Objective

__all__ = ["Group", "Recipe", "advance"]


@dataclass(frozen=True)
class Group:
    """Parameters with options of their own.

    Attributes:
        names: of the parameters. options: beside those, as PyTorch's optimizers take them.
    """

    names: list[str]
    options: dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """All but the starts.

    Attributes:
        objective: in training mode, on its device, with the buffers of a start.
        layout: of its parameters.
        factory: makes the optimizer from parameters, or groups of them, and lr.
        rate: the learning rate before any schedule.
        parameter_groups: of (module, lr), as PyTorch's optimizers take them; None for one group.
        scheduler: of the optimizer; None for a constant rate.
        clip_norm: the longest gradient of a restart, by its norm; None for any.
        draws: whether the module draws random numbers in training.
        backward_inside: whether vmap must have the way back too; see `stacked`.
        compile: whether the stacked step is compiled.
    """

    objective: Objective
    layout: Layout
    factory: Callable[..., torch.optim.Optimizer]
    rate: float
    parameter_groups: Callable[[nn.Module, float], list[dict[str, Any]]] | None
    scheduler: Callable[[torch.optim.Optimizer], Any] | None
    clip_norm: float | None
    draws: bool
    backward_inside: bool
    compile: bool

    def groups(self, objective: Objective) -> list[Group]:
        """The groups of its parameters, by name; what is in none stands still."""
        if self.parameter_groups is None:
            return [Group(list(self.layout.names), {})]
        names = {id(p): name for name, p in objective.named_parameters() if p.requires_grad}
        found = []
        for group in self.parameter_groups(objective.module, self.rate):
            options = dict(group)
            given = options.pop("params")
            parameters = [given] if isinstance(given, torch.Tensor) else list(given)
            parameters = [p[1] if isinstance(p, tuple) else p for p in parameters]  # (name, p)
            here = [names[id(p)] for p in parameters if id(p) in names]
            if here:
                found.append(Group(here, options))
        return found

    def scheduled(self, optimizer: torch.optim.Optimizer) -> Any:
        """Its schedule, or None."""
        return None if self.scheduler is None else self.scheduler(optimizer)


def advance(schedule: Any, *measured: float) -> None:
    """Its next step.

    Raises:
        InvalidInput: it has no more.
    """
    try:
        schedule.step(*measured)
    except ValueError as error:
        said = " ".join(str(error).split())
        raise InvalidInput(f"scheduler: {type(schedule).__name__}: {said}") from error
