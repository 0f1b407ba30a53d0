"""The keeper: jobs whose coordinator has died get another. `surefoot keep`, on the cluster.

A job needs a coordinator when it is wanted, not complete, and nobody holds its lease. That is read
from the database alone; Ray is asked only whether the last submission may still be starting.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from trainers import SurefootError
from tuning.cluster.launch import launch, submission_of
from tuning.cluster.ray_jobs import ALIVE, RayJobs
from tuning.errors import Unreachable
from tuning.jobs.cluster import ClusterJob

if TYPE_CHECKING:
    from tuning.jobs.cluster import ClusterJobs
    from tuning.jobs.schema import Entry

__all__ = ["Supervisor", "needs_coordinator", "pause_before"]

POLL_SECONDS = 2.0
# How long a job may be without its lease before its coordinator counts as dead. One that was cut
# off from the database reconnects within the first. One that Ray calls alive may still be starting:
# where more than PARALLEL_STARTS start at once all are slower, and a stop would waste their work.
RECONNECT_SECONDS, START_SECONDS = 6.0, 90.0
PARALLEL_STARTS = 4
# What Ray does not know of may still be on its way to it.
SENDING_SECONDS = 30.0
# Submissions in a row that told nothing new: the last of them waits for minutes before.
MAX_IDLE_ATTEMPTS = 8
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 300.0


def pause_before(idle: int) -> float:
    """Seconds from a submission to the next, when `idle` before it told nothing new."""
    return min(FIRST_PAUSE_SECONDS * 2.0**idle, LONGEST_PAUSE_SECONDS)


def needs_coordinator(entry: Entry) -> bool:
    """Whether one may be asked for now, as far as the database knows."""
    if entry.complete or entry.failed or entry.wanted != "run" or entry.holder is not None:
        return False
    return entry.submitted_ago is None or entry.submitted_ago > pause_before(entry.idle)


def _submitted_ago(entry: Entry) -> float:
    """Seconds since the last coordinator was asked for."""
    return math.inf if entry.submitted_ago is None else entry.submitted_ago


class Supervisor:
    """Looks after the jobs in `database`.

    Args:
        say: called with a line when something was done, or cannot be.
    """

    def __init__(self, database: ClusterJobs, say: Callable[[str], None]) -> None:
        self._database, self._say = database, say
        self._ray: RayJobs | None = None
        self._complaints: dict[str, str] = {}  # job, or "" for all -> what was said of it last
        self._unattended: dict[
            str, float
        ] = {}  # submission -> when it was first seen without its lease

    def run(self) -> None:
        """Until interrupted. What fails is said once, and tried again."""
        while True:
            try:
                self.check_jobs()
                self._complaints.pop("", None)
            except SurefootError as error:
                self._unattended.clear()  # no lease can be seen: everybody has time anew
                self._complain("", error)
            time.sleep(POLL_SECONDS)

    def check_jobs(self) -> list[str]:
        """Look once; returns the ids of the jobs for which a coordinator was asked. A job of which
        that cannot be done keeps no other from it.

        Raises:
            RayUnreachable, Unreachable, InvalidInput: nothing can be done for any of them.
        """
        entries = self._database.entries(unfinished=True)
        needy = [entry for entry in entries if needs_coordinator(entry)]
        needy.sort(key=lambda entry: -entry.priority)  # among equals the oldest stays the first
        seen = {submission_of(entry) for entry in needy}
        now = time.monotonic()
        self._unattended = {
            submission: self._unattended.get(submission, now) for submission in seen
        }
        asked = []
        for entry in needy:
            self._ray = ray = self._ray or RayJobs()
            try:
                if self._supply_coordinator(entry, ray):
                    asked.append(entry.id)
                self._complaints.pop(entry.id, None)
            except Unreachable:
                raise
            except SurefootError as error:
                self._complain(entry.id, error)
        return asked

    def _complain(self, job_id: str, error: SurefootError) -> None:
        self._ray = None  # it may be away: the next one says so, before anything is asked of it
        if self._complaints.get(job_id) != str(error):
            self._complaints[job_id] = str(error)
            self._say(f"{job_id}: {error}" if job_id else str(error))

    def _supply_coordinator(self, entry: Entry, ray: RayJobs) -> bool:
        job = ClusterJob(self._database, entry.id)
        last = submission_of(entry)
        if entry.attempt:
            without = time.monotonic() - self._unattended[last]
            known = ray.state(last)
            if without < RECONNECT_SECONDS or (
                known is None and _submitted_ago(entry) < SENDING_SECONDS
            ):
                return False
            if known in ALIVE:
                if without < START_SECONDS * max(1.0, len(self._unattended) / PARALLEL_STARTS):
                    return False
                ray.stop(last)
        if entry.idle >= MAX_IDLE_ATTEMPTS and job.told <= entry.told:
            _give_up(job, entry)
            return False
        if not launch(job, ray, entry):
            return False
        if entry.attempt:
            line = f"the keeper asks for coordinator {entry.attempt + 1}, from result {job.told} on"
            job.say(line)
            self._say(f"{entry.id}: {line}")
        return True


def _give_up(job: ClusterJob, entry: Entry) -> None:
    if entry.reported:  # the job has not failed: MLflow has, for hours
        job.completed()
        job.say(f"MLflow still lacks runs; surefoot resume {job.id} completes it")
        return
    why = (
        f"its coordinator ended {entry.idle + 1} times without a new result; see "
        f"surefoot logs --ray {job.id}, and go on with surefoot resume {job.id}"
    )
    job.fail(why)
    job.say(f"failed: {why}")
