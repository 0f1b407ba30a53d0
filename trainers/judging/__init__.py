"""Where every restart is, at any size: an interval for the bottom below it, and a proof if cheap.

`outcomes` comes in by `judge`; the room knows `basins`, and nothing of trainings.
"""

from __future__ import annotations

__all__: list[str] = []
