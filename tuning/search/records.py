"""Results as the study's trials, and back."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from trainers import InvalidInput
from tuning.spec.job import JobSpec
from tuning.study import StudyStore, TrialRecord
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

__all__ = ["results_of", "to_record", "violation"]

_POINTS = 20  # of a curve: each is a row in PostgreSQL


def violation(result: SettingResult, spec: JobSpec) -> float:
    """Of the constraint on stability, as Optuna takes it: above 0 the setting is too unstable."""
    return result.unstable_fraction - spec.stability.max_unstable


def to_record(result: SettingResult, spec: JobSpec) -> TrialRecord:
    """The trial that holds `result` in the study of `spec`.

    Its second constraint is met by what the search tried alone: Optuna's best trial is then no
    confirmation, at twice the rate for one, and none of a few starts that were chosen. It lasted as
    long as its tasks did, one after another.
    """
    setting, space = result.setting, spec.search.space
    ended = datetime.fromtimestamp(result.finished_at)
    seconds = result.training_seconds + result.classifying_seconds
    return TrialRecord(
        number=setting.number,
        params={"optimizer": space.optimizers[setting.optimizer], **setting.hyperparameters},
        space=space.reaching(setting.hyperparameters),
        value=result.value,
        constraints=(violation(result, spec), float(setting.role is not Role.SEARCH)),
        attributes={
            "role": setting.role.value,
            "unstable": result.unstable_fraction,
            "result": result.to_json(),
        },
        curve=_curve(result),
        began=ended - timedelta(seconds=seconds),
        ended=ended,
    )


def _curve(result: SettingResult) -> dict[int, float]:
    """The median loss at a few steps, as long as half of the restarts have one."""
    steps, (_, median, _) = result.curves.steps, result.curves.quantiles()
    few = np.unique(np.linspace(0, len(steps) - 1, _POINTS).round().astype(int))
    return {int(steps[i]): float(median[i]) for i in few if np.isfinite(median[i])}


def results_of(store: StudyStore) -> list[SettingResult]:
    """The study's prefix.

    Raises:
        InvalidInput: a line of the study is missing or was changed.
    """
    results = []
    for record in store.records():
        try:
            result = SettingResult.from_json(record.attributes["result"])  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"the study is damaged: trial {record.number}: {error!r}") from error
        if result.setting.number != record.number:
            raise InvalidInput(
                f"the study is damaged: trial {record.number} holds setting "
                f"{result.setting.number}; restore study.log, or run the job anew"
            )
        results.append(result)
    return results
