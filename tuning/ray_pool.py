"""Tasks on Ray workers."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers import Problem
from tuning.interrupting import keeping_sigterm
from tuning.pool import Event, Failed, Lost, Pool, Ticket, attempt
from tuning.results import Setting
from tuning.sharing import Share
from tuning.work import Work

__all__ = ["ONE_THREAD", "OnCluster", "RayPool", "cluster_facts", "start_ray"]

#: One BLAS thread on every worker, set before NumPy is imported there: the rounding depends on it.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

# A worker ends itself when its task is overdue. One that cannot (it is frozen, or its node hangs)
# is given up this much later.
_GRACE_SECONDS = 15.0
_RESOURCES_SECONDS = 0.5
# Ray's states of a task that a worker has been given, whether it has said so yet or not.
_BEGUN = ("SUBMITTED_TO_WORKER", "RUNNING")


def start_ray(workers: int | None, folder: str) -> bool:
    """Start Ray on this machine with `workers` CPUs (default: all), its files in `folder`.

    Returns whether this call started it, so that the caller shuts down what it started and nothing
    else. A session that the caller's own program has started already is used as it is.
    """
    import ray

    if ray.is_initialized():
        return False
    # Ray 2.60 turns token authentication on by default, writes a token into the home directory and
    # warns. A cluster that ends with this process and listens on loopback alone needs none.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A task that a Ctrl-C killed has nobody left to look at its error, and needs nobody.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    path = os.pathsep.join(p for p in (os.getcwd(), *sys.path) if p)
    with keeping_sigterm():
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=256 * 1024**2,
            _temp_dir=folder,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {**ONE_THREAD, "PYTHONPATH": path}},
        )
    return True


@dataclass(frozen=True)
class OnCluster:
    """For a pool of the cluster in which this process is a job's driver.

    Attributes:
        cpus: of each task.
        share: how many tasks may run at once.
    """

    cpus: float
    share: Share


class RayPool(Pool):
    """Carries out tasks as Ray tasks, on this machine or on the cluster of this driver.

    `max_retries=0`: a lost task is an event, counted and retried by the coordinator, and never run
    again behind its back.

    Args:
        workers: on this machine; the default is one for each CPU.
        cluster: use that cluster instead.
        timeout: seconds after which a task counts as hung: it is killed, and lost.
    """

    def __init__(
        self,
        problem: Problem,
        work: Work,
        *,
        workers: int | None = None,
        cluster: OnCluster | None = None,
        timeout: float = 600.0,
    ) -> None:
        import ray

        self._ray: Any = ray
        self._cluster, self._timeout = cluster, timeout
        self._folder = tempfile.TemporaryDirectory(
            prefix="surefoot-ray-", ignore_cleanup_errors=True
        )
        self._queue: deque[tuple[Ticket, Setting]] = deque()
        self._running: dict[Any, tuple[Ticket, float]] = {}
        # When they were asked for; slots, those free then, those free also the time before.
        self._resources = (0.0, 0, 0, 0)
        if cluster is None:
            self._started = start_ray(workers, self._folder.name)
        else:
            self._started = False
            with keeping_sigterm():
                ray.init(address="auto", logging_level=logging.ERROR)
        with contextlib.ExitStack() as undo:  # what was started must not stay behind a failure
            undo.callback(self.close)
            self._job = ray.put((problem, work, timeout))
            undo.pop_all()
        self._remote = ray.remote(num_cpus=cluster.cpus if cluster else 1, max_retries=0)(_attempt)
        # A session that was there already may have set no threads; these workers need one.
        aside = not self._started and cluster is None
        self._options = {"runtime_env": {"env_vars": ONE_THREAD}} if aside else {}

    def submit(self, ticket: Ticket, setting: Setting) -> None:
        self._queue.append((ticket, setting))
        self._start()

    def wait(self, timeout: float) -> list[Event]:
        self._start()
        if not self._running:
            return []
        pending = list(self._running)
        ready, _ = self._ray.wait(pending, num_returns=1, timeout=timeout)
        if ready:  # whatever else has come back by now
            ready, _ = self._ray.wait(pending, num_returns=len(pending), timeout=0)
        events = [self._event(reference) for reference in ready]
        return events + self._overdue()

    def close(self) -> None:
        # What runs is not cancelled: that races with its completion, and Ray then ends this process
        # ("Tried to complete task that was not pending", ray#54527; seen once in 75 Ctrl-Cs). It
        # ends with the Ray that was started here, with the driver of a job, or by itself.
        self._queue.clear()
        self._running.clear()
        if self._started:
            self._started = False
            self._ray.shutdown()
        self._folder.cleanup()

    def _start(self) -> None:
        """Hand to Ray what may run now."""
        while self._queue and len(self._running) < self._limit():
            ticket, setting = self._queue.popleft()
            task = self._remote.options(
                name=f"setting {ticket.number} part {ticket.part}", **self._options
            )
            reference = task.remote(self._job, ticket, setting)
            self._running[reference] = (ticket, time.monotonic())
            asked, slots, now, free = self._resources
            self._resources = (asked, slots, now, max(0, free - 1))  # this task takes one

    def _limit(self) -> float:
        if self._cluster is None:
            return float("inf")
        asked, slots, before, free = self._resources
        if time.monotonic() - asked > _RESOURCES_SECONDS:
            cpus = self._cluster.cpus
            total, free_cpus = _resources(self._ray)
            slots, now = int(total // cpus), int(free_cpus // cpus)
            # A slot that was given back a moment ago is for whoever waits, not for who gave it.
            free = min(before, now)
            self._resources = (time.monotonic(), slots, now, free)
        return self._cluster.share.limit(slots, free, len(self._running))

    def _event(self, reference: Any) -> Event:
        ticket, _ = self._running.pop(reference)
        errors = self._ray.exceptions
        try:
            event: Event = self._ray.get(reference)
        except errors.RayError as error:
            # Not the user's loss, which `attempt` catches: the problem itself, unless the cluster
            # has lost that on its way to the worker.
            unfit = isinstance(error, errors.RayTaskError)
            if unfit and not isinstance(error, errors.ObjectLostError):
                return Failed(ticket, str(error))
            return Lost(ticket, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return event

    def _overdue(self) -> list[Event]:
        """Give up the tasks that have been running for too long.

        Those of a pool on this machine end themselves: whoever can freeze them can freeze us.
        """
        late = time.monotonic() - self._timeout - _GRACE_SECONDS
        if self._cluster is None or all(began > late for _, began in self._running.values()):
            return []
        return [
            event
            for reference, (_, began) in list(self._running.items())
            if began <= late and (event := self._give_up(reference)) is not None
        ]

    def _give_up(self, reference: Any) -> Event | None:
        """Kill a task's worker on its node; None for one that still waits for a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
        from ray.util.state import get_task
        from ray.util.state.exception import RayStateApiException

        ticket, _ = self._running[reference]
        try:
            attempts: Any = get_task(reference.task_id().hex())
        except (RayStateApiException, OSError):
            attempts = None
        task = attempts[-1] if isinstance(attempts, list) else attempts
        if task is None or task.state not in _BEGUN or not task.node_id:
            self._running[reference] = (ticket, time.monotonic())  # its time has not begun
            return None
        del self._running[reference]
        self._ray.cancel(reference, force=True)
        there = NodeAffinitySchedulingStrategy(task.node_id, soft=False)
        kill = self._ray.remote(num_cpus=0, max_retries=0)(_kill_hung)
        kill.options(scheduling_strategy=there).remote(task.name)
        return Lost(ticket, f"no answer in {self._timeout:g} s, so its worker was killed")


