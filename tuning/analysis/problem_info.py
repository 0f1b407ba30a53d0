"""Facts about a problem, which are part of the answer, and about this host, which are not."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from trainers import Problem, classify, train
from trainers.optimizers.base import UpdateRule
from trainers.optimizers.registry import PLUGINS as OPTIMIZERS
from trainers.problems.landscapes import Landscape
from trainers.problems.network import Network
from trainers.problems.registry import PLUGINS as PROBLEMS
from trainers.randomness import starts
from tuning.report.model import LossProfile, Paths, Report
from tuning.spec.job import JobSpec
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.setting import Block
from tuning.trial.task import TrainingConfig, train_block

__all__ = ["draw_landscape", "host_facts", "plugin_versions", "problem_facts"]

_WALKERS = 3
_MOST_PANELS = 12
_SWEPT_RATES = 41  # of a slider: it moves by a tenth of a decade or so
_SWEPT_STEPS = 60  # what an eye can follow


def problem_facts(
    name: str, problem: Problem, rules: Sequence[UpdateRule] = (), batch_size: int | None = None
) -> dict[str, Any]:
    """Plain JSON: what the report says about the problem, and how its tasks are cut.

    Args:
        rules, batch_size: by which it is trained.
    """
    facts: dict[str, Any] = {
        "name": name,
        "parameters": int(problem.parameters),
        "examples": problem.examples,
        "known_minimum": None if problem.known_minimum is None else float(problem.known_minimum),
        "flops": float(problem.flops()),
        **_loss_facts(problem),
        **problem.facts(),
    }
    taken = max((problem.restart_bytes(rule, batch_size) for rule in rules), default=0.0)
    if taken:
        facts["restart_bytes"] = float(taken)
    data = problem.loaded_data
    if data is not None:
        facts |= {
            "task": data.task,
            "task_was_guessed": data.task_was_guessed,
            "guess_reason": data.guess_reason,
            "features": len(data.feature_names),
            "classes": list(data.classes),
            "validation_examples": len(data.validation_inputs),
            "data_sha256": data.fingerprint,
        }
        if data.encoding is not None:
            facts["encoding"] = str(data.encoding)
        if data.notes:
            facts["data_notes"] = list(data.notes)
    return facts


def _loss_facts(problem: Problem) -> dict[str, Any]:
    """What other libraries must be told to train the same; `loss` None where it is the problem's
    own."""
    if not isinstance(problem, Network) or type(problem).loss_and_gradient is not (
        Network.loss_and_gradient
    ):
        return {"loss": None}
    return {
        "loss": problem.loss,
        "weight_decay": problem.weight_decay,
        "layers": list(problem.sizes),
        "activation": problem.activation,
        "initializer": problem.initializer if type(problem).initial is Network.initial else None,
        "biases": problem.biases,
    }


def host_facts() -> dict[str, str]:
    """The kind of processor and the versions: another kind rounds otherwise."""
    built: Mapping[str, Any] = dict(np.show_config(mode="dicts"))
    blas = built.get("Build Dependencies", {}).get("blas", {})
    facts = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
    }
    facts |= {
        name: version(name) for name in ("surefoot", "numpy", "scipy", "optuna", "ray", "mlflow")
    }
    return {**facts, "blas": f"{blas.get('name', '?')} {blas.get('version', '')}".strip()}


def plugin_versions(spec: JobSpec) -> dict[str, str]:
    """Of the distributions, by name, whose plug-ins the job names; nothing is imported."""
    origins = [PROBLEMS.origin(spec.problem.name)]
    origins += [OPTIMIZERS.origin(entry["name"]) for entry in spec.search.optimizers]
    return dict(sorted({origin for origin in origins if origin is not None}))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(
                (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                "",
            )
    except OSError:
        return platform.processor()


def draw_landscape(problem: Problem, config: TrainingConfig, report: Report) -> LossProfile | None:
    """J over w and a few walks on it, for a problem with one weight; None for any other.

    Drawn are the rates that each optimizer tried first, and the recommended one.
    """
    if problem.parameters != 1:
        return None
    first = starts(problem, restarts=64, seed=config.seed)
    low, high = (
        problem.span if isinstance(problem, Landscape) else (float(first.min()), float(first.max()))
    )
    reach = 0.1 * (high - low)
    w = np.linspace(low - reach, high + reach, 1001)
    with np.errstate(all="ignore"):
        loss = np.array(problem.loss_and_gradient(w[:, None])[0])
    inner = loss[1:-1]
    bottoms = w[1:-1][(inner < loss[:-2]) & (inner <= loss[2:])]
    depths = np.interp(bottoms, w, loss)
    lowest = depths <= (depths.min() if depths.size else 0.0) + 1e-6 * float(np.ptp(loss))
    paths = [_walk(problem, config, name, rate) for name, rate in _walks(report)]
    return LossProfile(
        w,
        loss,
        bottoms[lowest],
        bottoms[~lowest],
        tuple(paths),
        tuple(_sweep(problem, config, report)),
    )


def _sweep(problem: Problem, config: TrainingConfig, report: Report) -> Iterator[Paths]:
    """The first steps of the same walkers at every rate of a slider, an optimizer's at once."""
    tried = [row.learning_rate for row in report.settings]
    if not tried:
        return
    grid = np.geomspace(min(tried), max(tried), _SWEPT_RATES)
    begin = starts(problem, restarts=_WALKERS, seed=config.seed)
    for rule in config.optimizers:
        best = report.best_stable
        own = [best.learning_rate] if best is not None and best.optimizer == rule.label else []
        rates = np.unique(np.append(grid, own))
        run = train(
            problem,
            rule,
            learning_rate=np.repeat(rates, _WALKERS),
            starts=np.tile(begin, (len(rates), 1)),
            steps=min(config.steps, _SWEPT_STEPS),
            batch_size=config.batch_size,
            seed=config.seed,
            record_path=True,
            diverged=config.thresholds.diverged,
        )
        assert run.path is not None  # asked for above
        walks = run.path[:, :, 0].reshape(-1, len(rates), _WALKERS)
        for k, rate in enumerate(rates):
            yield Paths(rule.label, float(rate), walks[:, k], ())


def _walks(report: Report) -> list[tuple[str, float]]:
    search = report.job["search"]
    count = 3 if search["try_first"] is None else len(search["try_first"])
    chosen: list[tuple[str, float]] = []
    for name in dict.fromkeys(row.optimizer for row in report.settings):
        chosen += [(name, row.learning_rate) for row in report.settings if row.optimizer == name][
            :count
        ]
    if report.best_stable is not None:
        chosen.append((report.best_stable.optimizer, report.best_stable.learning_rate))
    return sorted(dict.fromkeys(chosen))[:_MOST_PANELS]


def _walk(problem: Problem, config: TrainingConfig, name: str, rate: float) -> Paths:
    optimizer = [rule.label for rule in config.optimizers].index(name)
    block = Block(optimizer, {LEARNING_RATE: rate}, tuple(range(_WALKERS)))
    run = train_block(problem, config, block, record_path=True)
    assert run.path is not None  # asked for above
    outcomes = classify(problem, run, config.thresholds)
    return Paths(name, rate, run.path[:, :, 0], tuple(str(d) for d in outcomes.dynamics))
