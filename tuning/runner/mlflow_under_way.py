"""Settings that take long to train, in MLflow while they do."""

from __future__ import annotations

import time

from tuning.execution.base import TaskProgress
from tuning.report.formatting import count
from tuning.runner.mlflow_projection import curves_of, name_of, optimizer_colour, params_of
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.tracking import Run, Tracker
from tuning.trial.setting import Setting

__all__ = ["SettingsUnderWay"]


class SettingsUnderWay:
    """A run for each setting that is told of while it trains, gone when it has been trained.

    It shows the restarts of one of the setting's tasks, the first that is heard of: tasks are at
    different steps, and a curve over both would jump.
    """

    def __init__(self, job_id: str, spec: JobSpec, tracker: Tracker) -> None:
        self._job_id, self._spec, self._tracker = job_id, spec, tracker
        self._shown: dict[int, tuple[int, float]] = {}  # by number: which task, and since when

    def heard(self, setting: Setting, progress: TaskProgress) -> None:
        """One of its tasks is so far."""
        task, losses = progress.task_id, progress.losses
        part, since = self._shown.setdefault(setting.number, (task.part, time.time()))
        if task.part != part:
            return
        rule, steps = self._spec.search.rules[setting.optimizer], self._spec.training.steps
        self._tracker.put(
            Run(
                key=self._key(setting.number),
                name=f"{name_of(setting, rule)} (training)",
                params=params_of(setting, self._spec),
                tags={"optimizer": rule.label, "outcome": "training", "role": "training"},
                # Before the others: the view is sorted by it, and no other has one by now.
                metrics={LEARNING_RATE: setting.learning_rate, "rank": 0.0},
                curves=curves_of("loss", losses.steps, losses.quantiles),
                seconds=(since, time.time()),
                colour=optimizer_colour(setting.optimizer),
                note=f"step {count(losses.steps[-1])} of {count(steps)}; the curve is that of "
                f"{count(losses.restarts)} of its {count(len(setting.starts))} restarts",
                under_way=True,
            )
        )

    def told(self, number: int) -> None:
        """The setting has been trained."""
        if self._shown.pop(number, None) is not None:
            self._tracker.drop(self._key(number))

    def ended(self) -> None:
        """Nothing trains any more."""
        for number in list(self._shown):
            self.told(number)

    def _key(self, number: int) -> str:
        return f"{self._job_id}/{number}.training"
