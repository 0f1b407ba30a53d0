"""The rows of the report, worked out: one for each setting, and the one to use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers import Basin, Dynamics, Evidence, Fall
from tuning.analysis.basin_labels import Labels
from tuning.analysis.cost import expected_running_time
from tuning.analysis.judgements import share, trapped_by_tolerance, unstable_share
from tuning.analysis.pools import counts_of
from tuning.analysis.recommendation import Verdict
from tuning.analysis.status import status_of
from tuning.report.model import BestStable, SettingRow, Status
from tuning.spec.job import JobSpec
from tuning.statistics.cliff import Cliff
from tuning.statistics.intervals import wilson
from tuning.trial.result import NOT_KNOWN, SettingResult

__all__ = ["best_stable", "setting_row"]


def setting_row(
    result: SettingResult,
    basins: NDArray[Any],
    evidence: NDArray[Any],
    labels: Labels,
    names: Sequence[str],
    verdict: Verdict,
    spec: JobSpec,
) -> SettingRow:
    """The row of a setting, whose trials are joined in `result`.

    Args:
        basins, evidence: (R,), of `labels`. names: of the optimizers.
    """
    table, setting = result.restarts, result.setting
    total = len(table)
    where = Counter(str(b) for b in basins if b is not None)
    doing = Counter(table.dynamics.tolist())
    fallen = np.where(table.unstable & ~table.diverged, "unstable", table.dynamics)
    joint = Counter(f"{d}/{b or 'none'}" for d, b in zip(fallen.tolist(), basins, strict=True))
    falls, why = Counter(table.fall.tolist()), Counter(str(e) for e in evidence if e is not None)
    hovers = table.hover[np.isfinite(table.hover)]
    spent, reached = expected_running_time(result, verdict.target.loss)
    ends = np.where(table.diverged, np.inf, table.loss)
    upper = counts_of(result, verdict.pools).upper(spec.stability.confidence)
    held_out = table.validation_loss[np.isfinite(table.validation_loss)]
    return SettingRow(
        number=setting.number,
        optimizer=names[setting.optimizer],
        learning_rate=setting.learning_rate,
        role=setting.role.value,
        restarts=total,
        dynamics={d.value: doing[d] for d in Dynamics},
        basins={b.value: where[b] for b in Basin},
        joint=dict(sorted(joint.items())),
        falls={str(f): falls[f] for f in (*Fall, NOT_KNOWN) if falls[f]},
        hover=float(np.median(hovers)) if hovers.size else None,
        worst_hover=float(hovers.max()) if hovers.size else None,
        evidence={e.value: why[e] for e in Evidence},
        unstable=unstable_share(table),
        diverged=wilson(int(table.diverged.sum()), total),
        trapped=share(basins, Basin.LOCAL_MINIMUM),
        global_minimum=share(basins, Basin.GLOBAL_MINIMUM),
        trapped_at=trapped_by_tolerance(labels, table),
        # Each bound may be above the truth with its own share of the error, so the least may with
        # what the shares add up to.
        unstable_upper=min((one.bound for one in verdict.tests_of(result)), default=upper),
        status=status_of(result, verdict, spec),
        loss=_finite(np.quantile(ends, 0.5, method="inverted_cdf")),
        best_loss=_finite(ends.min()),
        validation_loss=float(np.median(held_out)) if held_out.size else None,
        reached=reached,
        cost=_finite(spent),
    )


def _finite(value: float | np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


def best_stable(
    verdict: Verdict,
    labels: Labels,
    names: Sequence[str],
    cliffs: Mapping[str, Cliff],
    spec: JobSpec,
) -> BestStable | None:
    """The setting to use: by its fresh starts if they confirmed it, else by the search's.

    Counts of unstable restarts are those that the verdict rests on, at the search's J* and scale.
    """
    best, won = verdict.best, verdict.confirmed
    if best is None:
        return None
    at, above = best, None
    if won is not None:
        at, above = won.rates[0].result, won.rates[-1]
    known = counts_of(at, verdict.pools)
    name = names[best.setting.optimizer]
    cliff = cliffs[name].estimate
    cost = expected_running_time(at, verdict.target.loss)[0]
    return BestStable(
        number=best.setting.number,
        optimizer=name,
        hyperparameters=spec.search.hyperparameters[best.setting.optimizer],
        learning_rate=best.setting.learning_rate,
        status=Status.LOOKS_STABLE if won is None else Status.CONFIRMED,
        fresh_starts=0 if won is None else won.starts,
        look=None if won is None else won.look,
        looks=None if won is None else len(won.rates[0].test.looks),
        unstable=wilson(known.fallen, known.total, undecided=known.unknown),
        unstable_upper=known.upper(spec.stability.confidence)
        if won is None
        else won.rates[0].bound,
        margin=spec.stability.margin,
        unstable_at_margin=None if above is None else unstable_share(above.result.restarts),
        unstable_upper_at_margin=None if above is None else above.bound,
        trapped=share(labels.basins_of(at.restarts), Basin.LOCAL_MINIMUM),
        trapped_at=trapped_by_tolerance(labels, at.restarts),
        cost=_finite(cost),
        decades_to_cliff=float(np.log10(cliff / best.setting.learning_rate)) if cliff else None,
    )
