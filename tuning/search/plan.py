"""A job's plan: what the coordinator tries, as the job file asks for it. First the search, of one
of two kinds, then the verdict on fresh starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tuning.analysis.build import next_confirmations
from tuning.search.cliff_search import CliffSearch
from tuning.search.settings_search import SettingsSearch
from tuning.search.wanted import Wanted
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult, bought_of
from tuning.trial.setting import Block, Setting
from tuning.trial.task import most_restarts, split_into_tasks

__all__ = ["JobPlan", "Search", "is_searching", "make_search"]


class Search(Protocol):
    """What is searched: a function of what was told, in order. It is over when all that it wanted
    has been told and nothing follows."""

    def begin(self, told: Sequence[SettingResult]) -> list[Wanted]:
        """What is tried now, when so much was told: see `coordinator.Plan.begin`."""

    def tell(self, told: Sequence[SettingResult]) -> list[Wanted]:
        """What follows, now that there is one result more."""

    def limit(self, restarts: int) -> None:
        """Spend no more than so many."""

    @property
    def spent(self) -> int:
        """The budget, in restarts, that leads to what has been tried."""

    @property
    def to_come(self) -> int:
        """Restarts at most, beside those tried, if nothing more may be spent."""


def make_search(spec: JobSpec, known_minimum: float | None) -> Search:
    """The search that `spec` asks for.

    Raises:
        InvalidInput: it cannot be had here.
    """
    if spec.seeks_cliff:
        return CliffSearch(spec, known_minimum)
    return SettingsSearch(spec, known_minimum)


def is_searching(
    spec: JobSpec, known_minimum: float | None, results: Sequence[SettingResult]
) -> bool:
    """Whether a search for the cliff goes on after `results`, one a trial."""
    if not spec.seeks_cliff or any(not r.setting.role.is_search for r in results):
        return False
    search = CliffSearch(spec, known_minimum)
    if (bought := bought_of(results)) is not None:
        search.limit(bought)
    return bool(search.begin(results))


class JobPlan:
    """See `coordinator.Plan`.

    Args:
        flops: floating-point operations of one gradient. known_minimum: J there, or None.
        restart_bytes: see `Problem`; 0 if that is not counted.

    Raises:
        InvalidInput: the search cannot be had here.
    """

    def __init__(
        self,
        spec: JobSpec,
        flops: float,
        known_minimum: float | None,
        restart_bytes: float = 0.0,
    ) -> None:
        self._spec, self._flops, self._known_minimum = spec, flops, known_minimum
        self._most = most_restarts(spec, restart_bytes)
        self._search = make_search(spec, known_minimum)
        self._told: list[SettingResult] = []
        self._tried = 0
        self._searching = True
        self.bought: int | None = None

    def begin(self, told: Sequence[SettingResult]) -> list[Setting]:
        self._told, self._tried = list(told), len(told)
        self.bought = bought_of(told)
        if self.bought is not None:
            # What had been proposed before time was over fits into what it bought.
            self._search.limit(self.bought)
        searched = [result for result in told if result.setting.role.is_search]
        self._searching = len(searched) == len(told)
        return self._numbered(self._search.begin(searched)) or self._verdict()

    def tell(self, result: SettingResult) -> list[Setting]:
        self._told.append(result)
        more = self._search.tell(self._told) if result.setting.role.is_search else []
        return self._numbered(more) or self._verdict()

    def out_of_time(self) -> list[Setting]:
        if self._searching:
            self.bought = self._search.spent
            self._search.limit(self.bought)
        return []  # what is open is told first

    @property
    def to_come(self) -> int:
        """Restarts at most, beside those tried, if the search ended now."""
        return self._search.to_come + self._spec.confirmation_restarts

    def parts(self, setting: Setting) -> list[Block]:
        return split_into_tasks(setting, self._spec.training.steps, self._flops, self._most)

    def _verdict(self) -> list[Setting]:
        """What is wanted on fresh starts, once all is told that was tried."""
        if not self._told or len(self._told) < self._tried:
            return []
        settings = next_confirmations(self._spec, self._known_minimum, self._told)
        self._tried += len(settings)
        self._searching = False
        return settings

    def _numbered(self, wanted: Sequence[Wanted]) -> list[Setting]:
        first = self._tried
        self._tried += len(wanted)
        return [Setting(first + i, w.role, (w.block,), w.round) for i, w in enumerate(wanted)]
