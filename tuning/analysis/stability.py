"""What a setting's own restarts say of P(unstable)."""

from __future__ import annotations

from tuning.spec.job import JobSpec
from tuning.statistics.intervals import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    restarts_needed,
)
from tuning.trial.result import SettingResult

__all__ = ["fails", "is_stable", "looks_stable", "upper_bound"]


def upper_bound(result: SettingResult, spec: JobSpec, confidence: float | None = None) -> float:
    """One-sided Clopper-Pearson bound on P(unstable), at the job's confidence unless given."""
    unstable = result.restarts.unstable
    level = spec.stability.confidence if confidence is None else confidence
    return clopper_pearson_upper(int(unstable.sum()), len(unstable), level)


def is_stable(result: SettingResult, spec: JobSpec, confidence: float | None = None) -> bool:
    """Whether the upper bound is at most `max_unstable`."""
    return upper_bound(result, spec, confidence) <= spec.stability.max_unstable


def fails(result: SettingResult, spec: JobSpec) -> bool:
    """Whether the lower bound is above `max_unstable`."""
    unstable = result.restarts.unstable
    low = clopper_pearson_lower(int(unstable.sum()), len(unstable), spec.stability.confidence)
    return low > spec.stability.max_unstable


def looks_stable(result: SettingResult, spec: JobSpec) -> bool:
    """`is_stable`; with fewer restarts than that needs, whether no restart was unstable."""
    needed = restarts_needed(spec.stability.max_unstable, spec.stability.confidence)
    if len(result.restarts) < needed:
        return not result.restarts.unstable.any()
    return is_stable(result, spec)
