"""What a search for the cliff knows of P(unstable) at any rate: who falls at a lower rate falls
here, and who holds at a higher one holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuning.analysis.cliff_goal import trained_of
from tuning.analysis.stability import Counts
from tuning.cliff.audit import audit_of
from tuning.cliff.observations import Brackets, brackets
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult

__all__ = ["Pools", "counts_of", "pools_of"]

#: By optimizer, what is known of its starts; none where starts have no thresholds of their own.
Pools = Mapping[int, Brackets]


def pools_of(results: Sequence[SettingResult], spec: JobSpec) -> Pools:
    """Of a search for the cliff; empty for any other.

    Args:
        results: one a trial.
    """
    if not spec.seeks_cliff:
        return {}
    pools = {}
    for optimizer in range(len(spec.search.space.optimizers)):
        blocks = trained_of(
            [r for r in results if r.setting.optimizer == optimizer and r.setting.role.is_search]
        )
        if blocks and not audit_of(blocks).alarm:
            pools[optimizer] = brackets(blocks)
    return pools


def counts_of(result: SettingResult, pools: Pools) -> Counts:
    """By all starts of its optimizer's search, if it is of a search for the cliff; else by its own
    restarts."""
    setting = result.setting
    known = pools.get(setting.optimizer) if setting.role.is_search else None
    if known is None:
        return Counts.of(result)
    fallen, unknown = known.fallen(setting.learning_rate)
    return Counts(fallen, len(known), unknown)
