"""Which job is meant: one on this machine, or one on the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tuning.jobs.base import Job
from tuning.jobs.local import LocalJobs

if TYPE_CHECKING:
    from tuning.jobs.cluster import ClusterJobs

__all__ = ["cluster", "find_job"]


def cluster(storage: str | None = None) -> ClusterJobs | None:
    """The cluster's jobs: in the database at `storage`, or at SUREFOOT_STORAGE_URL; None if neither
    is given.

    Raises:
        InvalidInput: the address cannot work.
    """
    from tuning.jobs.cluster import ClusterJobs

    return ClusterJobs.configured(storage)


def find_job(job_id: str, *, home: str | Path | None = None) -> Job:
    """The job called `job_id`: first on this machine, then on the cluster, if one is named.

    Raises:
        JobNotFound: there is none.
        Unreachable: it is not on this machine, and the cluster's database is away.
    """
    here = LocalJobs(home)
    database = None if home is not None else cluster()
    if database is None:
        return here.job(job_id)
    return here.find(job_id) or database.job(job_id)
