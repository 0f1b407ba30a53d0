"""Max-min fairness, in a simulated cluster in which tasks take turns as Ray queues them."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_cluster import TABLE
from tests.support.made_results import block
from trainers import get_problem
from tuning.execution.base import TaskId
from tuning.execution.fair_share import Company, Share
from tuning.execution.ray_pool import OnCluster, RayPool
from tuning.spec.job import read_spec
from tuning.trial.task import TrainingConfig

counts = st.integers(0, 200)


@given(
    slots=counts,
    free=counts,
    running=counts,
    jobs=st.integers(1, 50),
    most=st.none() | counts,
    outranked=st.booleans(),
)
def test_bounds(
    slots: int, free: int, running: int, jobs: int, most: int | None, outranked: bool
) -> None:
    limit = Share(most or None, lambda: Company(jobs, outranked)).limit(slots, free, running)
    assert limit >= 1  # a job is never starved, not even of a cluster without workers
    if most:
        assert limit <= most
        return
    assert limit >= running + free  # nothing stays free that a job could use
    part = 2 * slots if jobs == 1 else -(-slots // jobs)
    assert limit == max(1, 0 if outranked else part, running + free)


def test_it_asks_how_many_are_at_work_each_time() -> None:
    at_work = iter([Company(1), Company(4)])
    share = Share(None, lambda: next(at_work))
    assert [share.limit(8, 0, 0) for _ in range(2)] == [16, 2]


@dataclass
class Job:
    """Tasks that wait to be handed to Ray, that wait in its queue, and that run."""

    share: Share
    tasks: int
    queued: int = 0
    running: int = 0

    @property
    def handed(self) -> int:
        return self.queued + self.running


@dataclass
class Cluster:
    """`slots` tasks run at once, those handed over first; each ends after so many ticks."""

    slots: int
    duration: int
    queue: deque[Job] = field(default_factory=deque)
    ends: list[tuple[int, Job]] = field(default_factory=list)
    idle: int = 0

    def tick(self, now: int, jobs: list[Job]) -> None:
        for end, job in self.ends:
            job.running -= end == now
        self.ends = [(end, job) for end, job in self.ends if end != now]
        self._start(now)
        for job in jobs:
            free = self.slots - len(self.ends)
            while job.tasks and job.handed < job.share.limit(self.slots, free, job.handed):
                job.tasks -= 1
                job.queued += 1
                free = max(0, free - 1)
                self.queue.append(job)
        self._start(now)
        if any(job.tasks for job in jobs):
            self.idle += self.slots - len(self.ends)

    def _start(self, now: int) -> None:
        while self.queue and len(self.ends) < self.slots:
            job = self.queue.popleft()
            job.queued -= 1
            job.running += 1
            # Not all at once: as in earnest, tasks end one after another.
            self.ends.append((now + self.duration + len(self.ends) % 3, job))


def fair(slots: int, demands: list[int]) -> list[int]:
    """By the definition: slot after slot to whoever has fewest and wants more."""
    parts = [0] * len(demands)
    for _ in range(slots):
        wanting = [i for i, demand in enumerate(demands) if parts[i] < demand]
        if not wanting:
            break
        parts[min(wanting, key=lambda i: parts[i])] += 1
    return parts


@settings(max_examples=30, deadline=None)
@given(
    slots=st.integers(1, 8),
    caps=st.lists(st.integers(1, 10), min_size=1, max_size=4),
    late=st.integers(0, 12),
)
def test_each_job_gets_its_fair_part_soon_and_no_slot_is_idle(
    slots: int, caps: list[int], late: int
) -> None:
    # A job without max_tasks that has the cluster for itself at first; then the others come.
    cluster, jobs = Cluster(slots, duration=5), list[Job]()
    jobs.append(Job(Share(None, lambda: Company(len(jobs))), 10_000))
    for now in range(late):
        cluster.tick(now, jobs)
    jobs += [Job(Share(most, lambda: Company(len(jobs))), 10_000) for most in caps]
    # What the first has handed over by then, twice the slots, is carried out first.
    settled, seen = late + 4 * 7, [0] * len(jobs)
    for now in range(late, settled + 70):
        cluster.tick(now, jobs)
        if now >= settled:
            seen = [total + job.running for total, job in zip(seen, jobs, strict=True)]
    # A job may have one task more than its part, when the slots cannot be parted evenly.
    demands = [slots, *(min(most, -(-slots // len(jobs))) for most in caps)]
    for job, total, part in zip(jobs, seen, fair(slots, demands), strict=True):
        assert total / 70 >= min(part, slots // len(jobs)) * 0.5, (job, seen)
        assert total > 0
        assert job.share.most is None or job.handed <= job.share.most
    assert cluster.idle == 0


@pytest.mark.parametrize("late", [0, 7, 12])
def test_a_job_of_a_higher_priority_comes_before(late: int) -> None:
    """What is outranked keeps one task at least, and has all again when the other is done."""
    slots, high = 6, Job(Share(None, Company), 0)
    low = Job(Share(None, lambda: Company(1, outranked=bool(high.tasks))), 10_000)
    cluster, jobs = Cluster(slots, duration=5), [low, high]
    for now in range(late):
        cluster.tick(now, jobs)
    high.tasks = 120
    seen: list[tuple[int, int]] = []
    for now in range(late, late + 300):
        cluster.tick(now, jobs)
        seen.append((low.running, high.running))
        if not high.handed:
            break
    steady = seen[4 * 7 : -4 * 7]  # what was handed over before is carried out first
    assert len(steady) > 20
    assert all(of_low <= 1 and of_high >= slots - 1 for of_low, of_high in steady)
    assert any(of_low for of_low, _ in steady)  # it is not starved
    for now in range(late + len(seen), late + len(seen) + 20):
        cluster.tick(now, jobs)
    assert (low.running, cluster.idle) == (slots, 0)


def test_a_free_slot_is_taken_once_however_long_ray_s_numbers_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray is asked for its free CPUs twice a second; a job's queue is handed over in an instant.
    What has just become free is not taken: it may have been given back for somebody else."""
    handed: list[tuple[Any, ...]] = []

    class Task:
        def options(self, **_: Any) -> Task:
            return self

        def remote(self, *arguments: Any) -> object:
            handed.append(arguments)
            return object()

    ray = SimpleNamespace(
        init=lambda **_: None,
        put=lambda what: what,
        remote=lambda **_: lambda _: Task(),
        cluster_resources=lambda: {"CPU": 8.0},
        available_resources=lambda: {"CPU": 5.0 - len(handed)},
        wait=lambda pending, **_: ([], pending),
        cancel=lambda *_, **__: None,
        exceptions=SimpleNamespace(RayError=RuntimeError),
        experimental=SimpleNamespace(
            get_object_locations=lambda _: {0: {"object_size": 9}},
            internal_kv=SimpleNamespace(_internal_kv_list=lambda *_, **__: []),
        ),
        util=SimpleNamespace(get_node_ip_address=lambda: "10.0.0.1"),
        is_initialized=lambda: False,
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    cluster = OnCluster(1.0, Share(None, lambda: Company(4)))  # whose part is two slots
    pool = RayPool(get_problem("xor"), TrainingConfig.of(read_spec(TABLE)), cluster)
    for number in range(100):
        pool.submit(TaskId(number, 0), block(0.1, restarts=4))
    assert len(handed) == 2
    time.sleep(0.6)
    pool.wait(0.0)
    assert len(handed) == 5
    pool.close()
