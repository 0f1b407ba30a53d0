"""The best stable learning rate: who qualifies, in which order, and what confirmed the winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuning.analysis.basin_labels import Labels
from tuning.report.model import Target
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.statistics.intervals import (
    clopper_pearson_lower,
    clopper_pearson_upper,
    restarts_needed,
)
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Block, Role, Setting

__all__ = ["Verdict", "expected_running_time", "find_target", "is_stable", "judge", "upper_bound"]


@dataclass(frozen=True)
class Verdict:
    """What is known so far.

    Attributes:
        target: what counts as success.
        best: the winner's result in the search, or None.
        confirmed: the winner's results on fresh starts, at its rate and at margin times it.
        refused: candidates that failed their confirmation, each with its results on fresh starts.
        candidates: how many settings looked stable in the search.
        next: settings still to be tried; empty once the verdict is final.
    """

    target: Target
    best: SettingResult | None
    confirmed: tuple[SettingResult, ...]
    refused: tuple[tuple[SettingResult, tuple[SettingResult, ...]], ...]
    candidates: int
    next: tuple[Setting, ...]


def upper_bound(result: SettingResult, spec: JobSpec) -> float:
    """One-sided Clopper-Pearson bound on P(unstable) at the job's confidence."""
    unstable = result.restarts.unstable
    return clopper_pearson_upper(int(unstable.sum()), len(unstable), spec.stability.confidence)


def is_stable(result: SettingResult, spec: JobSpec) -> bool:
    """Whether the bound is at most `max_unstable`."""
    return upper_bound(result, spec) <= spec.stability.max_unstable


def expected_running_time(result: SettingResult, target: float) -> tuple[float, int]:
    """Steps spent by all restarts for each that reached `target`, or infinite; and how many did.

    The expected running time of the COCO platform (Hansen et al. 2021): a restart that reached the
    target spent the steps until then, one that diverged those until it left, any other all of them.
    """
    steps = result.curves.steps_to(target)
    reached = np.isfinite(steps)
    left = np.where(result.restarts.diverged, result.restarts.diverged_at, result.curves.steps[-1])
    count = int(reached.sum())
    return (float(np.where(reached, steps, left).sum() / count) if count else float("inf")), count


def _fails(result: SettingResult, spec: JobSpec) -> bool:
    unstable = result.restarts.unstable
    low = clopper_pearson_lower(int(unstable.sum()), len(unstable), spec.stability.confidence)
    return low > spec.stability.max_unstable


def _candidates(search: Sequence[SettingResult], spec: JobSpec) -> list[SettingResult]:
    """Settings that the search found stable, with no known failure up to margin times the rate.

    With fewer restarts than the bound needs, no setting can prove itself here; then one without any
    unstable restart is a candidate, and the confirmation, which has enough, decides.
    """
    needed = restarts_needed(spec.stability.max_unstable, spec.stability.confidence)
    failing = [(r.setting.optimizer, r.setting.learning_rate) for r in search if _fails(r, spec)]
    chosen = []
    for result in search:
        here = result.setting
        count = int(result.restarts.unstable.sum())
        stable = is_stable(result, spec) if len(here.starts) >= needed else count == 0
        reach = here.learning_rate * spec.stability.margin
        unsafe = any(
            o == here.optimizer and here.learning_rate <= rate <= reach for o, rate in failing
        )
        if stable and not unsafe:
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

    Args:
        labels: of the search alone, so that confirmations cannot change what they confirm.
    """
    search, fresh = of_role(results, Role.SEARCH), of_role(results, Role.CONFIRMATION)
    candidates = _candidates(search, spec)
    target = find_target(candidates, labels, spec)
    refused: list[tuple[SettingResult, tuple[SettingResult, ...]]] = []
    margin = spec.stability.margin
    number = spec.search.settings
    for candidate in sorted(candidates, key=lambda r: _rank(r, target, spec)):
        here = candidate.setting
        # Whatever failed at a lower rate, or a lower margin, is no safer here.
        if any(
            r.setting.optimizer == here.optimizer and r.setting.learning_rate <= here.learning_rate
            for r, _ in refused
        ):
            continue
        rates = (
            [here.learning_rate]
            if margin == 1
            else [here.learning_rate, margin * here.learning_rate]
        )
        wanted = [
            Setting(
                number + i,
                Role.CONFIRMATION,
                (
                    Block(
                        here.optimizer,
                        {**here.hyperparameters, LEARNING_RATE: rate},
                        _fresh_starts(spec),
                    ),
                ),
            )
            for i, rate in enumerate(rates)
        ]
        number += len(rates)
        trial = tuple(fresh[: len(rates)])
        fresh = fresh[len(rates) :]
        if len(trial) < len(rates):
            return Verdict(
                target, None, (), tuple(refused), len(candidates), tuple(wanted[len(trial) :])
            )
        if all(is_stable(r, spec) for r in trial):
            return Verdict(target, candidate, trial, tuple(refused), len(candidates), ())
        refused.append((candidate, trial))
    return Verdict(target, None, (), tuple(refused), len(candidates), ())


def _rank(result: SettingResult, target: Target, spec: JobSpec) -> tuple[float, float, float]:
    """The least cost first; among those that never reached the target, the lowest mean loss."""
    first = expected_running_time(result, target.loss)[0]
    if spec.stability.choose_by == "validation":
        seen = result.restarts.validation_loss
        first = float(np.nanmedian(seen)) if np.isfinite(seen).any() else float("inf")
    return first, result.value, result.setting.learning_rate


def _fresh_starts(spec: JobSpec) -> tuple[int, ...]:
    """Those after the search's: as many, or as many as the bound needs."""
    first = spec.training.restarts
    needed = restarts_needed(spec.stability.max_unstable, spec.stability.confidence)
    return tuple(range(first, first + max(first, needed)))
