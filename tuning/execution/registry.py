"""Which pool carries a job out: what `workers` may be.

A pool of one's own is a `Pool` (held to its contract by the conformance suite) and a `PoolMaker`
for it. The maker is given as `workers`, or by name where its distribution has the entry point

    [project.entry-points."surefoot.pools"]
    slurm = "my_package:slurm"

and then `workers="slurm"` finds it. One that is built in has its line in `_NAMED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeAlias, runtime_checkable

from trainers import InvalidInput, Problem
from tuning.execution.base import Pool
from tuning.execution.fair_share import Company, Share
from tuning.execution.in_process import InThisProcess
from tuning.execution.ray_pool import OnCluster, OnThisMachine
from tuning.execution.ray_session import shared_environment
from tuning.spec.cluster_section import ClusterSpec
from tuning.trial.task import TrainingConfig

__all__ = ["PoolMaker", "Workers", "pool_maker"]

_ENTRY_POINTS = "surefoot.pools"
_MOST_WORKERS = 10_000


@runtime_checkable
class PoolMaker(Protocol):
    """Makes the pool of one job."""

    def make_pool(self, problem: Problem, config: TrainingConfig, limits: ClusterSpec) -> Pool:
        """A pool, open; whoever asks closes it.

        Args:
            problem, config: what every task trains.
            limits: the job's `[cluster]` table, for the seconds that a task and its way may take.
        """


#: A number of Ray workers on this machine, or None for one on each CPU; a pool's name; its maker.
Workers: TypeAlias = int | str | PoolMaker | None


class _OnTheClusterHere:
    """`workers` of the Ray cluster that this machine is a node of, and whose nodes share its files:
    as within a batch job of Slurm."""

    def make_pool(self, problem: Problem, config: TrainingConfig, limits: ClusterSpec) -> Pool:
        """See `PoolMaker`."""
        share = Share(limits.max_tasks, Company)
        on = OnCluster(limits.cpus_per_task, share, shared_environment())
        return on.make_pool(problem, config, limits)


_NAMED: Mapping[str, PoolMaker] = {"inline": InThisProcess(), "cluster": _OnTheClusterHere()}


def pool_maker(workers: object) -> PoolMaker:
    """Who makes the pool that `workers` asks for.

    Raises:
        InvalidInput: there is no such pool.
    """
    if workers is None:
        return OnThisMachine()
    if isinstance(workers, int) and not isinstance(workers, bool):
        if 1 <= workers <= _MOST_WORKERS:
            return OnThisMachine(workers)
    elif isinstance(workers, str):
        if workers in _NAMED:
            return _NAMED[workers]
        for found in entry_points(group=_ENTRY_POINTS, name=workers):
            maker: Any = found.load()
            if isinstance(maker, PoolMaker):
                return maker
    elif isinstance(workers, PoolMaker):
        return workers
    names = dict.fromkeys([*_NAMED, *sorted(entry_points(group=_ENTRY_POINTS).names)])
    raise InvalidInput(
        f"workers = {workers!r} is not valid; a whole number from 1 to {_MOST_WORKERS}, "
        f"or {', '.join(map(repr, names))}"
    )
