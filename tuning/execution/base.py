"""The contract of every pool: tasks go in, events come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from tuning.trial.result import BlockResult
from tuning.trial.setting import Block
from tuning.trial.watch import LossBand

__all__ = ["Done", "Event", "Failed", "Lost", "Outcome", "Pool", "TaskId", "TaskProgress"]


@dataclass(frozen=True, order=True)
class TaskId:
    """One task: part `part` of trial `number`, in its `attempt`-th attempt."""

    number: int
    part: int
    attempt: int = 0

    def __str__(self) -> str:
        again = f" (attempt {self.attempt + 1})" if self.attempt else ""
        return f"task {self.number}/{self.part}{again}"


@dataclass(frozen=True)
class Done:
    """The task gave a result."""

    task_id: TaskId
    result: BlockResult


@dataclass(frozen=True)
class Lost:
    """The infrastructure failed the task; it may be tried again.

    Attributes:
        node_left: the whole node went away, as nodes of a cluster do that grows and shrinks: that
            says nothing of the task, and counts for nothing against it.
    """

    task_id: TaskId
    why: str
    node_left: bool = False


@dataclass(frozen=True)
class Failed:
    """The problem's own code raised, with this traceback. Trying again would not help."""

    task_id: TaskId
    trace: str


@dataclass(frozen=True)
class TaskProgress:
    """The task is under way. It changes nothing, and may come any number of times, or never.

    Attributes:
        losses: of its restarts so far.
    """

    task_id: TaskId
    losses: LossBand


#: With one of these a task ends.
Outcome = Done | Lost | Failed
Event = Outcome | TaskProgress


class Pool(ABC):
    """Carries out tasks.

    Every task submitted ends with exactly one `Outcome`, in any order, unless the pool is closed
    first; before that it may say how far it is. A pool belongs to one thread.
    """

    @abstractmethod
    def submit(self, task_id: TaskId, block: Block) -> None:
        """Queue a task; returns at once."""

    @abstractmethod
    def wait(self, timeout: float) -> list[Event]:
        """What has come back, perhaps nothing; waits at most `timeout` seconds for the first."""

    @abstractmethod
    def close(self) -> None:
        """Drop what is queued or running and free what the pool holds; may be called twice."""
