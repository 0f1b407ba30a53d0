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

from trainers.errors import InvalidInput, ProblemFailed, SurefootError

if TYPE_CHECKING:
    from tuning.api import load_report, load_study, resume, tune
    from tuning.jobspec import JobSpec
    from tuning.replaying import replay
    from tuning.report import Report

__all__ = [
    "InvalidInput",
    "JobSpec",
    "ProblemFailed",
    "Report",
    "SurefootError",
    "load_report",
    "load_study",
    "replay",
    "resume",
    "tune",
]

_HOMES = {
    "JobSpec": "tuning.jobspec",
    "Report": "tuning.report",
    "load_report": "tuning.api",
    "load_study": "tuning.api",
    "replay": "tuning.replaying",
    "resume": "tuning.api",
    "tune": "tuning.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuning' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
