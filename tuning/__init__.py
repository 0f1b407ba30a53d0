"""Surefoot: how fast a model can learn without falling or getting stuck.

    import tuning

    report = tuning.tune("xor.toml")
    report.best_stable.learning_rate

The names below are the public surface. They are imported when first used: Optuna, MLflow and Ray
take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainers.errors import InvalidInput, ProblemFailed, SurefootError
    from tuning.api import load_report, load_study, resume, tune
    from tuning.jobspec import JobSpec
    from tuning.replaying import replay
    from tuning.report import Report
    from tuning.submitted import SubmittedJob, list_jobs, load_job
    from tuning.submitting import submit

__all__ = [
    "InvalidInput",
    "JobSpec",
    "ProblemFailed",
    "Report",
    "SubmittedJob",
    "SurefootError",
    "list_jobs",
    "load_job",
    "load_report",
    "load_study",
    "replay",
    "resume",
    "submit",
    "tune",
]

_HOMES = {
    "InvalidInput": "trainers.errors",
    "JobSpec": "tuning.jobspec",
    "ProblemFailed": "trainers.errors",
    "Report": "tuning.report",
    "SubmittedJob": "tuning.submitted",
    "SurefootError": "trainers.errors",
    "list_jobs": "tuning.submitted",
    "load_job": "tuning.submitted",
    "load_report": "tuning.api",
    "load_study": "tuning.api",
    "replay": "tuning.replaying",
    "resume": "tuning.api",
    "submit": "tuning.submitting",
    "tune": "tuning.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuning' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
