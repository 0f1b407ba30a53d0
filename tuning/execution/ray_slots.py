"""What a task reserves of a Ray cluster, and how many of them fit."""

from __future__ import annotations

import os
from dataclasses import dataclass

from trainers import InvalidInput, Problem
from tuning.execution.ray_nodes import gpus_of_nodes, resources

__all__ = ["Reserved", "hide_gpus"]

_ROUNDING = 1e-6  # Ray counts ten-thousandths


@dataclass(frozen=True)
class Reserved:
    """Of one task.

    Attributes:
        cpus. gpus: a part of one, or whole ones.
    """

    cpus: float = 1.0
    gpus: float = 0.0

    def check(self, problem: Problem) -> None:
        """Ray lets a task that fits nowhere wait for ever: so it is refused.

        Raises:
            InvalidInput: the problem needs a GPU, and none is asked for; or no node of the cluster
                that this process is connected to has so many.
        """
        if problem.needs_gpu and not self.gpus:
            raise InvalidInput(
                "the problem needs a GPU, and cluster.gpus_per_task = 0: give each task one, or a "
                "part of one as 0.25"
            )
        if self.gpus and (most := max(gpus_of_nodes(), default=0.0)) < self.gpus:
            has = f"at most {most:g} on one node" if most else "none"
            raise InvalidInput(
                f"cluster.gpus_per_task = {self.gpus:g} cannot be: the workers have {has} "
                "(ray status); leave it out to train on CPUs, or start workers with GPUs"
            )

    def slots(self) -> tuple[int, int]:
        """How many tasks the cluster can carry out at once, and how many more now."""
        total, free = resources("CPU")
        slots, now = _fit(total, self.cpus), _fit(free, self.cpus)
        if self.gpus:
            _, free = resources("GPU")
            # No task has parts of two GPUs, nor GPUs of two nodes.
            of_one = _fit(1.0, self.gpus)
            most = sum(int(n) * of_one if of_one else _fit(n, self.gpus) for n in gpus_of_nodes())
            slots, now = min(slots, most), min(now, _fit(free, self.gpus))
        return slots, min(now, slots)


def hide_gpus() -> None:
    """A task that has reserved no GPU trains on the CPU: Ray leaves it to see all of them, and what
    others have reserved would be filled up. Before the problem arrives, which looks for one."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _fit(there: float, each: float) -> int:
    return int(there / each + _ROUNDING)
