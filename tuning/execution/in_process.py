"""The pool that needs nothing but this process; and one task, as every pool carries it out."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from trainers import Problem, ProblemFailed, SurefootError
from tuning.execution.base import Done, Event, Failed, Lost, Outcome, Pool, TaskId
from tuning.spec.cluster_section import ClusterSpec
from tuning.trial.setting import Block
from tuning.trial.task import TrainingConfig, run_task
from tuning.trial.watch import Watch

__all__ = ["InProcessPool", "InThisProcess", "attempt", "user_code"]


class InProcessPool(Pool):
    """Carries out tasks in this process, one after another: no Ray, the same answer."""

    def __init__(self, problem: Problem, config: TrainingConfig) -> None:
        self._problem, self._config = problem, config
        self._queue: deque[tuple[TaskId, Block]] = deque()

    def submit(self, task_id: TaskId, block: Block) -> None:
        """See `Pool`.

        Raises:
            InvalidInput: the problem cannot be trained in this process.
        """
        self._problem.check_here()
        self._queue.append((task_id, block))

    def wait(self, timeout: float) -> list[Event]:
        if not self._queue:
            return []
        task_id, block = self._queue.popleft()
        return [attempt(self._problem, self._config, task_id, block)]

    def close(self) -> None:
        self._queue.clear()


class InThisProcess:
    """`workers` of a pool in this process."""

    def make_pool(self, problem: Problem, config: TrainingConfig, limits: ClusterSpec) -> Pool:
        """As `registry.PoolMaker` says; there is nothing to limit."""
        return InProcessPool(problem, config)


def attempt(
    problem: Problem,
    config: TrainingConfig,
    task_id: TaskId,
    block: Block,
    watch: Watch | None = None,
) -> Outcome:
    """Carry out one task; what the user's code raises becomes the event."""
    try:
        with user_code():
            return Done(task_id, run_task(problem, config, block, watch))
    except MemoryError as error:  # another time, or on another node, there may be enough
        return Lost(task_id, f"out of memory: {error}".rstrip(": "))
    except SurefootError as error:
        return Failed(task_id, str(error))


@contextmanager
def user_code() -> Iterator[None]:
    """Turn whatever the user's code raises into a `ProblemFailed` that holds its traceback.

    The one place where it meets ours, and so the one that catches everything; nothing is hidden.
    """
    try:
        yield
    except (SurefootError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise ProblemFailed(traceback.format_exc()) from error
