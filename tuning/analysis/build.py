"""From the study's results to the report. Pure: the same results give the same report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainers import Basin, Dynamics, Evidence, Fall
from trainers.randomness import Purpose
from tuning.analysis.basin_labels import Labels
from tuning.analysis.comparisons import compare
from tuning.analysis.cost import expected_running_time
from tuning.analysis.distinct_minima import distinct_minima
from tuning.analysis.explanations import explain, warnings_of
from tuning.analysis.judgements import (
    drift,
    drifts,
    found_by,
    own_bests,
    share,
    trapped_by_tolerance,
)
from tuning.analysis.recommendation import Verdict, judge
from tuning.analysis.stability import upper_bound
from tuning.analysis.status import status_of
from tuning.report.model import (
    BestStable,
    LossProfile,
    QuantileCurves,
    Report,
    RunFacts,
    SettingRow,
    SharpnessCurves,
)
from tuning.spec.job import JobSpec
from tuning.statistics.cliff import Cliff, fit_cliff
from tuning.statistics.intervals import learning_rate_sensitivity, wilson
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Role, Setting
from tuning.trial.task import sharpness_limit

__all__ = ["build_report", "next_confirmations"]


def _search_labels(
    spec: JobSpec, results: Sequence[SettingResult], known_minimum: float | None
) -> Labels:
    search = of_role(results, Role.SEARCH)
    return Labels.of(search, known_minimum, spec.thresholds)


def next_confirmations(
    spec: JobSpec, known_minimum: float | None, results: Sequence[SettingResult]
) -> list[Setting]:
    """The settings to try next on fresh starts; none when the verdict is final."""
    return list(_verdict(spec, known_minimum, results).next)


def _verdict(
    spec: JobSpec, known_minimum: float | None, results: Sequence[SettingResult]
) -> Verdict:
    """By the search's J* and scale, which confirmations cannot change."""
    labels = _search_labels(spec, results, known_minimum)
    return judge([labels.relabelled(r) for r in results], labels, spec)


def build_report(
    spec: JobSpec,
    problem: Mapping[str, Any],
    results: Sequence[SettingResult],
    run: RunFacts,
    landscape: LossProfile | None = None,
) -> Report:
    """The report of `results`: all settings of the search, then the confirmations; at least one.

    Args:
        problem: its facts, `known_minimum` among them.
    """
    known = problem["known_minimum"]
    labels = Labels.of(results, known, spec.thresholds)
    verdict = _verdict(spec, known, results)
    results = labels.results
    names = list(spec.search.space.optimizers)
    rows = [
        _row(r, b, e, labels, names, verdict, spec)
        for r, b, e in zip(results, labels.basins, labels.evidence, strict=True)
    ]
    search = of_role(results, Role.SEARCH)
    of = {role: tuple(row for row in rows if row.role == role) for role in Role}
    tried = of[Role.SEARCH]
    cliffs = {
        name: c for i, name in enumerate(names) if (c := _cliff(name, i, search, spec)) is not None
    }
    minima, unseen = distinct_minima(results, labels)
    best = _best(verdict, rows, names, cliffs, spec)
    return Report(
        job=spec.answer_key,
        problem=problem,
        settings=tried,
        confirmations=of[Role.CONFIRMATION],
        rivals=of[Role.COMPARISON],
        best_stable=best,
        explanation=explain(verdict, best, tried, spec, learned=labels.descent > 0),
        cliffs=cliffs,
        minima=minima,
        unseen=unseen,
        best_loss=labels.best if np.isfinite(labels.best) else None,
        best_loss_is_known=labels.known,
        best_loss_found_by=found_by(labels, names),
        own_best=own_bests(labels, names),
        label_drift=drift(labels),
        tolerance=labels.tolerance,
        start_loss=labels.start_loss,
        target=verdict.target,
        sensitivity=_sensitivity(search, names, labels),
        comparisons=compare(verdict.confirmed[0], verdict.rivals, verdict.target.loss, names)
        if verdict.confirmed
        else {},
        warnings=warnings_of(
            spec,
            problem,
            tried,
            best,
            cliffs,
            minima,
            known=labels.known,
            learned=labels.descent > 0 or not tried,
            drift=drift(labels) if drifts(labels) else None,
        ),
        sharpness={
            r.setting.number: curves for r in results if (curves := _sharpness(r, spec)) is not None
        },
        curves={
            r.setting.number: QuantileCurves(r.curves.steps, *r.curves.quantiles()) for r in results
        },
        landscape=landscape,
        run=run,
    )


