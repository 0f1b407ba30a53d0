"""How fast restarts are trained, and so how many more a time will do for."""

from __future__ import annotations

import time
from math import inf

__all__ = ["Pace"]


class Pace:
    """That of one run, counted from the first restarts that were done: until then workers start.

    Args:
        begin: when it began, by `time.monotonic`.
    """

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._first: tuple[float, int] | None = None  # when the first were done, and how many

    def affordable(self, seconds: float, done: int) -> float:
        """Restarts that can still be trained within so many seconds of the beginning, now that
        `done` have been; infinite where nothing is known of the pace."""
        now = time.monotonic()
        left = self._begin + seconds - now
        if self._first is None and done:
            self._first = now, done
        since, count = self._first or (now, done)
        if left <= 0:
            return 0.0
        return left * (done - count) / (now - since) if done > count else inf
