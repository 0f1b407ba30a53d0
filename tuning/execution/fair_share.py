"""How many tasks of one job may run at once on a cluster that others use too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Share"]


@dataclass(frozen=True)
class Share:
    """Max-min fair: each job has its equal part of the slots, and what the others leave free.

    Tasks last about a second, so that a job which has more than its part gives it back within
    about a second of another's asking: it starts no new task while others wait.

    Attributes:
        most: never more tasks than this.
        jobs: how many jobs are at work on the cluster now, this one included.
    """

    most: int | None
    jobs: Callable[[], int]

    def limit(self, slots: int, free: int, running: int) -> int:
        """Tasks that may run or wait in Ray's own queue.

        Args:
            slots: tasks that the cluster can run at once; free: those that nobody uses now, nor
            this job's tasks that were started since; running: tasks of this job.
        """
        jobs = self.jobs()
        # Alone: as many again wait in Ray's queue, so that no slot is idle between two tasks.
        part = 2 * slots if jobs <= 1 else -(-slots // jobs)
        limit = max(1, part, running + free)
        return limit if self.most is None else min(limit, self.most)
