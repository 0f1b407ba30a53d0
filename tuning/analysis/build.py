"""From the study's results to the report. Pure: the same results give the same report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.randomness import Purpose
from tuning.analysis.basin_labels import Labels
from tuning.analysis.cliff_goal import goal_of, trained_of
from tuning.analysis.comparisons import compare
from tuning.analysis.distinct_minima import distinct_minima
from tuning.analysis.explanations import explain, undefined_starts, warnings_of
from tuning.analysis.judgements import (
    drift,
    drifts,
    found_by,
    own_bests,
)
from tuning.analysis.next_step import advice_on
from tuning.analysis.recommendation import Verdict, fresh_starts, judge
from tuning.analysis.rows import best_stable, setting_row
from tuning.cliff.fit import fit_thresholds
from tuning.cliff.observations import brackets
from tuning.report.model import (
    LossProfile,
    QuantileCurves,
    Report,
    RunFacts,
    SharpnessCurves,
)
from tuning.spec.job import JobSpec
from tuning.statistics.cliff import Cliff, fit_cliff
from tuning.statistics.intervals import learning_rate_sensitivity
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult, bought_of, of_role
from tuning.trial.setting import Role, Setting
from tuning.trial.task import sharpness_limit

__all__ = ["build_report", "next_confirmations"]


def _search_labels(
    spec: JobSpec, results: Sequence[SettingResult], known_minimum: float | None
) -> Labels:
    search = [result for result in results if result.setting.role.is_search]
    return Labels.of(search, known_minimum, spec.thresholds)


def next_confirmations(
    spec: JobSpec, known_minimum: float | None, results: Sequence[SettingResult]
) -> list[Setting]:
    """The settings to try next on fresh starts; none when the verdict is final.

    Args:
        results: one a trial.
    """
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
    *,
    searching: bool = False,
) -> Report:
    """The report of `results`: all trials of the search, then those on fresh starts; at least one.

    It has a row for each setting, whose trials are joined.

    Args:
        problem: its facts, `known_minimum` among them.
        searching: whether a search for the cliff goes on, which its results do not tell; those of
            other searches do.
    """
    known = problem["known_minimum"]
    labels = Labels.of(gathered(results), known, spec.thresholds)
    verdict = _verdict(spec, known, results)
    missing = "the search for the cliff goes on" if searching else _missing(results, spec)
    each = [labels.relabelled(result) for result in results]
    results = labels.results
    names = list(spec.search.space.optimizers)
    rows = [
        setting_row(r, b, e, labels, names, verdict, spec)
        for r, b, e in zip(results, labels.basins, labels.evidence, strict=True)
    ]
    search = of_role(results, Role.SEARCH)
    of = {role: tuple(row for row in rows if row.role == role) for role in Role}
    tried = of[Role.SEARCH]
    cliffs = {
        name: c for i, name in enumerate(names) if (c := _cliff(name, i, each, spec)) is not None
    }
    undefined = undefined_starts(results)
    minima, unseen = distinct_minima(results, labels)
    # While it is searched, nothing is the best yet.
    best = None if missing else best_stable(verdict, labels, names, cliffs, spec)
    if best is None and verdict.next:
        missing = missing or "the search is done, as far as is told"
    fresh = fresh_starts(results, spec)
    advice = (
        f"go on: surefoot resume {run.job_id}"
        if missing
        else advice_on(
            verdict,
            best,
            tried,
            cliffs,
            spec,
            learned=labels.learned,
            undefined=bool(undefined),
            fresh_starts=fresh,
        )
    )
    return Report(
        job=spec.answer_key,
        problem=problem,
        settings=tried,
        probes=of[Role.PROBE],
        confirmations=of[Role.CONFIRMATION],
        rivals=of[Role.COMPARISON],
        best_stable=best,
        explanation=explain(
            verdict,
            best,
            tried,
            spec,
            missing=missing,
            learned=labels.learned,
            advice=advice,
            fresh_starts=fresh,
            undefined=undefined,
        ),
        advice=advice,
        unfinished=missing,
        cliffs=cliffs,
        stopped={} if searching else _stopped(each, names, spec),
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
        comparisons=compare(
            verdict.confirmed.rates[0].result, verdict.rivals, verdict.target.loss, names
        )
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
            learned=labels.learned or not tried,
            undefined=undefined,
            drift=drift(labels) if drifts(labels) else None,
        ),
        sharpness={
            r.setting.number: curves for r in results if (curves := _sharpness(r, spec)) is not None
        },
        curves={
            r.setting.number: QuantileCurves(r.curves.steps, *r.curves.quantiles())
            for r in results
            if len(r.curves.steps) > 1
        },
        landscape=landscape,
        run=run,
    )


def _missing(results: Sequence[SettingResult], spec: JobSpec) -> str:
    """How far the search is, in words, if settings are missing of it; else empty."""
    if spec.seeks_cliff:
        return ""
    done, all_of_them = len(of_role(results, Role.SEARCH)), spec.search_settings
    if (bought := bought_of(results)) is not None:
        all_of_them = min(all_of_them, bought.restarts // spec.training.restarts)
    return f"{done} of {all_of_them} settings are done" if done < all_of_them else ""


def _stopped(
    results: Sequence[SettingResult], names: Sequence[str], spec: JobSpec
) -> dict[str, str]:
    """By optimizer, why its search for the cliff ended."""
    if not spec.seeks_cliff:
        return {}
    why = "the budget is spent"
    if (bought := bought_of(results)) is not None:
        restarts = bought.restarts + bought.fresh * spec.confirmed_rates
        why = (
            f"time was over; [budget] restarts = {restarts}, fresh = {bought.fresh} buy the same "
            "answer"
        )
    searched = [r for r in results if r.setting.role.is_search]
    mine = {
        name: brackets(trained_of([r for r in searched if r.setting.optimizer == i]))
        for i, name in enumerate(names)
    }
    goal = goal_of(spec)
    return {name: goal.settled(known) or why for name, known in mine.items() if len(known)}


def _sharpness(result: SettingResult, spec: JobSpec) -> SharpnessCurves | None:
    if result.sharpness is None:
        return None
    steps, quantiles = result.sharpness.quantiles()
    return SharpnessCurves(sharpness_limit(result.setting, spec), steps, *quantiles)


def _cliff(
    name: str, optimizer: int, results: Sequence[SettingResult], spec: JobSpec
) -> Cliff | None:
    mine = [r for r in results if r.setting.optimizer == optimizer and r.setting.role.is_search]
    if not mine:
        return None
    if spec.seeks_cliff:
        return fit_thresholds(
            name,
            trained_of(mine),
            goal_of(spec).within,
            spec.stability.max_unstable,
            spec.stability.confidence,
        )
    unstable, trained = _by_start(mine)
    return fit_cliff(
        name,
        [r.setting.learning_rate for r in mine],
        unstable,
        spec.stability.max_unstable,
        spec.stability.confidence,
        [spec.seed, int(Purpose.BOOTSTRAP), optimizer],
        trained,
    )


def _by_start(results: Sequence[SettingResult]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(S, R) of S settings and all their starts: who is unstable, as far as is known, and who was
    trained. Of whom it is not known counts as unstable."""
    starts = sorted({start for r in results for start in r.setting.starts})
    unstable, trained = (np.zeros((len(results), len(starts)), dtype=bool) for _ in range(2))
    for row, result in enumerate(results):
        at = np.searchsorted(starts, result.setting.starts)
        unstable[row, at] = result.restarts.unstable | result.restarts.doubtful
        trained[row, at] = True
    return unstable, trained


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
