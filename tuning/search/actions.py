"""What the coordinator wants done: the other half of its interface, beside a pool's events."""

from __future__ import annotations

from dataclasses import dataclass

from tuning.execution.base import TaskId
from tuning.trial.result import SettingResult
from tuning.trial.setting import Block

__all__ = ["Action", "Fail", "Finish", "Submit", "Tell"]


@dataclass(frozen=True)
class Submit:
    """Carry out a task. `failures`: how often it was lost before, and its node stayed."""

    task_id: TaskId
    block: Block
    failures: int = 0


@dataclass(frozen=True)
class Tell:
    """Append this result to the study, before any later action."""

    result: SettingResult


@dataclass(frozen=True)
class Finish:
    """Everything has been told."""


@dataclass(frozen=True)
class Fail:
    """The job cannot go on. What has been told is kept."""

    why: str


Action = Submit | Tell | Finish | Fail
