"""What a search may choose from: the optimizers, and a range for each hyperparameter."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from trainers import InvalidInput

__all__ = ["LEARNING_RATE", "Dimension", "SearchSpace"]

#: The name of the first dimension of every search.
LEARNING_RATE = "learning_rate"


@dataclass(frozen=True)
class Dimension:
    """A hyperparameter that is searched on a logarithmic scale, both ends included.

    Raises:
        InvalidInput: unless 0 < low < high, both finite.
    """

    name: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise InvalidInput(
                f"{self.name} from {self.low!r} to {self.high!r} is not valid: "
                "it needs 0 < low < high"
            )

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def at(self, part: float) -> float:
        """The value at `part` of the way, `low` at 0 and `high` at 1."""
        return self.clip(math.pow(self.low, 1 - part) * math.pow(self.high, part))

    def clip(self, value: float) -> float:
        """`value`, or the end nearest to it: exp(log(high)) may be one rounding above high."""
        return min(max(value, self.low), self.high)

    def reaching(self, value: float) -> Dimension:
        """With `value` inside: a confirmation at margin times the rate may lie above the range."""
        return Dimension(self.name, min(self.low, value), max(self.high, value))


@dataclass(frozen=True)
class SearchSpace:
    """One setting is one of the optimizers with a value in every dimension.

    Attributes:
        optimizers: their labels, all different, in the job's order.
        dimensions: the learning rate first.
    """

    optimizers: tuple[str, ...]
    dimensions: tuple[Dimension, ...]

    def reaching(self, hyperparameters: Mapping[str, float]) -> SearchSpace:
        """With these values inside."""
        wider = tuple(d.reaching(hyperparameters[d.name]) for d in self.dimensions)
        return SearchSpace(self.optimizers, wider)
