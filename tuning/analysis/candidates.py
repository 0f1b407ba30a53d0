"""Who may be nominated: which settings of the search go to fresh starts, and in which order."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuning.analysis.basin_labels import Labels
from tuning.analysis.cliff_goal import cliff_target, nominee
from tuning.analysis.confirmation import Trial
from tuning.analysis.cost import expected_running_time
from tuning.analysis.stability import Counts
from tuning.analysis.target import find_target
from tuning.report.model import Target
from tuning.spec.job import JobSpec
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Role

__all__ = ["Candidates", "no_safer"]


def no_safer(result: SettingResult, than: SettingResult) -> bool:
    """Whether it has the same optimizer and no lower rate: what failed at a lower rate, or a lower
    margin, is no safer here."""
    here, there = result.setting, than.setting
    return here.optimizer == there.optimizer and here.learning_rate >= there.learning_rate


@dataclass(frozen=True)
class Candidates:
    """The settings of a search that look stable.

    Attributes:
        results: of the search, one a trial. search: of those that stand for all starts, one a
            setting. target: what counts as success. learned: whether any loss is materially below
            the starts'; where none is, nothing says that any rate learns, and nobody is nominated.
    """

    spec: JobSpec
    results: tuple[SettingResult, ...]
    search: tuple[SettingResult, ...]
    target: Target
    learned: bool

    @classmethod
    def of(cls, results: Sequence[SettingResult], labels: Labels, spec: JobSpec) -> Candidates:
        """Args:
        labels: of the search alone.
        """
        tried = tuple(r for r in results if r.setting.role.is_search)
        search = gathered(of_role(tried, Role.SEARCH))
        learned = labels.learned
        if spec.seeks_cliff:
            target = cliff_target(tried, labels, spec)
        else:
            target = find_target(_stable(search, spec) if learned else [], labels, spec)
        return cls(spec, tried, search, target, learned)

    @property
    def count(self) -> int:
        """How many there are; in a search for the cliff one an optimizer at most."""
        return len(self._left([], None))

    def next(self, refused: Sequence[Trial], optimizer: int | None) -> SettingResult | None:
        """The next one, given those that fresh starts refused so far; None if none is left.

        The least cost first; among those that never reached the target, the lowest mean loss.
        Nobody who is no safer than one that was refused.

        Args:
            optimizer: whose; None for the best of all.
        """
        return min(self._left(refused, optimizer), key=self._rank, default=None)

    def _left(self, refused: Sequence[Trial], optimizer: int | None) -> list[SettingResult]:
        if not self.learned:
            return []
        if self.spec.seeks_cliff:
            names = range(len(self.spec.search.space.optimizers))
            each = (self._by_cliff(o, refused) for o in names if optimizer in (None, o))
            found = [result for result in each if result is not None]
        else:
            mine = [r for r in self.search if optimizer in (None, r.setting.optimizer)]
            found = _stable(mine, self.spec)
        return [
            one for one in found if not any(no_safer(one, than=bad.candidate) for bad in refused)
        ]

    def _by_cliff(self, optimizer: int, refused: Sequence[Trial]) -> SettingResult | None:
        mine = [r for r in self.results if r.setting.optimizer == optimizer]
        failed = [t.candidate.setting for t in refused]
        below = min((s.learning_rate for s in failed if s.optimizer == optimizer), default=math.inf)
        rate = nominee(mine, self.target.loss, self.spec, below)
        of = {(r.setting.optimizer, r.setting.learning_rate): r for r in self.search}
        return None if rate is None else of[optimizer, rate]

    def _rank(self, result: SettingResult) -> tuple[float, float, float]:
        first = expected_running_time(result, self.target.loss)[0]
        if self.spec.stability.choose_by == "validation":
            seen = result.restarts.validation_loss
            first = float(np.nanmedian(seen)) if np.isfinite(seen).any() else float("inf")
        return first, result.value, result.setting.learning_rate


def _stable(search: Sequence[SettingResult], spec: JobSpec) -> list[SettingResult]:
    """Settings that the search found stable, with no known failure up to margin times the rate.

    With fewer restarts than the bound needs, no setting can prove itself here; then one without any
    unstable restart is a candidate, and the confirmation, which has enough, decides.
    """
    failing: dict[int, list[float]] = defaultdict(list)
    for result in search:
        if Counts.of(result).fails(spec):
            insort(failing[result.setting.optimizer], result.setting.learning_rate)
    chosen = []
    for result in search:
        rate, rates = result.setting.learning_rate, failing[result.setting.optimizer]
        above = bisect_left(rates, rate)
        unsafe = above < len(rates) and rates[above] <= rate * spec.stability.margin
        if Counts.of(result).looks_stable(spec) and not unsafe:
            chosen.append(result)
    return chosen
