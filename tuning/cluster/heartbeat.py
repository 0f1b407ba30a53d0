"""What a coordinator hears of the other jobs, and of its own end, from the database."""

from __future__ import annotations

import time
from contextlib import suppress

from tuning.errors import SurefootError
from tuning.execution.fair_share import Company
from tuning.jobs.cluster import ClusterJob

__all__ = ["Heartbeat"]

_HEARTBEAT_SECONDS = 2.0


class Heartbeat:
    """What the database says about all jobs, every two seconds: whether this one is still wanted,
    and who else is at work."""

    def __init__(self, job: ClusterJob) -> None:
        self.company = Company()
        self._job = job
        self._next = 0.0

    def check(self) -> None:
        """Ask, if it is time to.

        Raises:
            KeyboardInterrupt: the job shall stop, or is there no more; as if Ray had said so, which
                it may be unable to.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _HEARTBEAT_SECONDS
        with suppress(SurefootError):  # a password that is being changed passes too
            database, job_id = self._job.database, self._job.id
            entries = database.entries(unfinished=True)
            # One that is complete already, as after `resume` by mistake, may be carried through.
            mine = [entry for entry in entries if entry.id == job_id] or database.entries(
                job_id=job_id
            )
            if not mine or mine[0].wanted == "stop":
                raise KeyboardInterrupt
            own = mine[0].priority
            others = [e.priority for e in entries if e.holder is not None and e.id != job_id]
            self.company = Company(1 + others.count(own), max(others, default=own) > own)