def _attempt(job: tuple[Problem, Work, float], ticket: Ticket, setting: Setting) -> Event:
    problem, work, timeout = job
    # A thread of C, which needs no lock of Python's: it ends also a task that hangs in C code, and
    # leaves in the worker's log where it hung.
    faulthandler.dump_traceback_later(timeout, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        return attempt(problem, work, ticket, setting)
    finally:
        faulthandler.cancel_dump_traceback_later()


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


def cluster_facts(on_a_worker: Callable[[], Any]) -> dict[str, Any]:
    """What a driver sees of its cluster: nodes, CPUs, and what `on_a_worker` gives on one of them
    (None if none has a CPU free within half a minute)."""
    import ray

    ray.init(address="auto", logging_level=logging.ERROR)
    total, free = _resources(ray)
    nodes: Any = ray.nodes()  # type: ignore[no-untyped-call]
    seen = None
    if total > 0:
        with contextlib.suppress(ray.exceptions.RayError):
            seen = ray.get(ray.remote(num_cpus=1)(on_a_worker).remote(), timeout=30.0)
    return {
        "nodes": sum(node["Alive"] for node in nodes),
        "cpus": total,
        "free_cpus": free,
        "worker_versions": seen,
    }


def _resources(ray: Any) -> tuple[float, float]:
    """The cluster's CPUs, and how many of them are free."""
    return ray.cluster_resources().get("CPU", 0.0), ray.available_resources().get("CPU", 0.0)
