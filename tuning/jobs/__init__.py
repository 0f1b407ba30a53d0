"""A job, wherever it is: a folder on this machine, or rows of a cluster's database.

Who wants a job asks `find_job` and gets a `Job`. The room knows `study` and `storage`, and
nothing of how a job is carried out.
"""

from __future__ import annotations

from tuning.jobs.base import Job, State
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.local import LocalJob, LocalJobs
from tuning.jobs.lookup import find_job

__all__ = ["ClusterJob", "ClusterJobs", "Job", "LocalJob", "LocalJobs", "State", "find_job"]
