"""A search by whole settings, each of all starts: Optuna's general samplers, grid and qmc."""

from __future__ import annotations

from collections.abc import Sequence

from tuning.analysis.running_labels import RunningLabels
from tuning.search.proposer import Proposer
from tuning.search.records import violation
from tuning.search.samplers import Told
from tuning.search.wanted import Wanted
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult
from tuning.trial.setting import Setting

__all__ = ["SettingsSearch"]


class SettingsSearch:
    """See `plan.Search`. Setting k is proposed from the results of settings 0..k-in_flight.

    Raises:
        InvalidInput: the sampler cannot be had here.
    """

    def __init__(self, spec: JobSpec, known_minimum: float | None) -> None:
        search = spec.search
        self._spec = spec
        self._labels = RunningLabels(known_minimum, spec.thresholds)
        self._proposer = Proposer(
            search.space,
            sampler=search.sampler,
            try_first=search.first_points,
            settings=search.settings,
            in_flight=search.in_flight,
            restarts=spec.training.restarts,
            seed=spec.seed,
        )
        self._most = spec.search_settings
        self._affordable = self._most
        self.cut: int | None = None
        self._tried: list[Setting] = []

    def begin(self, told: Sequence[SettingResult]) -> list[Wanted]:
        self._tried = [result.setting for result in told]
        return self.tell(told)

    def tell(self, told: Sequence[SettingResult]) -> list[Wanted]:
        first = len(self._tried)
        while (number := len(self._tried)) < self._most:
            known = max(0, number - self._spec.search.in_flight + 1)
            if known > len(told):
                break
            if number >= self._affordable:
                self._most, self.cut = number, self.spent
                break
            # On the scale of what this proposal may see.
            scaled = self._scaled(told[:known])
            results = [Told(r.setting, r.value, violation(r, self._spec)) for r in scaled]
            self._tried.append(self._proposer.propose(number, results, self._tried[known:]))
        return [Wanted(setting.role, setting.blocks[0]) for setting in self._tried[first:]]

    def limit(self, restarts: int) -> None:
        self._most = min(self._most, max(1, restarts // self._spec.training.restarts))

    def afford(self, restarts: int) -> None:
        self._affordable = restarts // self._spec.training.restarts

    @property
    def spent(self) -> int:
        return len(self._tried) * self._spec.training.restarts

    @property
    def committed(self) -> int:
        return self.spent

    def _scaled(self, told: Sequence[SettingResult]) -> Sequence[SettingResult]:
        if not told:
            return ()
        return self._labels.of(told).results
