"""What to do about an answer, in the words of where its restarts come from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Advice"]


@dataclass(frozen=True)
class Advice:
    """Sentences without a full stop, with a capital where they begin one.

    Attributes:
        lower: where no rate is stable. less: where most settings are unstable.
        judge: where basins are not judged.
        confirm: why nothing was confirmed, and what would be enough, where there are no fresh
            starts.
        unseen: what was not looked for, and why; each a warning.
    """

    lower: str
    less: str
    judge: str
    confirm: str
    unseen: tuple[str, ...]
