"""A fresh module under a seed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trainers.errors import InvalidInput
from trainers.torch.deciding import attempted, users_line
from trainers.torch.objective import Objective
from trainers.torch.randomness import seeded

__all__ = ["Builder"]


def lightning_step(module: Any, batch: Any) -> Any:
    """A LightningModule's own, as its Trainer calls it."""
    return module.training_step(batch, 0)


@dataclass(frozen=True)
class Builder:
    """What makes the modules of a problem.

    Attributes:
        make: a module, by PyTorch's global generator. name: the module's, for people.
        loss, training_step: see `Objective`.
    """

    make: Callable[[], nn.Module]
    name: str
    loss: Callable[..., torch.Tensor] | None
    training_step: Callable[[nn.Module, Any], torch.Tensor] | None

    @classmethod
    def of(
        cls,
        model: object,
        loss: Callable[..., torch.Tensor] | None,
        training_step: Callable[[nn.Module, Any], torch.Tensor] | None,
    ) -> Builder:
        """From what the user gave.

        Raises:
            InvalidInput: it makes no module, or another each time from one seed, or it is not clear
                what its loss is.
        """
        given = isinstance(model, nn.Module)
        if not given and not callable(model):
            raise InvalidInput(
                f"model is a {type(model).__name__}; give a class or function without arguments "
                "that makes a torch.nn.Module"
            )
        make: Any = _Copies(model) if isinstance(model, nn.Module) else model
        name = type(model).__name__ if given else getattr(model, "__name__", type(model).__name__)
        first, again = (_made(make, name, seed=0) for _ in range(2))
        if not given:
            name = type(first).__name__
        if loss is not None and training_step is not None:
            raise InvalidInput("give loss or training_step, not both")
        if loss is None and training_step is None:
            if not callable(getattr(first, "training_step", None)):
                raise InvalidInput(
                    f"loss is missing, and {name} has no training_step; give one, as "
                    "loss=torch.nn.functional.cross_entropy"
                )
            training_step = lightning_step
        for what, function in (("loss", loss), ("training_step", training_step)):
            if function is not None and not callable(function):
                raise InvalidInput(f"{what} is a {type(function).__name__}; give a function")
        if isinstance(loss, type):
            raise InvalidInput(f"loss is the class {loss.__name__}; give {loss.__name__}()")
        if not any(p.requires_grad for p in first.parameters()):
            raise InvalidInput(f"{name} has no parameters to train")
        if not _alike(first, again):
            raise InvalidInput(
                f"{name}: torch.manual_seed(0) gives another module each time: draw its start by "
                "torch's global generator alone"
            )
        random = _random_buffer(first, _made(make, name, seed=1))
        if random is not None:
            raise InvalidInput(
                f"{name}: {random}, which is not trained, starts otherwise under each seed: the "
                "loss would not be one function of what is trained; draw it from a seed of its "
                "own, or train it"
            )
        return cls(make, name, loss, training_step)

    def objective(self, seed: int) -> Objective:
        """A fresh module with its loss."""
        return Objective(_made(self.make, self.name, seed), self.loss, self.training_step)


@dataclass(frozen=True)
class _Copies:
    """Of a module that was given itself."""

    module: nn.Module

    def __call__(self) -> nn.Module:
        return copy.deepcopy(self.module)


def _made(make: Callable[[], Any], name: str, seed: int) -> nn.Module:
    with seeded(seed):
        module = attempted(make)
    if isinstance(module, Exception):
        said, line = " ".join(str(module).split()), users_line(module)
        where = "" if line is None else f" at {line.removesuffix(',')},"
        hint = ""
        if isinstance(module, TypeError) and "argument" in said:
            hint = f"; give a function without arguments, as lambda: {name}(...)"
        raise InvalidInput(
            f"model {name}(){where} raised {type(module).__name__}: {said}{hint}"
        ) from module
    if not isinstance(module, nn.Module):
        raise InvalidInput(f"model {name}() made a {type(module).__name__}, no torch.nn.Module")
    if any(isinstance(p, nn.UninitializedParameter) for p in module.parameters()):
        raise InvalidInput(
            f"{name} has lazy layers, whose shapes are not known before data: give their sizes"
        )
    return module


def _alike(one: nn.Module, other: nn.Module) -> bool:
    """Whether two modules hold the same numbers."""
    here, there = ([*m.parameters(), *m.buffers()] for m in (one, other))
    return len(here) == len(there) and all(map(torch.equal, here, there))


def _random_buffer(one: nn.Module, other: nn.Module) -> str | None:
    """What is not trained and differs, by name."""
    here, there = (
        {n: p for n, p in (*m.named_parameters(), *m.named_buffers()) if not p.requires_grad}
        for m in (one, other)
    )
    names = here.keys() ^ there.keys() or (n for n, p in here.items() if not p.equal(there[n]))
    return next(iter(names), None)
