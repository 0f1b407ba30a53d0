"""One submission of a job's coordinator to Ray."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from tuning.cluster.ray_jobs import ADDRESS, RayJobs
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJob
from tuning.jobs.files import BUNDLE, BUNDLE_AT
from tuning.jobs.schema import Entry

__all__ = ["MAX_COORDINATORS", "end_coordinator", "launch", "ray_of", "submission_of"]

#: Coordinators at work, each a process of 300 MB on the head. Other jobs wait for their turn.
MAX_COORDINATORS = 8


def submission_of(entry: Entry) -> str:
    """Ray's id of a job's last coordinator. Ray remembers a job that was deleted and submitted
    again."""
    created = entry.created.astimezone(UTC)  # each session has a time zone of its own
    return f"{entry.id}.{created:%y%m%d%H%M%S}.{entry.attempt}"


def ray_of(entry: Entry, address: str | None = None) -> RayJobs:
    """The Ray cluster at `address`, or RAY_API_SERVER_ADDRESS, or where the job was submitted."""
    return RayJobs(address or os.environ.get(ADDRESS) or entry.address)


def end_coordinator(entry: Entry, address: str | None = None) -> None:
    """Have Ray end a job's last coordinator. Returns at once.

    Raises:
        RayUnreachable: it could not be told.
    """
    ray_of(entry, address).stop(submission_of(entry))


def launch(job: ClusterJob, ray: RayJobs, seen: Entry | None = None) -> bool:
    """Ask Ray for a coordinator; False if somebody else has just done so, it is not wanted, or it
    is not its turn yet.

    Args:
        seen: the job's row when the caller decided so. Whoever has asked for a coordinator since
            then (the keeper looks every two seconds) was faster.

    Raises:
        RayUnreachable: Ray does not answer. The job waits, and the keeper tries again.
    """
    entry = seen or job.entry
    if _ahead_of(entry, job.database.entries(unfinished=True)) >= MAX_COORDINATORS:
        return False
    if not job.claim(entry.attempt):
        return False
    ray.submit(
        submission_of(replace(entry, attempt=entry.attempt + 1)),
        f"python -m tuning coordinate {job.id}",
        bundle=job.read(BUNDLE_AT) or job.read_bytes(BUNDLE),
        metadata={"surefoot.job": job.id, "owner": entry.owner},
    )
    return True


def _ahead_of(entry: Entry, entries: Iterable[Entry]) -> int:
    """How many jobs are at work, or wait for their first coordinator and come first."""
    return sum(
        other.attended
        or (other.state is State.WAITING and other.attempt == 0 and _age(other) < _age(entry))
        for other in entries
        if other.id != entry.id
    )


def _age(entry: Entry) -> tuple[int, datetime, str]:
    return -entry.priority, entry.created, entry.id
