"""What an optimizer is: an update rule, and what it remembers from step to step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from trainers._rows import Rows
from trainers.errors import InvalidInput
from trainers.problem import FloatArray

__all__ = ["Optimizer", "OptimizerState", "UpdateRule", "check_fraction", "check_positive"]


@dataclass(kw_only=True)
class OptimizerState(Rows):
    """What a rule remembers of R restarts: a subclass names the arrays, (R, P) each.

    It belongs to the caller, who may drop rows of it when restarts leave the batch.

    Attributes:
        scratch (R, P): room for intermediate results, with nothing in it between two steps.
    """

    scratch: FloatArray


class UpdateRule(ABC):
    """An optimizer as all know it but who trains by it, whatever library takes its steps.

    A subclass is a frozen dataclass.
    """

    name: str

    @property
    @abstractmethod
    def stability_limit(self) -> float:
        """Largest stable lr * lambda_max(P^-1 H) on a quadratic with Hessian H, where P is the
        preconditioner: what a step divides the gradient by."""

    @property
    @abstractmethod
    def hyperparameters(self) -> dict[str, Any]:
        """Name and value of each hyperparameter but the learning rate."""

    @property
    def label(self) -> str:
        """`adam`, or `adam(beta1=0.8)` where a hyperparameter is not the default."""
        return str(self)


class Optimizer(UpdateRule):
    """A rule whose steps NumPy takes, for many restarts at once and in place. Its fields are its
    hyperparameters.

    To add one, write a module in this package with such a class and its `name`: it is found there.
    It is held to `trainers.testing.check_optimizer`.
    """

    @abstractmethod
    def init(self, w: FloatArray) -> OptimizerState:
        """The state before the first step, for restarts at `w` (R, P)."""

    @abstractmethod
    def step(self, w: FloatArray, gradient: FloatArray, rate: FloatArray, state: Any) -> None:
        """Update `w` (R, P) and `state`, which `init` made, in place, by one step at `rate` (R, 1).

        `gradient` (R, P) is only read, for it may be the problem's own array, or even `w` itself:
        the last thing a step does is to change `w`.
        """

    @property
    def hyperparameters(self) -> dict[str, float]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    @property
    def label(self) -> str:
        default = type(self)().hyperparameters
        return self._with({k: v for k, v in self.hyperparameters.items() if v != default[k]})

    def __str__(self) -> str:
        return self._with(self.hyperparameters)

    def _with(self, values: dict[str, float]) -> str:
        inside = ", ".join(f"{key}={value:g}" for key, value in values.items())
        return f"{self.name}({inside})" if inside else self.name

    def preconditioner(self, state: Any) -> FloatArray | None:
        """Diagonal P (R, P) by which the last step divided the gradient; None for identity."""
        return None


def check_fraction(optimizer: str, key: str, value: float) -> None:
    """Refuse, by InvalidInput, a `value` that is not in [0, 1)."""
    if not 0.0 <= value < 1.0:
        raise InvalidInput(f"{optimizer}: {key} = {value!r} is not valid; it must be in [0, 1)")


def check_positive(optimizer: str, key: str, value: float) -> None:
    """Refuse, by InvalidInput, a `value` that is not finite and above 0."""
    if not 0.0 < value < np.inf:
        raise InvalidInput(f"{optimizer}: {key} = {value!r} is not valid; it must be above 0")
