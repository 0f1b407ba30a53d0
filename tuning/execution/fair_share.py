"""How many tasks of one job may run at once on a cluster that others use too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Company", "Share"]


@dataclass(frozen=True)
class Company:
    """The jobs that are at work on a cluster, as one of them sees them.

    Attributes:
        jobs: how many have this one's priority, itself included.
        outranked: whether any has a higher one.
    """

    jobs: int = 1
    outranked: bool = False


@dataclass(frozen=True)
class Share:
    """Max-min fair among the jobs of the highest priority: each has its equal part of the slots,
    and what the others leave free. A job of a lower one has what they leave, and always one task.

    Tasks last about a second, so that a job which has more than its part gives it back within
    about a second of another's asking: it starts no new task while others wait.

    Attributes:
        most: never more tasks than this.
        company: who is at work on the cluster now.
    """

    most: int | None
    company: Callable[[], Company]

    def limit(self, slots: int, free: int, running: int) -> int:
        """Tasks that may run or wait in Ray's own queue.

        Args:
            slots: tasks that the cluster can run at once; free: those that nobody uses now, nor
            this job's tasks that were started since; running: tasks of this job.
        """
        company = self.company()
        # Alone: as many again wait in Ray's queue, so that no slot is idle between two tasks.
        part = 2 * slots if company.jobs <= 1 else -(-slots // company.jobs)
        if company.outranked:
            part = 0
        limit = max(1, part, running + free)
        return limit if self.most is None else min(limit, self.most)
