"""The best stable learning rate: what is asked of the candidates, and who holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning.analysis.basin_labels import Labels
from tuning.analysis.candidates import Candidates, no_safer
from tuning.analysis.comparisons import Rival, rivals_of
from tuning.analysis.confirmation import AtRate, Trial, try_candidate
from tuning.analysis.pools import Pools, pools_of
from tuning.analysis.stability import FIRST_SHARE
from tuning.report.model import Target
from tuning.spec.job import JobSpec
from tuning.statistics.intervals import restarts_needed
from tuning.statistics.sequential import SequentialTest, sequential_test
from tuning.trial.result import SettingResult, bought_of, of_role
from tuning.trial.setting import Block, Role, Setting

__all__ = ["TRIES", "Verdict", "fresh_starts", "judge", "starts_needed"]

#: Candidates that are tried at most: a third would have next to nothing left of the error.
TRIES = 2
_LEAST_STARTS = 2  # that are trained together


@dataclass(frozen=True)
class Verdict:
    """What is known so far.

    Attributes:
        target: what counts as success.
        best: the result in the search of the one to use: of the winner or, where nobody could be
            confirmed, of the best that looks stable and is not refuted; None without one, and while
            the confirmation goes on.
        confirmed: the winner on fresh starts, or None.
        refused: candidates that failed their confirmation, in order.
        candidates: how many settings looked stable in the search.
        rivals: optimizer -> its best setting, to be compared with the winner; empty without one.
        pools: optimizer -> what a search for the cliff knows of its starts.
        next: settings still to be tried; empty once nothing is left to ask.
    """

    target: Target
    best: SettingResult | None
    confirmed: Trial | None
    refused: tuple[Trial, ...]
    candidates: int
    rivals: Mapping[int, Rival]
    pools: Pools
    next: tuple[Setting, ...]

    def speaks_against(self, result: SettingResult) -> bool:
        """Whether fresh starts refused this setting, or a lower rate of its optimizer."""
        return any(no_safer(result, than=trial.candidate) for trial in self.refused)

    def tests_of(self, result: SettingResult) -> list[AtRate]:
        """The tests that are decided whose restarts `result` has."""
        decided = (*self.refused, *([self.confirmed] if self.confirmed else []))
        return [one for trial in decided for one in trial.rates if one.belongs_to(result)]


def judge(results: Sequence[SettingResult], labels: Labels, spec: JobSpec) -> Verdict:
    """The verdict, as far as it goes, on the results of the search and then those on fresh starts.

    The confidence is that of the whole procedure: at most 1 - confidence of jobs confirm a rate
    whose P(unstable), or that at margin times it, is above `max_unstable`. At most two candidates
    are tried, each by a group-sequential test (`sequential_test`). The first gets four fifths of
    that error, the second all that the first test cannot make, on what is left of the `confirm`
    starts. Its starts are fresh, so whatever made it the second, its error is within its own share;
    and those of both add up to no more than the whole (Bonferroni).

    Args:
        results: one a trial. labels: of the search alone, so that confirmations cannot change what
            they confirm.
    """
    found = Candidates.of(results, labels, spec)
    fresh = {r.setting.blocks: r for r in of_role(results, Role.CONFIRMATION)}
    refused: list[Trial] = []

    def nominee(optimizer: int | None = None) -> SettingResult | None:
        return found.next(refused, optimizer)

    def verdict(
        best: SettingResult | None = None,
        confirmed: Trial | None = None,
        rivals: Mapping[int, Rival] | None = None,
        role: Role = Role.CONFIRMATION,
        missing: Sequence[Block] = (),
    ) -> Verdict:
        following = (Setting(len(results) + i, role, (b,)) for i, b in enumerate(missing))
        return Verdict(
            found.target,
            best,
            confirmed,
            tuple(refused),
            found.count,
            rivals or {},
            pools_of(results, spec),
            tuple(following),
        )

    searched = (r for r in results if r.setting.role.is_search)
    first = 1 + max((start for r in searched for start in r.setting.starts), default=-1)
    left, alpha = fresh_starts(results, spec), 1.0 - spec.stability.confidence
    share = FIRST_SHARE * alpha
    while len(refused) < TRIES and (candidate := nominee()) is not None:
        test = _affordable(left, share, spec)
        if test is None:
            break
        trial = try_candidate(candidate, test, first, fresh, spec)
        if trial.missing:
            return verdict(missing=trial.missing)
        if trial.accepted:
            rivals = rivals_of(candidate, trial.rates[0].result, nominee, results, spec)
            untrained = [r.wanted for r in rivals.values() if r.wanted and r.fresh is None]
            return verdict(candidate, trial, rivals, Role.COMPARISON, untrained)
        refused.append(trial)
        first, left = first + trial.starts, left - trial.starts
        share = alpha = alpha - test.size
    return verdict(nominee())


def starts_needed(spec: JobSpec) -> int:
    """The least `confirm` with which the first try can accept anything: all of it without one
    unstable restart."""
    limits = spec.stability
    share = FIRST_SHARE * (1.0 - limits.confidence)
    return max(_LEAST_STARTS, restarts_needed(limits.max_unstable, 1.0 - share))


def _affordable(starts: int, share: float, spec: JobSpec) -> SequentialTest | None:
    """The test of as many starts, if it can accept anything."""
    if starts < _LEAST_STARTS:
        return None
    test = sequential_test(starts, spec.stability.max_unstable, share)
    return test if test.can_accept else None


def fresh_starts(results: Sequence[SettingResult], spec: JobSpec) -> int:
    """How many there are in all."""
    bought = bought_of(results)
    return spec.fresh_starts if bought is None else bought.fresh
