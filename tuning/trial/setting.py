"""What is tried: settings, and the blocks of starts that are trained together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from tuning.spec.search_space import LEARNING_RATE

__all__ = ["Block", "Role", "Setting"]


class Role(StrEnum):
    """Why a setting is tried."""

    SEARCH = "search"
    PROBE = (
        "probe"  # of starts that were chosen for how they did elsewhere; they stand for no others
    )
    CONFIRMATION = "confirmation"  # on fresh starts, that played no part in choosing it
    COMPARISON = "comparison"  # another optimizer's best, on the winner's fresh starts

    @property
    def is_search(self) -> bool:
        """Whether it was tried before anything was confirmed."""
        return self in (Role.SEARCH, Role.PROBE)


@dataclass(frozen=True)
class Block:
    """What is trained together: some starts, under one optimizer and its hyperparameters.

    Attributes:
        optimizer: index in the job's list of optimizers.
        hyperparameters: the value of each dimension of the job's search space, by name.
        starts: numbers of the starts, all different, at least two. Start i is the same w under
            every setting.
        own_orders: whether each of them sees the examples in an order of its own, where the trainer
            can give it one.

    Raises:
        ValueError: the starts are not such numbers. One alone is taken only as start 0, which is
            all that a job of one restart has.
    """

    optimizer: int
    hyperparameters: Mapping[str, float] = field(hash=False)
    starts: tuple[int, ...]
    own_orders: bool = False

    def __post_init__(self) -> None:
        starts = self.starts
        if len(set(starts)) < len(starts) or min(starts, default=-1) < 0:
            raise ValueError(f"starts {starts} are not different numbers from 0 up")
        if len(starts) < 2 and starts != (0,):
            raise ValueError(f"start {starts[0]} alone is no block: it needs at least two")

    @property
    def learning_rate(self) -> float:
        """The hyperparameter that every search has."""
        return self.hyperparameters[LEARNING_RATE]


@dataclass(frozen=True)
class Setting:
    """An optimizer with all its hyperparameters, and the blocks that are trained under them.

    Attributes:
        number: the trial's number in the study.
        role: why it is tried.
        blocks: at least one; of one optimizer and one set of hyperparameters.
        round: in a search for the cliff, which round of its optimizer's it belongs to.

    Raises:
        ValueError: the blocks are none, differ in more than their starts, or share a start.
    """

    number: int
    role: Role
    blocks: tuple[Block, ...]
    round: int = 0

    def __post_init__(self) -> None:
        if len({(b.optimizer, *sorted(b.hyperparameters.items())) for b in self.blocks}) != 1:
            raise ValueError(f"setting {self.number} needs blocks of one set of hyperparameters")
        if len(set(self.starts)) < len(self.starts):
            raise ValueError(f"setting {self.number} has a start in two blocks")

    @property
    def optimizer(self) -> int:
        """Index in the job's list of optimizers."""
        return self.blocks[0].optimizer

    @property
    def hyperparameters(self) -> Mapping[str, float]:
        """The value of each dimension, by name."""
        return self.blocks[0].hyperparameters

    @property
    def learning_rate(self) -> float:
        """The hyperparameter that every search has."""
        return self.blocks[0].learning_rate

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """(R,): the start of each restart, block after block."""
        return tuple(start for block in self.blocks for start in block.starts)

    def resembles(self, other: Setting) -> bool:
        """Whether both are tried for the same reason, with all the same but for their starts."""
        return (
            self.role is other.role
            and self.optimizer == other.optimizer
            and self.hyperparameters == other.hyperparameters
        )

    def __str__(self) -> str:
        values = (f"{k.replace('_', ' ')} {v:g}" for k, v in self.hyperparameters.items())
        return f"setting {self.number} ({', '.join(values)})"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON. Starts in a row, as those of one block mostly are, by the first and their
        number."""
        first, count = self.starts[0], len(self.starts)
        in_a_row = len(self.blocks) == 1 and self.starts == tuple(range(first, first + count))
        return {
            "number": self.number,
            "optimizer": self.optimizer,
            **self.hyperparameters,
            "role": self.role.value,
            **({"round": self.round} if self.round else {}),
            **(
                {"first": first, "restarts": count}
                if in_a_row
                else {"blocks": [list(block.starts) for block in self.blocks]}
            ),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        rest = dict(value)
        number, optimizer, role = rest.pop("number"), rest.pop("optimizer"), Role(rest.pop("role"))
        round_, blocks = rest.pop("round", 0), rest.pop("blocks", None)
        if blocks is None:
            first = rest.pop("first")
            blocks = [range(first, first + rest.pop("restarts"))]
        made = tuple(Block(optimizer, rest, tuple(starts)) for starts in blocks)
        return cls(number, role, made, round_)
