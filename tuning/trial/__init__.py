"""One setting tried: how it is cut into tasks, what a task trains, and what it gives.

Whoever plans, carries out, stores or explains settings comes in. The room knows `spec` and
`trainers`; where a task runs, and what is made of its result, it does not know.
"""

from __future__ import annotations

from tuning.trial.result import Restarts, SettingResult
from tuning.trial.setting import Block, Role, Setting
from tuning.trial.task import TrainingConfig, run_task, split_into_tasks

__all__ = [
    "Block",
    "Restarts",
    "Role",
    "Setting",
    "SettingResult",
    "TrainingConfig",
    "run_task",
    "split_into_tasks",
]
