"""Restart-steps until the answer is right and stays so: the search for the cliff, and Optuna's own
samplers and Hyperband on whole settings, with the same trainings and the same rules of the report.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna

from tests.support.thresholds import carry_out
from trainers import Problem
from tuning.analysis.basin_labels import Labels
from tuning.analysis.build import build_report
from tuning.analysis.candidates import Candidates
from tuning.analysis.cost import expected_running_time
from tuning.analysis.problem_info import problem_facts
from tuning.report.model import RunFacts
from tuning.spec.job import JobSpec, read_spec
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.result import BlockResult, SettingResult
from tuning.trial.setting import Block, Role, Setting
from tuning.trial.task import TrainingConfig, run_task

__all__ = ["samplers"]

SEEDS = int(os.environ.get("SUREFOOT_SEEDS", "3"))
#: The table, its steps and range, and how finely the truth is looked at: rates and starts.
PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[float, float], tuple[int, int]]] = {
    "double-well": ({"name": "double-well"}, {"steps": 500}, (1e-3, 10.0), (81, 512)),
    "himmelblau": ({"name": "himmelblau"}, {"steps": 500}, (1e-4, 1.0), (81, 512)),
    "xor": ({"name": "xor"}, {"steps": 1000}, (1e-2, 100.0), (81, 512)),
    "teacher-student": ({"name": "teacher-student"}, {"steps": 500}, (1e-2, 100.0), (61, 256)),
    "digits": (
        {"name": "mlp", "data": "digits", "hidden": [16], "weight_decay": 1e-3},
        {"steps": 200, "batch_size": 64},
        (1e-2, 100.0),
        (31, 128),
    ),
}
CLIFF, HYPERBAND = "cliff", "tpe and hyperband"
METHODS = (CLIFF, "tpe", "gp", "random", HYPERBAND)
RESTARTS, EACH = 1536, 64
_NEAR, _DEARER = 0.1, 1.1  # decades; times the least cost
_RUN = RunFacts("benchmark", "", 0.0, 0.0, 0.0, 0, {})


@dataclass(frozen=True)
class Trained:
    """Who trains, really."""

    problem: Problem
    config: TrainingConfig

    def train(self, block: Block) -> BlockResult:
        """A task."""
        return run_task(self.problem, self.config, block)


@dataclass(frozen=True)
class Truth:
    """From whole settings on a fine grid: costs at (N,) decades, the least of them where
    P(unstable) is within bounds, and the cliff."""

    places: np.ndarray[tuple[int], np.dtype[np.float64]]
    costs: np.ndarray[tuple[int], np.dtype[np.float64]]
    least: float
    cliff: float

    def cost(self, rate: float) -> float:
        """Between two rates by the logarithms of both."""
        return float(np.exp(np.interp(math.log10(rate), self.places, np.log(self.costs))))


@dataclass(frozen=True)
class Answer:
    """After so many restart-steps: decades off the cliff, and times the least cost."""

    steps: float
    off: float
    dearer: float


def _spec(name: str, sampler: str, seed: int, **training: int) -> JobSpec:
    problem, steps, (low, high), _ = PROBLEMS[name]
    search: dict[str, Any] = {
        "optimizers": ["gd"],
        "learning_rate": {"low": low, "high": high},
        "sampler": sampler,
        "try_first": [],
    }
    table = {
        "problem": problem,
        "search": search,
        "training": steps | training,
        "stability": {"margin": 1.0},
        "seed": seed,
    }
    if sampler == CLIFF:
        return read_spec({**table, "budget": {"restarts": RESTARTS}})
    search["settings"] = RESTARTS // EACH
    return read_spec({**table, "training": {"restarts": EACH} | steps | training})


def _truth(name: str) -> Truth:
    rates, restarts = PROBLEMS[name][-1]
    spec = _spec(name, "grid", 1000, restarts=restarts)
    spec = spec.model_copy(update={"search": spec.search.model_copy(update={"settings": rates})})
    results, labels = _searched(spec)
    target = Candidates.of(results, labels, spec).target.loss
    results = sorted(results, key=lambda r: r.setting.learning_rate)
    costs = np.array([expected_running_time(r, target)[0] for r in results])
    safe = [r.unstable_fraction <= spec.stability.max_unstable for r in results]
    cliff = build_report(spec, _facts(spec), results, _RUN).cliffs["gd"].estimate
    places = np.log10([r.setting.learning_rate for r in results])
    return Truth(places, costs, float(costs[safe].min()), cliff or math.inf)


def _searched(spec: JobSpec) -> tuple[list[SettingResult], Labels]:
    problem = spec.make_problem()
    trainer = Trained(problem, TrainingConfig.of(spec))
    all_ = carry_out(spec, trainer, known_minimum=problem.known_minimum)
    results = [r for r in all_ if r.setting.role.is_search]
    return results, Labels.of(results, problem.known_minimum, spec.thresholds)


def _facts(spec: JobSpec) -> dict[str, Any]:
    return dict(problem_facts(spec.problem.name, spec.make_problem()))


def _hyperband(spec: JobSpec) -> Iterator[tuple[SettingResult, float]]:
    """Results and the restart-steps of each, until those of the budget are spent. What it prunes is
    known as if it had been trained to its end, and costs what was trained: more than it may hope
    for."""
    problem = spec.make_problem()
    trainer, steps = Trained(problem, TrainingConfig.of(spec)), spec.training.steps
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=spec.seed),
        pruner=optuna.pruners.HyperbandPruner(max(1, steps // 27), steps, reduction_factor=3),
    )
    limits, left = spec.search.learning_rate, float(RESTARTS * steps)
    while left > 0:
        trial = study.ask()
        rate = trial.suggest_float(LEARNING_RATE, limits.low, limits.high, log=True)
        block = Block(0, {LEARNING_RATE: rate}, tuple(range(EACH)))
        setting = Setting(trial.number, Role.SEARCH, (block,), 0)
        result = SettingResult.join(setting, [trainer.train(block)])
        spent, pruned = steps, False
        for step, losses in zip(result.curves.steps.tolist(), result.curves.lowest, strict=True):
            trial.report(float(np.nanmean(np.nan_to_num(losses, nan=1e9, posinf=1e9))), step)
            if trial.should_prune():
                spent, pruned = step, True
                break
        state = optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.COMPLETE
        study.tell(trial, None if pruned else result.value, state=state)
        left -= EACH * spent
        yield result, float(EACH * spent)


def _answers(name: str, method: str, seed: int, truth: Truth) -> list[Answer]:
    """After each trial of the search."""
    spec = _spec(name, "random" if method == HYPERBAND else method, seed)
    if method == HYPERBAND:
        found, costs = map(list, zip(*_hyperband(spec), strict=True))
    else:
        found, _ = _searched(spec)
        costs = [float(len(r.restarts) * spec.training.steps) for r in found]
    facts, spent, answers = _facts(spec), 0.0, []
    for count in range(1, len(found) + 1):
        spent += costs[count - 1]
        part = found[:count]
        labels = Labels.of(part, facts["known_minimum"], spec.thresholds)
        best = Candidates.of([labels.relabelled(r) for r in part], labels, spec).next([], None)
        cliff = build_report(spec, facts, part, _RUN, searching=True).cliffs["gd"].estimate
        off = abs(math.log10(cliff / truth.cliff)) if cliff else math.inf
        dearer = truth.cost(best.setting.learning_rate) / truth.least if best else math.inf
        answers.append(Answer(spent, off, dearer))
    return answers


def _until(answers: Sequence[Answer], near: float, dearer: float) -> float:
    """Restart-steps to an answer that good, and from then on; infinite: never."""
    since = math.inf
    for answer in reversed(answers):
        if answer.off > near or answer.dearer > dearer:
            break
        since = answer.steps
    return since


def samplers() -> list[str]:
    """Lines of Markdown."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lines = [
        f"Restart-steps, in thousands, until the cliff is within {_NEAR:g} decades and the rate "
        f"within {100 * (_DEARER - 1):.0f} % of the least cost, and stay so: the median of {SEEDS} "
        f"seeds, gd, at most {RESTARTS:,} restarts ({EACH} a setting). Never: counted as all of "
        "them. In brackets: the cliff alone; the cost alone.",
        "",
        f"| | {' | '.join(METHODS)} | cliff over the best of the others |",
        f"| --- |{' --- |' * len(METHODS)} --- |",
    ]
    ratios = []
    for name in PROBLEMS:
        truth, most = _truth(name), RESTARTS * _spec(name, "random", 0).training.steps
        row: dict[str, list[float]] = {}
        for method in METHODS:
            runs = [_answers(name, method, seed, truth) for seed in range(SEEDS)]
            kinds = ((_NEAR, _DEARER), (_NEAR, math.inf), (math.inf, _DEARER))
            row[method] = [
                float(np.median([min(_until(run, *kind), most) for run in runs])) for kind in kinds
            ]
        ratio = row[CLIFF][0] / min(row[m][0] for m in METHODS if m != CLIFF)
        ratios.append(ratio)
        cells = [_cell(row[method], most) for method in METHODS]
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio:.2f} |")
        print(lines[-1], flush=True)
    mean = math.exp(float(np.mean(np.log(ratios))))
    return [*lines, "", f"Geometric mean: {mean:.2f} (asked: 0.33)."]


def _cell(found: Sequence[float], most: float) -> str:
    both, cliff, cost = ("never" if f >= most else f"{f / 1000:,.0f}" for f in found)
    return f"{both} ({cliff}; {cost})"
