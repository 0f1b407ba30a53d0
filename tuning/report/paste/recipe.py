"""What a script in some library is told, and what that is worked out from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import TextWrapper
from typing import Any

from trainers.optimizers import Optimizer

__all__ = ["Recipe", "Training", "absent", "call"]

_WIDTH = 96


@dataclass(frozen=True)
class Recipe:
    """What to paste. `str()` of it is all of it: the remarks as comments, then the code.

    Attributes:
        line: makes the optimizer, or scikit-learn's whole network; None where the library cannot
            train so.
        code: complete: its imports, the loss where that is known, what the line needs, the line.
        exact: whether the library then takes the same steps, up to rounding; else the remarks say
            what differs.
        remarks: what else must be so, and what differs; a sentence each.
    """

    line: str | None
    code: str
    exact: bool
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        wrapped = TextWrapper(
            _WIDTH,
            initial_indent="# ",
            subsequent_indent="#   ",
            break_long_words=False,
            break_on_hyphens=False,  # layers 13-8-3
        )
        said = [line for remark in self.remarks for line in wrapped.wrap(remark)]
        return "\n".join([*said, self.code] if self.code else said)


@dataclass(frozen=True)
class Training:
    """How was trained, and what is known of it.

    Attributes:
        optimizer: the rule, if it is one of our own that other libraries have; None for another
            library's. name, hyperparameters: as the job has them, of any rule.
        loss: cross-entropy or squared-error, as `trainers.problems.network.Network` has them; None
            for a loss of the problem's own, of which the attributes below say nothing.
        weight_decay: its half times |w|^2 is in J, biases included.
        layers: units, the inputs first, the outputs last. initializer: empty for one of the
            problem's own. biases: whether the units have them.
        standardised: whether inputs, and targets of squared-error, have mean 0 and deviation 1.
        examples, batch_size, steps: of the training; `batch_size` None for full batch.
    """

    name: str
    hyperparameters: Mapping[str, Any]
    learning_rate: float
    optimizer: Optimizer | None
    loss: str | None
    weight_decay: float
    layers: tuple[int, ...]
    activation: str
    initializer: str
    biases: bool
    standardised: bool
    examples: int
    batch_size: int | None
    steps: int

    @property
    def conditions(self) -> str:
        """What must be as it was here for the rate to be as good."""
        if self.loss is None:
            return "With the loss as it is in the job."
        layers = "-".join(map(str, self.layers))
        hidden = f", {self.activation}" if len(self.layers) > 2 else ""
        biases = "biases from 0" if self.biases else "no biases"
        drawn = f"starts by {self.initializer}, {biases}" if self.initializer else "own starts"
        parts = [f"layers {layers}{hidden}, {drawn}"]
        if self.standardised:
            what = "inputs" if self.loss == "cross-entropy" else "inputs and target"
            parts.append(f"{what} with mean 0 and standard deviation 1 over the training rows")
        parts.append(f"batches of {self.batch_size}" if self.batch_size else "full batch")
        return f"As trained here: {'; '.join(parts)}."


def absent(why: str) -> Recipe:
    """That a library cannot train so."""
    return Recipe(None, "", False, (f"Not to be had: {why}.",))


def call(
    function: str, *arguments: str, omit: Mapping[str, Any] | None = None, **keywords: Any
) -> str:
    """A call as Python writes it, each number so that it reads back to the same one.

    Args:
        arguments: as they are. omit: keywords that need not be said at this value, the default.
    """
    usual = omit or {}
    said = [f"{k}={_literal(v)}" for k, v in keywords.items() if k not in usual or usual[k] != v]
    return f"{function}({', '.join([*arguments, *said])})"


def _literal(value: Any) -> str:
    match value:
        case float():  # NumPy's too, whose repr is another
            return repr(float(value))
        case str():
            return json.dumps(value)
        case tuple() | list():
            inner = ", ".join(map(_literal, value))
            return f"({inner},)" if len(value) == 1 else f"({inner})"
        case _:
            return repr(value)
