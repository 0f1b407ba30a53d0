"""Tasks on Ray workers."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from trainers import Problem
from trainers._plugins import module_origins
from tuning.execution.base import Event, Failed, Lost, Outcome, Pool, TaskId
from tuning.execution.fair_share import Share
from tuning.execution.ray_nodes import own_address
from tuning.execution.ray_progress import Heard
from tuning.execution.ray_session import ONE_THREAD, join_ray, start_ray
from tuning.execution.ray_slots import Reserved
from tuning.execution.ray_tasks import kill, known_of, node_of
from tuning.execution.ray_worker import WorkerJob, attempt_on_worker, stuck
from tuning.spec.cluster_section import ClusterSpec
from tuning.trial.setting import Block
from tuning.trial.task import TrainingConfig

__all__ = ["OnCluster", "OnThisMachine", "RayPool"]

# A worker ends itself when its task is overdue. One that cannot (it is frozen, or its node hangs)
# is given up this much later.
_GRACE_SECONDS = 15.0
_RESOURCES_SECONDS = 0.5
# Objects above 100 kB pass between nodes by a way of their own, which may be closed where small
# messages pass. Ray waits for them for ever; slower than this they are not waited for here.
_LEAST_BYTES_PER_SECOND = 1e6
# How long to wait for results that have been announced: mostly they are there at once.
_ARRIVAL_SECONDS = 0.1


@dataclass(frozen=True)
class OnThisMachine:
    """`workers` of a pool of Ray workers here: how many, or one for each CPU."""

    count: int | None = None

    def make_pool(self, problem: Problem, config: TrainingConfig, limits: ClusterSpec) -> Pool:
        """As `registry.PoolMaker` says."""
        return RayPool(problem, config, self, limits)


@dataclass(frozen=True)
class OnCluster:
    """`workers` of a pool of the cluster in which this process is a job's driver.

    Attributes:
        cpus: of each task.
        share: how many tasks may run at once.
        environment: variables for its workers, beside those that the cluster gives them.
    """

    cpus: float
    share: Share
    environment: Mapping[str, str] = field(default_factory=dict)

    def make_pool(self, problem: Problem, config: TrainingConfig, limits: ClusterSpec) -> Pool:
        """As `registry.PoolMaker` says."""
        return RayPool(problem, config, self, limits)


_HERE, _USUAL = OnThisMachine(), ClusterSpec()


class RayPool(Pool):
    """Carries out tasks as Ray tasks, on this machine or on the cluster of this driver.

    `max_retries=0`: a lost task is an event, counted and retried by the coordinator, and never run
    again behind its back.

    Args:
        workers: how many on this machine, or the cluster.
        limits: `task_timeout`, seconds after which a task counts as hung: it is killed, and lost;
            `transfer_timeout`, seconds after which an argument or a result that does not come makes
            its task lost, beside the time for its bytes. Waiting for a free CPU does not count.
            `gpus_per_task`, what each reserves beside CPUs.

    Raises:
        InvalidInput: tasks shall have GPUs that the workers have not.
    """

    def __init__(
        self,
        problem: Problem,
        config: TrainingConfig,
        workers: OnThisMachine | OnCluster = _HERE,
        limits: ClusterSpec = _USUAL,
    ) -> None:
        import ray

        self._ray: Any = ray
        cluster = workers if isinstance(workers, OnCluster) else None
        self._cluster, self._timeout = cluster, limits.task_timeout
        self._folder = tempfile.TemporaryDirectory(
            prefix="surefoot-ray-", ignore_cleanup_errors=True
        )
        self._queue: deque[tuple[TaskId, Block]] = deque()
        self._running: dict[Any, tuple[TaskId, float]] = {}
        # Those that have ended, and whose results are on the way: which, how long they took, since
        # when.
        self._arriving: dict[Any, tuple[TaskId, float, float]] = {}
        # When they were asked for; slots, those free then, those free also the time before.
        self._resources = (0.0, 0, 0, 0)
        self._started = False
        with contextlib.ExitStack() as undo:  # what was started must not stay behind a failure
            undo.callback(self.close)
            if isinstance(workers, OnThisMachine):
                self._started = start_ray(workers.count, self._folder.name)
            else:
                join_ray(workers.environment)
            self._reserved = Reserved(cluster.cpus if cluster else 1.0, limits.gpus_per_task)
            self._reserved.check(problem)
            given = ray.put((problem, config))
            undo.pop_all()
        (size,) = [found["object_size"] for found in _locations(ray, [given]).values()]
        self._transfer = limits.transfer_timeout + (size or 0) / _LEAST_BYTES_PER_SECOND
        # In a list: a task whose argument does not come would wait in Ray's queue, where nothing
        # tells it from one that waits for a CPU. So it begins without, and asks for it by itself.
        origins = {name: str(origin) for name, origin in module_origins().items()}
        self._heard = Heard(ray)
        self._job = WorkerJob(
            [given],
            own_address(),
            self._timeout,
            self._transfer,
            origins,
            self._reserved,
            self._heard.name,
        )
        # With GPUs, Ray ends a worker after each task: what it holds of them is free then, and the
        # next one may be given another.
        self._remote = ray.remote(
            num_cpus=self._reserved.cpus, num_gpus=self._reserved.gpus, max_retries=0
        )(attempt_on_worker)
        # A session that was there already may have set no threads; these workers need one.
        aside = not self._started and cluster is None
        self._options = {"runtime_env": {"env_vars": ONE_THREAD}} if aside else {}

    def submit(self, task_id: TaskId, block: Block) -> None:
        self._queue.append((task_id, block))
        self._start()

    def wait(self, timeout: float) -> list[Event]:
        self._start()
        if running := list(self._running):
            wait = partial(self._ray.wait, running, fetch_local=False)
            ended, _ = wait(num_returns=1, timeout=timeout)
            if ended:  # whatever else has ended by now
                ended, _ = wait(num_returns=len(running), timeout=0)
            for reference in ended:
                task_id, began = self._running.pop(reference)
                now = time.monotonic()
                self._arriving[reference] = (task_id, now - began, now)
            timeout = _ARRIVAL_SECONDS
        events = [*self._arrived(timeout), *self._overdue()]
        return [*self._heard.of(task_id for task_id, _ in self._running.values()), *events]

    def _arrived(self, timeout: float) -> list[Event]:
        if not self._arriving:
            return []
        arriving = list(self._arriving)
        here, late = self._ray.wait(arriving, num_returns=len(arriving), timeout=timeout)
        events: list[Event] = [self._event(reference) for reference in here]
        for reference in late:
            task_id, _, since = self._arriving[reference]
            if time.monotonic() - since > self._transfer:
                del self._arriving[reference]
                why = stuck("its result", node_of(reference), self._job.address, self._transfer)
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
            task_id, block = self._queue.popleft()
            task = self._remote.options(
                name=f"setting {task_id.number} part {task_id.part}", **self._options
            )
            reference = task.remote(self._job, task_id, block)
            self._running[reference] = (task_id, time.monotonic())
            asked, slots, now, free = self._resources
            self._resources = (asked, slots, now, max(0, free - 1))  # this task takes one

    def _limit(self) -> float:
        if self._cluster is None:
            return float("inf")
        asked, slots, before, free = self._resources
        if time.monotonic() - asked > _RESOURCES_SECONDS:
            slots, now = self._reserved.slots()
            # A slot that was given back a moment ago is for whoever waits, not for who gave it.
            free = min(before, now)
            self._resources = (time.monotonic(), slots, now, free)
        return self._cluster.share.limit(slots, free, len(self._running))

    def _event(self, reference: Any) -> Outcome:
        task_id, took, _ = self._arriving.pop(reference)
        errors = self._ray.exceptions
        try:
            event: Outcome = self._ray.get(reference)
        except errors.RayError as error:
            # Not the user's loss, which `attempt` catches: the problem itself, unless the cluster
            # has lost that on its way to the worker.
            unfit = isinstance(error, errors.RayTaskError)
            if unfit and not isinstance(error, errors.ObjectLostError):
                return Failed(task_id, str(error))
            why = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            if isinstance(error, errors.WorkerCrashedError) and took >= self._timeout:
                why += f" If its task takes longer, raise cluster.task_timeout = {self._timeout:g}."
            return Lost(task_id, why, node_left=isinstance(error, errors.NodeDiedError))
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


def _locations(ray: Any, references: list[Any]) -> dict[Any, dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = ray.experimental.get_object_locations(references)
    return found
