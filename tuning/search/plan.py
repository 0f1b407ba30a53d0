"""A job's plan: what the coordinator tries, as the job file asks for it. First the search, of one
of two kinds, then the verdict on fresh starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from tuning.analysis.build import next_confirmations
from tuning.analysis.comparisons import compared_restarts
from tuning.analysis.recommendation import starts_needed
from tuning.search.cliff_search import CliffSearch
from tuning.search.settings_search import SettingsSearch
from tuning.search.wanted import Wanted
from tuning.spec.job import JobSpec
from tuning.trial.result import Bought, SettingResult, bought_of
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
    def committed(self) -> int:
        """Restarts that have been tried."""

    def afford(self, restarts: int) -> None:
        """By now it seems that no more can be spent. It need not hold until more is asked for: then
        that is the limit, and `cut`."""

    @property
    def cut(self) -> int | None:
        """The limit that `afford` came to, if it did."""


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
        search.limit(bought.restarts)
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
        self.bought: Bought | None = None
        # Restarts that there is time for, by now: from now on, if that is known, and in all.
        self._left: int | None = None
        self._affordable = 0

    def begin(self, told: Sequence[SettingResult]) -> list[Setting]:
        self._told, self._tried = list(told), len(told)
        self.bought = bought_of(told)
        if self.bought is not None:
            # What had been proposed before time was over fits into what it bought.
            self._search.limit(self.bought.restarts)
        searched = [result for result in told if result.setting.role.is_search]
        self._searching = len(searched) == len(told)
        return self._numbered(self._search.begin(searched)) or self._verdict()

    def tell(self, result: SettingResult) -> list[Setting]:
        self._told.append(result)
        more = self._search.tell(self._told) if result.setting.role.is_search else []
        if self._searching and self.bought is None:
            self.bought = self._what_time_buys(over=not more and len(self._told) == self._tried)
            if self.bought is not None:
                self._told[-1] = replace(result, bought=self.bought)
        return self._numbered(more) or self._verdict()

    def time_left(self, restarts: float) -> None:
        if not self._searching or self.bought is not None or math.isinf(restarts):
            return
        self._left = int(restarts)
        self._affordable = most = self._search.committed + self._left
        # Fresh starts come after the default search, and before a sharper one.
        spec = self._spec
        sharper = most - compared_restarts(spec) - spec.fresh_starts * spec.confirmed_rates
        sharper = max(spec.default_restarts, sharper)
        self._search.afford(sharper if self._fresh(most - sharper) else most)

    def _what_time_buys(self, *, over: bool) -> Bought | None:
        """Decided as late as can be: when the search asks for more than there is time for, or when
        it is over. None if that is all it wants."""
        cut, spec = self._search.cut, self._spec
        if cut is not None:
            return Bought(cut, self._fresh(self._affordable - cut))
        if (
            not over
            or self._left is None
            or (fresh := self._fresh(self._left)) == spec.fresh_starts
        ):
            return None
        return Bought(max(self._search.spent, spec.default_restarts), fresh)

    def _fresh(self, restarts: int) -> int:
        """Starts of a confirmation that takes so many at most, what is compared with it too; 0
        where they could accept nothing."""
        spec = self._spec
        restarts -= compared_restarts(spec)
        fresh = min(spec.fresh_starts, restarts // spec.confirmed_rates)
        return fresh if fresh >= starts_needed(spec) else 0

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
