"""What a search was worth that time ended."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bought"]


@dataclass(frozen=True)
class Bought:
    """What time bought, when it ended a search.

    Attributes:
        restarts: of the search. fresh: starts of the confirmation, at most.
    """

    restarts: int
    fresh: int
