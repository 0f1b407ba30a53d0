"""What Ray knows of a task, and the end of one that hangs."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["KnownTask", "kill", "known_of", "node_of"]

# Ray's states of a task that a worker has been given, whether it has said so yet or not.
_BEGUN = ("SUBMITTED_TO_WORKER", "RUNNING")


@dataclass(frozen=True)
class KnownTask:
    """A task as Ray's head knows it.

    Attributes:
        begun: a worker has it and has not ended it. node: id of the node where that is, or was.
    """

    name: str
    begun: bool
    node: str


def known_of(reference: Any) -> KnownTask | None:
    """The task whose result `reference` is; None if the head does not know, or does not answer."""
    from ray.util.state import get_task
    from ray.util.state.exception import RayStateApiException

    try:
        attempts: Any = get_task(reference.task_id().hex())
    except (RayStateApiException, OSError):
        return None
    task = attempts[-1] if isinstance(attempts, list) else attempts
    if task is None or not task.node_id:
        return None
    return KnownTask(task.name, task.state in _BEGUN, task.node_id)


def node_of(reference: Any) -> str:
    """The address of the node that carried the task out, or how it is called if that is unknown."""
    import ray

    if (task := known_of(reference)) is not None:
        for node in ray.nodes():  # type: ignore[no-untyped-call]
            if node["NodeID"] == task.node:
                return str(node["NodeManagerAddress"])
    return "of its worker"


def kill(task: KnownTask) -> None:
    """Kill a task's worker on its node. Returns at once."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(task.node, soft=False)
    remote: Any = ray.remote(num_cpus=0, max_retries=0)(_kill_hung)
    remote.options(scheduling_strategy=there).remote(task.name)


def _kill_hung(task: str) -> None:
    """On the task's node: kill the job's worker that has it, and those that are frozen.

    A worker that was frozen before it could say that it has begun is known to Ray by no process id,
    and bears the task's name only if it came as far as that.
    """
    ours = {f"{name}={os.environ[name]}".encode() for name in ("RAY_RAYLET_PID", "RAY_JOB_ID")}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            title = (process / "cmdline").read_bytes().rstrip(b"\0 ").decode(errors="replace")
            is_worker = title.startswith("ray::") and int(process.name) != os.getpid()
            if not is_worker or not ours <= set((process / "environ").read_bytes().split(b"\0")):
                continue
            state = (process / "stat").read_bytes().rpartition(b") ")[2][:1]
            if title == f"ray::{task}" or state == b"T":
                os.kill(int(process.name), signal.SIGKILL)
