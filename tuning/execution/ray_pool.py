"""Tasks on Ray workers."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

from trainers import Problem
from tuning.execution.base import Event, Failed, Lost, Pool, TaskId, attempt
from tuning.execution.fair_share import Share
from tuning.execution.ray_nodes import own_address, resources
from tuning.execution.ray_tasks import kill, known_of, node_of
from tuning.execution.signals import keeping_sigterm
from tuning.trial.result import Setting
from tuning.trial.task import TrainingConfig

__all__ = ["ONE_THREAD", "OnCluster", "RayPool", "start_ray"]

#: One BLAS thread on every worker, set before NumPy is imported there: the rounding depends on it.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

# A worker ends itself when its task is overdue. One that cannot (it is frozen, or its node hangs)
# is given up this much later.
_GRACE_SECONDS = 15.0
_RESOURCES_SECONDS = 0.5
# Objects above 100 kB pass between nodes by a way of their own, which may be closed where small
# messages pass. Ray waits for them for ever; slower than this they are not waited for here.
_LEAST_BYTES_PER_SECOND = 1e6
# How long to wait for results that have been announced: mostly they are there at once.
_ARRIVAL_SECONDS = 0.1
_PASSAGE = "objects do not pass between these nodes: run surefoot doctor"


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
        transfer: seconds after which an argument or a result that does not come makes its task
            lost, beside the time for its bytes. Waiting for a free CPU does not count.
    """

    def __init__(
        self,
        problem: Problem,
        config: TrainingConfig,
        *,
        workers: int | None = None,
        cluster: OnCluster | None = None,
        timeout: float = 600.0,
        transfer: float = 60.0,
    ) -> None:
        import ray

        self._ray: Any = ray
        self._cluster, self._timeout = cluster, timeout
        self._folder = tempfile.TemporaryDirectory(
            prefix="surefoot-ray-", ignore_cleanup_errors=True
        )
        self._queue: deque[tuple[TaskId, Setting]] = deque()
        self._running: dict[Any, tuple[TaskId, float]] = {}
        self._arriving: dict[Any, tuple[TaskId, float]] = {}  # ended, and their results on the way
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
            given = ray.put((problem, config))
            undo.pop_all()
        (size,) = [found["object_size"] for found in _locations(ray, [given]).values()]
        self._transfer = transfer + (size or 0) / _LEAST_BYTES_PER_SECOND
        # In a list: a task whose argument does not come would wait in Ray's queue, where nothing
        # tells it from one that waits for a CPU. So it begins without, and asks for it by itself.
        self._job = _Job([given], own_address(), timeout, self._transfer)
        self._remote = ray.remote(num_cpus=cluster.cpus if cluster else 1, max_retries=0)(_attempt)
        # A session that was there already may have set no threads; these workers need one.
        aside = not self._started and cluster is None
        self._options = {"runtime_env": {"env_vars": ONE_THREAD}} if aside else {}

    def submit(self, task_id: TaskId, setting: Setting) -> None:
        self._queue.append((task_id, setting))
        self._start()

    def wait(self, timeout: float) -> list[Event]:
        self._start()
        if running := list(self._running):
            wait = partial(self._ray.wait, running, fetch_local=False)
            ended, _ = wait(num_returns=1, timeout=timeout)
            if ended:  # whatever else has ended by now
                ended, _ = wait(num_returns=len(running), timeout=0)
            for reference in ended:
                self._arriving[reference] = (self._running.pop(reference)[0], time.monotonic())
            timeout = _ARRIVAL_SECONDS
        return [*self._arrived(timeout), *self._overdue()]

    def _arrived(self, timeout: float) -> list[Event]:
        if not self._arriving:
            return []
        arriving = list(self._arriving)
        here, late = self._ray.wait(arriving, num_returns=len(arriving), timeout=timeout)
        events = [self._event(reference) for reference in here]
        for reference in late:
            task_id, since = self._arriving[reference]
            if time.monotonic() - since > self._transfer:
                del self._arriving[reference]
                why = _stuck("its result", node_of(reference), self._job.address, self._transfer)
                events.append(Lost(task_id, why))
        return events

    def close(self) -> None:
        # What runs is not cancelled: that races with its completion, and Ray then ends this process
        # ("Tried to complete task that was not pending", ray#54527; seen once in 75 Ctrl-Cs). It
        # ends with the Ray that was started here, with the driver of a job, or by itself.
        self._queue.clear()
        self._running.clear()
        self._arriving.clear()
        if self._started:
            self._started = False
            self._ray.shutdown()
        self._folder.cleanup()

    def _start(self) -> None:
        """Hand to Ray what may run now."""
        while self._queue and len(self._running) < self._limit():
            task_id, setting = self._queue.popleft()
            task = self._remote.options(
                name=f"setting {task_id.number} part {task_id.part}", **self._options
            )
            reference = task.remote(self._job, task_id, setting)
            self._running[reference] = (task_id, time.monotonic())
            asked, slots, now, free = self._resources
            self._resources = (asked, slots, now, max(0, free - 1))  # this task takes one

    def _limit(self) -> float:
        if self._cluster is None:
            return float("inf")
        asked, slots, before, free = self._resources
        if time.monotonic() - asked > _RESOURCES_SECONDS:
            cpus = self._cluster.cpus
            total, free_cpus = resources()
            slots, now = int(total // cpus), int(free_cpus // cpus)
            # A slot that was given back a moment ago is for whoever waits, not for who gave it.
            free = min(before, now)
            self._resources = (time.monotonic(), slots, now, free)
        return self._cluster.share.limit(slots, free, len(self._running))

    def _event(self, reference: Any) -> Event:
        task_id, _ = self._arriving.pop(reference)
        errors = self._ray.exceptions
        try:
            event: Event = self._ray.get(reference)
        except errors.RayError as error:
            # Not the user's loss, which `attempt` catches: the problem itself, unless the cluster
            # has lost that on its way to the worker.
            unfit = isinstance(error, errors.RayTaskError)
            if unfit and not isinstance(error, errors.ObjectLostError):
                return Failed(task_id, str(error))
            return Lost(task_id, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
        return event

    def _overdue(self) -> list[Event]:
        """Give up the tasks that have been running for too long.

        Those of a pool on this machine end themselves: whoever can freeze them can freeze us.
        """
        late = time.monotonic() - self._timeout - self._transfer - _GRACE_SECONDS
        if self._cluster is None or all(began > late for _, began in self._running.values()):
            return []
        return [
            event
            for reference, (_, began) in list(self._running.items())
            if began <= late and (event := self._give_up(reference)) is not None
        ]

    def _give_up(self, reference: Any) -> Event | None:
        """Kill a task's worker on its node; None for one that still waits for a node."""
        task_id, _ = self._running[reference]
        task = known_of(reference)
        if task is None or not task.begun:
            self._running[reference] = (task_id, time.monotonic())  # its time has not begun
            return None
        del self._running[reference]
        self._ray.cancel(reference, force=True)
        kill(task)
        return Lost(task_id, f"no answer in {self._timeout:g} s, so its worker was killed")


@dataclass(frozen=True)
class _Job:
    """What every task is given.

    Attributes:
        given: a reference to the problem and the work, which is in `address`.
        timeout, transfer: seconds, as for the pool.
    """

    given: list[Any]
    address: str
    timeout: float
    transfer: float


def _attempt(job: _Job, task_id: TaskId, setting: Setting) -> Event:
    import ray

    try:
        problem, config = ray.get(job.given[0], timeout=job.transfer)
    except ray.exceptions.GetTimeoutError:
        return Lost(task_id, _stuck("its problem", job.address, own_address(), job.transfer))
    # A thread of C, which needs no lock of Python's: it ends also a task that hangs in C code, and
    # leaves in the worker's log where it hung.
    faulthandler.dump_traceback_later(job.timeout, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        return attempt(problem, config, task_id, setting)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _stuck(what: str, there: str, here: str, seconds: float) -> str:
    return f"{what} did not come from node {there} to {here} within {seconds:.0f} s: {_PASSAGE}"


def _locations(ray: Any, references: list[Any]) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = ray.experimental.get_object_locations(references)
    return found
