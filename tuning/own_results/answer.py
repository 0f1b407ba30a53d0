"""`tuning.verdict`: a table of trainings in, the ordinary report out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.errors import InvalidInput
from tuning.analysis.basin_labels import Labels
from tuning.analysis.build import build_report
from tuning.analysis.problem_info import host_facts
from tuning.own_results import cells
from tuning.own_results.comparison import compared
from tuning.own_results.knowledge import as_far_as_known
from tuning.own_results.reading import read
from tuning.own_results.spec import ResultsSpec, TriedRates, TriedSettings, stability_of
from tuning.own_results.table import Trainings, checked
from tuning.own_results.tails import restarts_of
from tuning.report.model import Report, RunFacts
from tuning.spec.search_space import LEARNING_RATE
from tuning.spec.sections import ProblemSpec, StabilitySpec, TrainingSpec
from tuning.trial.curves import Curves
from tuning.trial.result import Restarts, SettingResult
from tuning.trial.setting import Block, Role, Setting

__all__ = ["verdict"]

_MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class TrainedElsewhere(Block):
    """Starts that somebody else trained; one alone may be any."""

    def __post_init__(self) -> None:
        if len(set(self.starts)) < len(self.starts):
            raise ValueError(f"starts {self.starts} are not different")


def verdict(
    table: object,
    *,
    stability: Mapping[str, Any] | None = None,
    known_minimum: float | None = None,
    steps: int | None = None,
) -> Report:
    """The report on trainings of your own: rates with their intervals, cliffs, the best stable one.

    `table` has a row for each training: a pandas DataFrame, whatever has `to_pandas`, or a path to
    a .csv, .parquet or .json file. Its columns:

    - `learning_rate`: above 0. `optimizer`: any name; may be left out if there is only one.
    - `seed`: which start, a whole number or a text. Settings are compared seed by seed.
    - `loss`: the final loss, or a list of K losses along the run, the first of them before the
      first step (in CSV as JSON). Not finite means diverged, and so is all after it.
    - `diverged` (optional): whether it did though its loss is finite.
    - `start_loss`, `validation_loss` (optional).

    What losses do not tell is said to be not known. A final loss tells only who diverged; from 20
    losses a run on, the last tenth of them tells also who ends above its start, and of whom it is
    not known whether it has fallen. Nothing is confirmed, for there are no fresh starts: the best
    rate at most looks stable, and `explanation` says how many new seeds would confirm it.

    Args:
        stability: as `[stability]` in a job file, such as `{"max_unstable": 0.05, "margin": 1.0}`.
        known_minimum: the lowest loss there is, if it is known: who came to it is told.
        steps: that each training took. Without it each entry of a curve counts as one step, and of
            final losses no cost is given.

    Raises:
        InvalidInput: one line that names file, column, row and what is valid.
    """
    begin = time.perf_counter()
    limits = stability_of(stability)
    where, columns = read(table)
    given = checked(columns, where)
    at = _steps(given, steps, where)
    if limits.choose_by == "validation" and np.isnan(given.validation_loss).all():
        raise InvalidInput(
            f"stability.choose_by = 'validation': {where} has no column validation_loss; add it, "
            "or drop this key"
        )
    if known_minimum is not None:
        known_minimum = _finite(known_minimum)
    results = _results(given, at)
    name = Path(table).stem if isinstance(table, str | Path) else "own results"
    spec = _spec(given, results, name, limits)
    problem = {
        "name": "trained elsewhere",
        "known_minimum": known_minimum,
        "trainings": len(given.start),
        "seeds": len(np.unique(given.start)),
    }
    labels = Labels.of(results, known_minimum, spec.thresholds)
    report = build_report(spec, problem, results, _run(begin, results, steps=steps))
    report = replace(report, comparisons=compared(labels.results, labels, spec))
    return as_far_as_known(report, costs=steps is not None or len(at) > 1)


def _finite(known_minimum: object) -> float:
    try:
        value = cells.number(known_minimum)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InvalidInput(f"known_minimum = {known_minimum!r} is not valid: a finite number is")
    return value


def _steps(given: Trainings, steps: object, where: str) -> NDArray[np.int64]:
    """(K,): at which steps the losses were."""
    last = len(given.losses) - 1
    if steps is None:
        return np.arange(last + 1, dtype=np.int64) if last else np.ones(1, dtype=np.int64)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= _MOST_STEPS:
        raise InvalidInput(
            f"steps = {steps!r} is not valid: a whole number from 1 to {_MOST_STEPS} is"
        )
    if steps < last:
        raise InvalidInput(f"steps = {steps}: {where} has {last + 1} losses a run, which take more")
    places = np.linspace(0, steps, last + 1) if last else np.array([steps])
    return np.asarray(places.round().astype(np.int64))


def _results(given: Trainings, steps: NDArray[np.int64]) -> list[SettingResult]:
    """One for each optimizer and rate, in the order met, their rows by start."""
    everyone = restarts_of(given, steps)
    rows: dict[tuple[int, float], list[int]] = {}
    pairs = zip(given.optimizer.tolist(), given.learning_rate.tolist(), strict=True)
    for row, key in enumerate(pairs):
        rows.setdefault(key, []).append(row)
    results = []
    for number, ((optimizer, rate), mine) in enumerate(rows.items()):
        order = np.array(mine)[np.argsort(given.start[mine])]
        block = TrainedElsewhere(
            optimizer, {LEARNING_RATE: rate}, tuple(given.start[order].tolist())
        )
        setting = Setting(number, Role.SEARCH, (block,))
        table = Restarts(**{f.name: getattr(everyone, f.name)[order] for f in fields(Restarts)})
        results.append(SettingResult(setting, table, _curves(given, order, steps), 0.0, 0.0, 0.0))
    return results


def _curves(given: Trainings, rows: NDArray[np.intp], steps: NDArray[np.int64]) -> Curves:
    losses = given.losses[:, rows]
    told = np.where(np.isfinite(losses), losses, np.nan)
    if len(steps) == 1:  # a loss that came before divergence is no success
        told = np.where(given.diverged[rows], np.nan, told)
    with np.errstate(over="ignore"):  # a loss beyond float32 is as good as infinite
        lowest = np.fmin.accumulate(told, axis=0)
        return Curves(steps, told.astype(np.float32), lowest.astype(np.float32))


def _spec(
    given: Trainings, results: list[SettingResult], name: str, limits: StabilitySpec
) -> ResultsSpec:
    rates = given.learning_rate
    plain = "".join(c if c.isprintable() and c not in "/\\:" else " " for c in name)
    return ResultsSpec(
        name=plain.lstrip(".- ")[:80] or "own results",
        problem=ProblemSpec(name="own results"),
        search=TriedSettings(
            optimizers=[{"name": optimizer} for optimizer in given.names],
            learning_rate=TriedRates(low=float(rates.min()), high=float(rates.max())),
            settings=len(results),
            sampler="grid",
        ),
        training=TrainingSpec(restarts=min(len(r.restarts) for r in results)),
        stability=limits,
        points=len(given.losses),
        started=bool(np.isfinite(given.start_loss).any()),
    )


def _run(begin: float, results: list[SettingResult], *, steps: int | None) -> RunFacts:
    """How long this reckoning took; how long the trainings did is not known."""
    unknown = float("nan")
    gone = np.concatenate([r.restarts.diverged_at for r in results])
    return RunFacts(
        job_id="verdict",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - begin,
        training_seconds=unknown,
        classifying_seconds=unknown,
        restart_steps=0 if steps is None else int(np.where(gone >= 0, gone, steps).sum()),
        host=host_facts(),
    )
