"""Where tasks are carried out: one contract, and the pool that needs nothing but this process."""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainers import Problem, ProblemFailed, SurefootError
from tuning.trial.result import Setting, SettingResult
from tuning.trial.task import TrainingConfig, run_task

__all__ = ["Done", "Event", "Failed", "InProcessPool", "Lost", "Pool", "TaskId", "user_code"]


@dataclass(frozen=True, order=True)
class TaskId:
    """One task: part `part` of trial `number`, in its `attempt`-th attempt."""

    number: int
    part: int
    attempt: int = 0


@dataclass(frozen=True)
class Done:
    """The task gave a result."""

    task_id: TaskId
    result: SettingResult


@dataclass(frozen=True)
class Lost:
    """The infrastructure failed the task (a killed worker, a lost node); it may be tried again."""

    task_id: TaskId
    why: str


@dataclass(frozen=True)
class Failed:
    """The problem's own code raised, with this traceback. Trying again would not help."""

    task_id: TaskId
    trace: str


Event = Done | Lost | Failed


class Pool(ABC):
    """Carries out tasks.

    Every task submitted comes back as exactly one event, in any order, unless the pool is closed
    first. A pool belongs to one thread.
    """

    @abstractmethod
    def submit(self, task_id: TaskId, setting: Setting) -> None:
        """Queue a task; returns at once."""

    @abstractmethod
    def wait(self, timeout: float) -> list[Event]:
        """What has come back, perhaps nothing; waits at most `timeout` seconds for the first."""

    @abstractmethod
    def close(self) -> None:
        """Drop what is queued or running and free what the pool holds; may be called twice."""


class InProcessPool(Pool):
    """Carries out tasks in this process, one after another: no Ray, the same answer."""

    def __init__(self, problem: Problem, config: TrainingConfig) -> None:
        self._problem, self._config = problem, config
        self._queue: deque[tuple[TaskId, Setting]] = deque()

    def submit(self, task_id: TaskId, setting: Setting) -> None:
        self._queue.append((task_id, setting))

    def wait(self, timeout: float) -> list[Event]:
        if not self._queue:
            return []
        task_id, setting = self._queue.popleft()
        return [attempt(self._problem, self._config, task_id, setting)]

    def close(self) -> None:
        self._queue.clear()


def attempt(problem: Problem, config: TrainingConfig, task_id: TaskId, setting: Setting) -> Event:
    """Carry out one task; what the user's code raises becomes the event."""
    try:
        with user_code():
            return Done(task_id, run_task(problem, config, setting))
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
