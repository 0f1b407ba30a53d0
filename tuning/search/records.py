"""Results as the study's trials, and back."""

from __future__ import annotations

from trainers import InvalidInput
from tuning.spec.job import JobSpec
from tuning.study import StudyStore, TrialRecord
from tuning.trial.result import SettingResult

__all__ = ["results_of", "to_record", "violation"]


def violation(result: SettingResult, spec: JobSpec) -> float:
    """Of the constraint on stability, as Optuna takes it: above 0 the setting is too unstable."""
    return result.unstable_fraction - spec.stability.max_unstable


def to_record(result: SettingResult, spec: JobSpec) -> TrialRecord:
    """The trial that holds `result` in the study of `spec`."""
    setting, space = result.setting, spec.search.space
    return TrialRecord(
        number=setting.number,
        params={"optimizer": space.optimizers[setting.optimizer], **setting.hyperparameters},
        space=space.reaching(setting.hyperparameters),
        value=result.value,
        constraints=(violation(result, spec),),
        attributes={
            "role": setting.role.value,
            "unstable": result.unstable_fraction,
            "result": result.to_json(),
        },
    )


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
