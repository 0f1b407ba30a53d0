"""What people are told of a job's results while it runs: each is counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

__all__ = ["Tally"]


class Tally:
    """What is counted of the results told so far, each once.

    Attributes:
        search: how much of the search has been told, in settings or, where that is how its size is
            given, in restarts. already: of that, what had been done before this run.
        confirming: whether the search is over. fresh: restarts on fresh starts.
        seconds: of the workers, in training and in judging.
        counts: restarts by `Dynamics`. best: among the settings that look stable, the one with the
            lowest mean loss: for progress only.
    """

    def __init__(self, spec: JobSpec) -> None:
        self._limit = spec.stability.max_unstable
        self._by_restarts = spec.search_size[1] == "restarts"
        self.confirming = False
        self._told = self.search = self.fresh = 0
        self.seconds = (0.0, 0.0)
        self.already: int | None = None
        self.counts: Counter[str] = Counter()
        self.best: SettingResult | None = None

    def take(self, told: Sequence[SettingResult]) -> None:
        """Count those of `told`, all of this job, that are new."""
        for result in told[self._told :]:
            self.counts.update(result.restarts.dynamics.tolist())
            training, judging = self.seconds
            self.seconds = (
                training + result.training_seconds,
                judging + result.classifying_seconds,
            )
            if result.setting.role.is_search:
                self.search += len(result.restarts) if self._by_restarts else 1
            else:
                self.confirming = True
                self.fresh += len(result.restarts)
            if result.setting.role is Role.SEARCH:
                stable = result.unstable_fraction <= self._limit
                if stable and (self.best is None or result.value < self.best.value):
                    self.best = result
        self._told = len(told)
        if self.already is None:
            self.already = self.search
