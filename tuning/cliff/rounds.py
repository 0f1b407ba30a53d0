"""What a campaign asks for: rounds of blocks that are trained side by side."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from tuning.cliff.observations import Trained

__all__ = ["Asked", "Phase", "Probe", "Steps"]

T = TypeVar("T")


class Phase(Enum):
    """Why a round is asked for, by which it is decided whether it may be.

    Attributes:
        GROW: more starts; may be cut short. BISECT: thresholds of those there are.
        CLOSE: the end of a campaign, for which `campaign.reserve` is kept back.
    """

    GROW = "grow"
    BISECT = "bisect"
    CLOSE = "close"


@dataclass(frozen=True)
class Probe:
    """Some starts, at least two, to be trained at a rate. `fresh`: as in `Trained`."""

    rate: float
    starts: tuple[int, ...]
    fresh: bool


@dataclass(frozen=True)
class Asked:
    """One round."""

    phase: Phase
    probes: tuple[Probe, ...]

    @property
    def size(self) -> int:
        """Restarts."""
        return sum(len(probe.starts) for probe in self.probes)


#: A coroutine that asks for rounds and is sent what became of each: all of it, less, or nothing.
Steps = Generator[Asked, Sequence[Trained], T]
