"""What to do about an answer, in the words of where its restarts come from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Advice"]


@dataclass(frozen=True)
class Advice:
    """What can be done, each without a capital and full stop, so that it may stand in a sentence.

    Attributes:
        down_to, up_to: how to search to another lowest or highest rate, which is to be filled in.
        steps: how to train for longer. starts: how to try more starts, with a place for how many
            at each rate where that can be said.
        judge: where basins are not judged. fresh: how to have as many fresh starts as are filled
            in; empty where there are none.
        confirm: where nothing was confirmed, for there were no fresh starts.
        unseen: what was not looked for, and why, and what to do; sentences, each a warning.
    """

    down_to: str
    up_to: str
    steps: str
    starts: str
    judge: str
    fresh: str
    confirm: str
    unseen: tuple[str, ...]
