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
    from tuning.cluster.handle import SubmittedJob, list_jobs, load_job
    from tuning.cluster.submit import submit
    from tuning.own_results import verdict
    from tuning.report.model import Report
    from tuning.runner.find_learning_rate import find_learning_rate
    from tuning.runner.local_api import load_report, load_study, resume, tune
    from tuning.runner.replay import replay
    from tuning.search.cliff_sampler import CliffSampler
    from tuning.spec.job import JobSpec

__all__ = [
    "CliffSampler",
    "InvalidInput",
    "JobSpec",
    "ProblemFailed",
    "Report",
    "SubmittedJob",
    "SurefootError",
    "find_learning_rate",
    "list_jobs",
    "load_job",
    "load_report",
    "load_study",
    "replay",
    "resume",
    "submit",
    "tune",
    "verdict",
]

_HOMES = {
    "CliffSampler": "tuning.search.cliff_sampler",
    "InvalidInput": "trainers.errors",
    "JobSpec": "tuning.spec.job",
    "ProblemFailed": "trainers.errors",
    "Report": "tuning.report.model",
    "SubmittedJob": "tuning.cluster.handle",
    "SurefootError": "trainers.errors",
    "find_learning_rate": "tuning.runner.find_learning_rate",
    "list_jobs": "tuning.cluster.handle",
    "load_job": "tuning.cluster.handle",
    "load_report": "tuning.runner.local_api",
    "load_study": "tuning.runner.local_api",
    "replay": "tuning.runner.replay",
    "resume": "tuning.runner.local_api",
    "submit": "tuning.cluster.submit",
    "tune": "tuning.runner.local_api",
    "verdict": "tuning.own_results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tuning' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
