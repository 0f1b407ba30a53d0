"""How far each setting came: `Status`, decided."""

from __future__ import annotations

from tuning.analysis.pools import Pools, counts_of
from tuning.analysis.recommendation import Verdict
from tuning.analysis.stability import Counts
from tuning.report.status import Status
from tuning.spec.job import JobSpec
from tuning.statistics.sequential import Outcome
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

__all__ = ["status_alone", "status_of"]


def status_alone(result: SettingResult, spec: JobSpec, pools: Pools | None = None) -> Status:
    """By what the search knows of it: its own restarts, unless its optimizer has a pool of starts.
    So much is known while the job goes on."""
    counts = counts_of(result, pools or {})
    if counts.fails(spec):
        return Status.UNSTABLE
    return Status.LOOKS_STABLE if counts.looks_stable(spec) else Status.UNDECIDED


def status_of(result: SettingResult, verdict: Verdict, spec: JobSpec) -> Status:
    """By all that `verdict` rests on; `Status` says when a setting has which.

    Args:
        result: all that is known of the setting, its trials joined.
    """
    alone, here = status_alone(result, spec, verdict.pools), result.setting
    winner = verdict.confirmed
    if here.role is Role.CONFIRMATION:
        if winner is not None and any(one.belongs_to(result) for one in winner.rates):
            return Status.CONFIRMED
        refused = any(one.outcome is Outcome.REFUSED for one in verdict.tests_of(result))
        return Status.UNDECIDED if refused and alone is Status.LOOKS_STABLE else alone
    if here.role is not Role.SEARCH:
        return alone
    if winner is not None:
        best = winner.candidate.setting
        if here == best:
            return Status.RECOMMENDED
        if here.optimizer == best.optimizer and here.hyperparameters == best.hyperparameters:
            return Status.CONFIRMED
    if alone is Status.LOOKS_STABLE and verdict.speaks_against(result):
        own = [t.rates[0].result for t in verdict.refused if t.candidate.setting == here]
        return Status.UNSTABLE if any(Counts.of(r).fails(spec) for r in own) else Status.UNDECIDED
    return alone
