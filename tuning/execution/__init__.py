"""Where tasks are carried out: one contract, `Pool`, in this process or on Ray.

`search` submits tasks, `runner` and `cluster` choose the pool (`registry`). Of `tuning` the room
knows `trial` and `spec` alone. Ray is imported here and in `cluster.ray_jobs`, when a pool is made.
"""

from __future__ import annotations

from tuning.execution.base import Done, Event, Failed, Lost, Pool, TaskId
from tuning.execution.in_process import InProcessPool
from tuning.execution.ray_pool import RayPool

__all__ = ["Done", "Event", "Failed", "InProcessPool", "Lost", "Pool", "RayPool", "TaskId"]
