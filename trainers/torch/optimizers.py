"""PyTorch's optimizers: found by name, made, and what their steps divide the gradient by."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from trainers._suggest import nearest
from trainers.errors import InvalidInput
from trainers.optimizers.base import UpdateRule
from trainers.optimizers.torch_rule import TORCH, TorchRule

__all__ = ["COUPLED", "Factory", "Library", "as_entries", "divisor"]

#: From parameters, or groups of them, and lr.
Factory = Callable[..., torch.optim.Optimizer]

#: Whose step of one parameter depends on others: never on many restarts at once.
COUPLED = (torch.optim.Adafactor, torch.optim.LBFGS, torch.optim.Muon, torch.optim.SparseAdam)

_TORCHS: Mapping[str, Factory] = {
    kind.__name__.lower(): kind
    for kind in vars(torch.optim).values()
    if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
    if kind is not torch.optim.Optimizer
}


class Library:
    """PyTorch's optimizers by name, and those that a problem brings along."""

    def __init__(self, own: Mapping[str, Factory]) -> None:
        self.own = dict(own)

    def full_name(self, name: str, hyperparameters: Mapping[str, Any]) -> str:
        """The name in a job.

        Raises:
            InvalidInput: there is none so called, or it refuses the hyperparameters.
        """
        rule = TorchRule.of(name, hyperparameters)
        factory = self.factory(rule)
        keys = _keywords(factory)
        for key in hyperparameters:
            if key == "lr":
                raise InvalidInput(f"{rule.name}: lr is what is searched; drop it")
            if keys is not None and key not in keys:
                raise InvalidInput(
                    f"{rule.name}: unknown hyperparameter {key!r}{nearest(key, keys)}"
                )
        try:
            made = factory([torch.nn.Parameter(torch.zeros(2, 2))], lr=1e-3)
        except (TypeError, ValueError, RuntimeError, LookupError, AssertionError) as error:
            raise InvalidInput(f"{rule}: {str(error).splitlines()[0]}") from error
        if not isinstance(made, torch.optim.Optimizer):
            raise InvalidInput(
                f"optimizer {rule.name} makes a {type(made).__name__}; give a subclass of "
                "torch.optim.Optimizer, or a function of (params, lr) that returns one"
            )
        return TORCH + rule.name

    def factory(self, rule: UpdateRule) -> Factory:
        """What makes it, all but the parameters and the rate given.

        Raises:
            InvalidInput: there is none so called.
        """
        if not isinstance(rule, TorchRule):
            raise InvalidInput(f"optimizer {rule} is not PyTorch's, which trains this problem")
        valid = {**_TORCHS, **self.own}
        if rule.name not in valid:
            hint = _OURS.get(rule.name) or nearest(rule.name, valid)
            raise InvalidInput(f"unknown optimizer {rule.name!r} of PyTorch{hint}")
        return partial(valid[rule.name], **rule.hyperparameters)


def as_entries(
    optimizers: Sequence[object],
) -> tuple[list[dict[str, Any]], dict[str, Factory]]:
    """What a job file would say of optimizers that were given as names, tables, classes or
    partials; and those that are not PyTorch's own, by name.

    Raises:
        InvalidInput: something else was given.
    """
    entries: list[dict[str, Any]] = []
    own: dict[str, Factory] = {}
    for given in optimizers:
        plain, options = given, {}
        if isinstance(given, partial):
            if given.args:
                raise InvalidInput(f"optimizers: {given!r} is not valid: give keywords alone")
            plain, options = given.func, dict(given.keywords)
        if isinstance(plain, str):
            entries.append({"name": TORCH + plain.removeprefix(TORCH)})
        elif isinstance(plain, Mapping) and isinstance(name := plain.get("name"), str):
            entries.append({**plain, "name": TORCH + name.removeprefix(TORCH)})
        elif callable(plain):
            name = getattr(plain, "__name__", type(plain).__name__).lower()
            known = _TORCHS.get(name) is plain or own.setdefault(name, plain) is plain
            if not known:
                raise InvalidInput(f"optimizers: two are called {name!r}; rename one")
            entries.append({"name": TORCH + name, **options})
        else:
            raise InvalidInput(
                f"optimizers: {given!r} is not valid: give a name, a table, a torch.optim class or "
                "a functools.partial of one"
            )
    return entries, own


#: What people who know our own optimizers mean by their names.
_OURS = {
    "gd": "; write sgd",
    "momentum": '; write { name = "sgd", momentum = 0.9 }',
    "nesterov": '; write { name = "sgd", momentum = 0.9, nesterov = true }',
}


def _keywords(factory: Factory) -> list[str] | None:
    """What it can be given beside the parameters and lr; None for anything."""
    plain = factory.func if isinstance(factory, partial) else factory
    parameters = list(inspect.signature(plain).parameters.values())
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters[1:] if p.name != "lr"]


def divisor(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], p: torch.Tensor
) -> torch.Tensor | None:
    """What the last step divided the gradient of `p`, of `group`, by, in its shape; None for the
    identity, and where that is not known.

    Adam's is (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + eps) (Cohen et al. 2022, arXiv 2207.14484).
    """
    state = optimizer.state.get(p, {})
    if isinstance(optimizer, torch.optim.Adam) and not group["amsgrad"]:
        if "exp_avg_sq" not in state:
            return torch.ones_like(p)
        (beta1, beta2), t = group["betas"], float(state["step"])
        root = (state["exp_avg_sq"] / (1 - beta2**t)).sqrt() + group["eps"]
        return (1 - beta1**t) * root
    if isinstance(optimizer, torch.optim.RMSprop) and not group["centered"]:
        square = state.get("square_avg")
    elif isinstance(optimizer, torch.optim.Adagrad):
        square = state.get("sum")
    else:
        return None
    return torch.ones_like(p) if square is None else square.sqrt() + group["eps"]
