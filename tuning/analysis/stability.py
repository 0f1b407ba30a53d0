"""What counts of unstable restarts say of P(unstable)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tuning.spec.job import JobSpec
from tuning.statistics.intervals import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    restarts_needed,
)
from tuning.trial.result import SettingResult

__all__ = ["FIRST_SHARE", "Counts"]

#: Of the error, for the first candidate on fresh starts: mostly it holds.
FIRST_SHARE = 0.8


@dataclass(frozen=True)
class Counts:
    """Of `total` starts, `fallen` are unstable; of `unknown` of them that is not known."""

    fallen: int
    total: int
    unknown: int = 0

    @classmethod
    def of(cls, result: SettingResult) -> Self:
        """Of a setting's own restarts."""
        table = result.restarts
        return cls(int(table.unstable.sum()), len(table), int(table.doubtful.sum()))

    def upper(self, confidence: float) -> float:
        """One-sided Clopper-Pearson bound on P(unstable), as if all the unknown fell."""
        return clopper_pearson_upper(self.fallen + self.unknown, self.total, confidence)

    def fails(self, spec: JobSpec) -> bool:
        """Whether the lower bound is above `max_unstable`."""
        low = clopper_pearson_lower(self.fallen, self.total, spec.stability.confidence)
        return low > spec.stability.max_unstable

    def looks_stable(self, spec: JobSpec) -> bool:
        """Whether the upper bound is at most `max_unstable`; with fewer starts than that needs,
        whether none is unstable."""
        limits = spec.stability
        if self.total < restarts_needed(limits.max_unstable, limits.confidence):
            return self.fallen == self.unknown == 0
        return self.upper(limits.confidence) <= limits.max_unstable
