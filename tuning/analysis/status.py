"""How far each setting came: `Status`, decided."""

from __future__ import annotations

from tuning.analysis.recommendation import Verdict
from tuning.analysis.stability import fails, looks_stable
from tuning.report.status import Status
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

__all__ = ["status_alone", "status_of"]


def status_alone(result: SettingResult, spec: JobSpec) -> Status:
    """By its own restarts: what is known while the job goes on."""
    if fails(result, spec):
        return Status.UNSTABLE
    return Status.LOOKS_STABLE if looks_stable(result, spec) else Status.UNDECIDED


def status_of(result: SettingResult, verdict: Verdict, spec: JobSpec) -> Status:
    """By all that `verdict` rests on; `Status` says when a setting has which."""
    alone, here, best = status_alone(result, spec), result.setting, verdict.best
    if best is not None and here == best.setting:
        return Status.RECOMMENDED
    if here in [r.setting for r in verdict.confirmed]:
        return Status.CONFIRMED
    if here.role is not Role.SEARCH:
        return alone
    if (
        best is not None
        and here.optimizer == best.setting.optimizer
        and here.hyperparameters == best.setting.hyperparameters
    ):
        return Status.CONFIRMED
    if alone is Status.LOOKS_STABLE and verdict.speaks_against(result):
        own = [r for bad, (r, *_) in verdict.refused if bad.setting == here]
        return Status.UNSTABLE if any(fails(r, spec) for r in own) else Status.UNDECIDED
    return alone