def _sharpness(result: SettingResult, spec: JobSpec) -> SharpnessCurves | None:
    if result.sharpness is None:
        return None
    steps, quantiles = result.sharpness.quantiles()
    return SharpnessCurves(sharpness_limit(result.setting, spec), steps, *quantiles)


def _row(
    result: SettingResult,
    basins: np.ndarray[Any, Any],
    evidence: np.ndarray[Any, Any],
    labels: Labels,
    names: list[str],
    verdict: Verdict,
    spec: JobSpec,
) -> SettingRow:
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
        falls={f.value: falls[f] for f in Fall if falls[f]},
        hover=float(np.median(hovers)) if hovers.size else None,
        worst_hover=float(hovers.max()) if hovers.size else None,
        evidence={e.value: why[e] for e in Evidence},
        unstable=wilson(int(table.unstable.sum()), total),
        diverged=wilson(int(table.diverged.sum()), total),
        trapped=share(basins, Basin.LOCAL_MINIMUM),
        global_minimum=share(basins, Basin.GLOBAL_MINIMUM),
        trapped_at=trapped_by_tolerance(labels, table),
        unstable_upper=upper_bound(result, spec, verdict.confidences.get(setting.number)),
        status=status_of(result, verdict, spec),
        loss=_finite(np.quantile(ends, 0.5, method="inverted_cdf")),
        best_loss=_finite(ends.min()),
        validation_loss=float(np.median(held_out)) if held_out.size else None,
        reached=reached,
        cost=_finite(spent),
    )


def _finite(value: float | np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


def _cliff(name: str, optimizer: int, search: list[SettingResult], spec: JobSpec) -> Cliff | None:
    mine = [r for r in search if r.setting.optimizer == optimizer]
    if not mine:
        return None
    return fit_cliff(
        name,
        [r.setting.learning_rate for r in mine],
        np.array([r.restarts.unstable for r in mine]),
        spec.stability.max_unstable,
        spec.stability.confidence,
        [spec.seed, int(Purpose.BOOTSTRAP), optimizer],
    )


def _best(
    verdict: Verdict,
    rows: list[SettingRow],
    names: list[str],
    cliffs: Mapping[str, Cliff],
    spec: JobSpec,
) -> BestStable | None:
    if verdict.best is None:
        return None
    setting = verdict.best.setting
    at, above = (
        rows[verdict.confirmed[0].setting.number],
        rows[verdict.confirmed[-1].setting.number],
    )
    cliff = cliffs[names[setting.optimizer]].estimate
    return BestStable(
        number=setting.number,
        optimizer=names[setting.optimizer],
        hyperparameters=spec.search.rules[setting.optimizer].hyperparameters,
        learning_rate=setting.learning_rate,
        unstable=at.unstable,
        unstable_upper=at.unstable_upper,
        margin=spec.stability.margin,
        unstable_at_margin=above.unstable,
        unstable_upper_at_margin=above.unstable_upper,
        trapped=at.trapped,
        trapped_at=at.trapped_at,
        cost=at.cost,
        decades_to_cliff=float(np.log10(cliff / setting.learning_rate)) if cliff else None,
    )


def _sensitivity(search: list[SettingResult], names: list[str], labels: Labels) -> dict[str, float]:
    """Wortsman et al. 2023, by optimizer, of the mean over the restarts; from two rates up."""
    out = {}
    for i, name in enumerate(names):
        mine = [r for r in search if r.setting.optimizer == i]
        rates = np.array([r.setting.learning_rate for r in mine])
        if len(np.unique(rates)) >= 2 and np.isfinite(labels.start_loss - labels.best):
            losses = np.array([r.value for r in mine])
            out[name] = learning_rate_sensitivity(rates, losses, labels.start_loss, labels.best)
    return out
