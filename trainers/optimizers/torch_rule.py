"""PyTorch's optimizers as a job knows them: by name, without PyTorch.

Reports, lists and job files are read where it is not installed. `trainers.torch` makes the
optimizers themselves, and refuses what they do not take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainers.optimizers.base import UpdateRule

__all__ = ["TORCH", "TorchRule", "may_be_torchs"]

#: What the names of PyTorch's optimizers begin with in a job whose problem is trained by it.
TORCH = "torch:"

_NAMES = frozenset(
    {
        *("adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd", "lbfgs", "muon"),
        *("nadam", "radam", "rmsprop", "rprop", "sgd", "sparseadam"),
    }
)
_KEYS = frozenset(
    {
        *("alpha", "amsgrad", "beta2_decay", "betas", "capturable", "centered", "d", "dampening"),
        *("decoupled_weight_decay", "differentiable", "eps", "etas", "foreach", "fused"),
        *("history_size", "initial_accumulator_value", "lambd", "line_search_fn", "lr_decay"),
        *("max_eval", "max_iter", "maximize", "momentum", "momentum_decay", "nesterov"),
        *("ns_coefficients", "ns_steps", "rho", "step_sizes", "t0", "tolerance_change"),
        *("tolerance_grad", "weight_decay", "adjust_lr_fn"),
    }
)


def may_be_torchs(name: str, hyperparameters: Mapping[str, Any], *, ours: bool) -> bool:
    """Whether PyTorch may have such an optimizer; of a name that is `ours` too, its hyperparameters
    tell."""
    return name in _NAMES and (not ours or _KEYS.issuperset(hyperparameters))


@dataclass(frozen=True)
class TorchRule(UpdateRule):
    """An optimizer of `torch.optim`, by its class's name in lower case, or one that the problem
    brings along; and the hyperparameters that are not its defaults."""

    name: str
    given: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, name: str, hyperparameters: Mapping[str, Any]) -> TorchRule:
        """`torch:adamw` or `adamw`, with values as JSON has them: lists are tuples to PyTorch."""
        given = ((k, tuple(v) if isinstance(v, list) else v) for k, v in hyperparameters.items())
        return cls(name.removeprefix(TORCH), tuple(given))

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return dict(self.given)

    @property
    def stability_limit(self) -> float:
        """As of `trainers.optimizers`' own where the rule is the same; else infinity: not known.

        SGD by momentum m and dampening d: 2 (1 + m) / (1 - d); Nesterov's: 2 (1 + m) / (1 + 2 m).
        """
        here = self.hyperparameters
        momentum = float(here.get("momentum", 0.0))
        if here.get("maximize"):
            return math.inf
        if self.name == "sgd":
            if here.get("nesterov"):
                return 2.0 * (1.0 + momentum) / (1.0 + 2.0 * momentum)
            return 2.0 * (1.0 + momentum) / (1.0 - float(here.get("dampening", 0.0)))
        if self.name == "rmsprop" and not here.get("centered"):
            return 2.0 * (1.0 + momentum)
        if self.name in ("adam", "adamw") and not here.get("amsgrad"):
            beta = float(here.get("betas", (0.9, 0.999))[0])
            return 2.0 * (1.0 + beta) / (1.0 - beta)
        return 2.0 if self.name == "adagrad" else math.inf

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={_short(value)}" for key, value in self.given)
        return f"{self.name}({inside})" if inside else self.name


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f"({', '.join(map(_short, value))})" if isinstance(value, tuple) else str(value)
