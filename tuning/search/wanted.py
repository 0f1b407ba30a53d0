"""What a search wants tried, before it has a number."""

from __future__ import annotations

from typing import NamedTuple

from tuning.trial.setting import Block, Role

__all__ = ["Wanted"]


class Wanted(NamedTuple):
    """A setting of one block; see `Setting`."""

    role: Role
    block: Block
    round: int = 0
