"""The best stable learning rate: who qualifies, in which order, and what confirmed the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuning.analysis.basin_labels import Labels
from tuning.analysis.comparisons import Rival, rivals_of
from tuning.analysis.cost import expected_running_time
from tuning.analysis.stability import fails, is_stable, looks_stable
from tuning.report.model import Target
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.statistics.spending import Share, spend
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Block, Role, Setting

__all__ = ["Verdict", "find_target", "judge"]


@dataclass(frozen=True)
class Verdict:
    """What is known so far.

    Attributes:
        target: what counts as success.
        best: the winner's result in the search, or None.
        confirmed: the winner's results on fresh starts, at its rate and at margin times it.
        refused: candidates that failed their confirmation, each with its results on fresh starts.
        candidates: how many settings looked stable in the search.
        confidences: setting number -> confidence of the bound that decided its confirmation; above
            the job's where several candidates may be tried.
        rivals: optimizer -> its best setting, to be compared with the winner; empty without one.
        next: settings still to be tried; empty once nothing is left to ask.
    """

    target: Target
    best: SettingResult | None
    confirmed: tuple[SettingResult, ...]
    refused: tuple[tuple[SettingResult, tuple[SettingResult, ...]], ...]
    candidates: int
    confidences: Mapping[int, float]
    rivals: Mapping[int, Rival]
    next: tuple[Setting, ...]

    def speaks_against(self, result: SettingResult) -> bool:
        """Whether fresh starts refused this setting, or a lower rate of its optimizer: whatever
        failed at a lower rate, or a lower margin, is no safer here."""
        return any(_no_safer(result, than=refused) for refused, _ in self.refused)


def _no_safer(result: SettingResult, than: SettingResult) -> bool:
    here, there = result.setting, than.setting
    return here.optimizer == there.optimizer and here.learning_rate >= there.learning_rate


def _candidates(search: Sequence[SettingResult], spec: JobSpec) -> list[SettingResult]:
    """Settings that the search found stable, with no known failure up to margin times the rate.

    With fewer restarts than the bound needs, no setting can prove itself here; then one without any
    unstable restart is a candidate, and the confirmation, which has enough, decides.
    """
    failing = [(r.setting.optimizer, r.setting.learning_rate) for r in search if fails(r, spec)]
    chosen = []
    for result in search:
        here = result.setting
        reach = here.learning_rate * spec.stability.margin
        unsafe = any(
            o == here.optimizer and here.learning_rate <= rate <= reach for o, rate in failing
        )
        if looks_stable(result, spec) and not unsafe:
            chosen.append(result)
    return chosen


def find_target(candidates: Sequence[SettingResult], labels: Labels, spec: JobSpec) -> Target:
    """The user's `target_loss`; else the global minimum's tolerance, if any candidate reaches it;
    else a quantile of what the candidates reached."""
    if spec.stability.target_loss is not None:
        return Target(spec.stability.target_loss, "target_loss of the job")
    loss = labels.best + labels.tolerance
    if np.isfinite(loss) and (
        not candidates or any(expected_running_time(r, loss)[1] for r in candidates)
    ):
        # By the search alone: fresh starts may move J0, and with it the report's tolerance, but not
        # what the candidates are judged by.
        if labels.known:
            return Target(loss, "the known global minimum, and the search's tolerance")
        return Target(loss, "the lowest minimum that the search found, and its tolerance")
    ends = (
        np.concatenate([r.restarts.loss[~r.restarts.diverged] for r in candidates])
        if candidates
        else np.zeros(0)
    )
    if not ends.size:
        return Target(float("nan"), "none: no setting was stable")
    level = float(np.quantile(ends, 0.1, method="higher"))
    return Target(
        level,
        "the best tenth of the losses of stable settings: none came to the global minimum in time",
    )


def judge(results: Sequence[SettingResult], labels: Labels, spec: JobSpec) -> Verdict:
    """The verdict, as far as it goes, on the results of the search and then those on fresh starts.

    The confidence is that of the whole procedure: at most 1 - confidence of jobs recommend a rate
    whose P(unstable), or that at margin times it, is above `max_unstable`. Candidate after
    candidate is tried until one holds, so each gets a share of that error (`spend`). A candidate
    is unstable if it is at either of its two rates, so both bounds must hold and each has the whole
    share (an intersection-union test; Berger 1982). The search says which candidates are tried, in
    which order and on how many starts, and knows nothing of the fresh starts.

    Args:
        labels: of the search alone, so that confirmations cannot change what they confirm.
    """
    search = of_role(results, Role.SEARCH)
    # Where nothing lies below the starts, nothing says that any rate learns.
    candidates = _candidates(search, spec) if labels.descent > 0 else []
    target = find_target(candidates, labels, spec)
    ranked = sorted(candidates, key=lambda r: _rank(r, target, spec))
    fresh = {r.setting.blocks: r for r in of_role(results, Role.CONFIRMATION)}
    refused: list[tuple[SettingResult, tuple[SettingResult, ...]]] = []
    confidences: dict[int, float] = {}

    def verdict(
        best: SettingResult | None = None,
        confirmed: tuple[SettingResult, ...] = (),
        rivals: Mapping[int, Rival] | None = None,
        role: Role = Role.CONFIRMATION,
        missing: Sequence[Block] = (),
    ) -> Verdict:
        following = (Setting(len(results) + i, role, (b,)) for i, b in enumerate(missing))
        return Verdict(
            target,
            best,
            confirmed,
            tuple(refused),
            len(candidates),
            confidences,
            rivals or {},
            tuple(following),
        )

    for candidate, share in _attempts(ranked, spec):
        wanted = _trial(candidate, share, spec)
        trial = tuple(fresh[(block,)] for block in wanted if (block,) in fresh)
        confidences |= {r.setting.number: share.confidence for r in trial}
        if missing := [block for block in wanted if (block,) not in fresh]:
            return verdict(missing=missing)
        if all(is_stable(r, spec, share.confidence) for r in trial):
            others = [r for r in ranked if not any(_no_safer(r, than=bad) for bad, _ in refused)]
            rivals = rivals_of(candidate, trial[0], others, results, spec)
            untrained = [r.wanted for r in rivals.values() if r.wanted and r.fresh is None]
            return verdict(candidate, trial, rivals, Role.COMPARISON, untrained)
        refused.append((candidate, trial))
    return verdict()


def _attempts(ranked: Sequence[SettingResult], spec: JobSpec) -> list[tuple[SettingResult, Share]]:
    """The candidates that are tried, in order, each if all before it fail; and what each gets."""
    tried: list[SettingResult] = []
    for candidate in ranked:
        if not any(_no_safer(candidate, than=earlier) for earlier in tried):
            tried.append(candidate)
    limits, least = spec.stability, spec.training.restarts
    shares = spend(len(tried), limits.max_unstable, limits.confidence, least)
    return list(zip(tried, shares, strict=True))


def _trial(candidate: SettingResult, share: Share, spec: JobSpec) -> list[Block]:
    """The candidate at its rate and at margin times it, on starts that the search did not use."""
    here, margin, first = candidate.setting, spec.stability.margin, spec.training.restarts
    rates = (
        [here.learning_rate] if margin == 1 else [here.learning_rate, margin * here.learning_rate]
    )
    starts = tuple(range(first, first + share.trials))
    return [
        Block(here.optimizer, {**here.hyperparameters, LEARNING_RATE: rate}, starts)
        for rate in rates
    ]


def _rank(result: SettingResult, target: Target, spec: JobSpec) -> tuple[float, float, float]:
    """The least cost first; among those that never reached the target, the lowest mean loss."""
    first = expected_running_time(result, target.loss)[0]
    if spec.stability.choose_by == "validation":
        seen = result.restarts.validation_loss
        first = float(np.nanmedian(seen)) if np.isfinite(seen).any() else float("inf")
    return first, result.value, result.setting.learning_rate
