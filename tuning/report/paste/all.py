"""All libraries, and from a report's parts to how was trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from trainers.optimizers import (
    OPTIMIZERS,
    Adam,
    GradientDescent,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    get_optimizer,
)
from tuning.report.paste import keras, optax, pytorch, scikit_learn
from tuning.report.paste.recipe import Recipe, Training
from tuning.report.rows import BestStable

__all__ = ["recipes"]

_LIBRARIES: Mapping[str, Callable[[Training], Recipe | None]] = {
    "pytorch": pytorch.recipe,
    "keras": keras.recipe,
    "optax": optax.recipe,
    "scikit-learn": scikit_learn.recipe,
}

#: Which the modules know how to write. By type: a subclass may step otherwise.
_WRITTEN = (GradientDescent, Momentum, Nesterov, RMSProp, Adam)


def recipes(
    best: BestStable | None, job: Mapping[str, Any], problem: Mapping[str, Any]
) -> dict[str, Recipe]:
    """By library, what to paste; empty without a best setting, and where its rule is in none.

    Args:
        job, problem: of the report. A job that an earlier version made does not say of its problem
            what the loss is, weights that decay included: nothing is told then.
    """
    if best is None or "loss" not in problem:
        return {}
    name = best.optimizer.partition("(")[0]
    kind = _kind_of(name, best.hyperparameters)
    if kind is not None and kind not in _WRITTEN:
        return {}
    rule = None if kind is None else get_optimizer(name, **best.hyperparameters)
    if isinstance(rule, Momentum | Nesterov) and not rule.beta:
        rule = GradientDescent()  # which it is, and PyTorch refuses Nesterov's method so
    training = _training(best, name, rule, job, problem)
    asked = {name: write(training) for name, write in _LIBRARIES.items()}
    beside = tuple(f"With {words}, as in the job." for words in problem.get("trained_with", ()))
    found = {
        name: replace(recipe, remarks=(*recipe.remarks, *beside))
        for name, recipe in asked.items()
        if recipe is not None
    }
    return found if any(recipe.line for recipe in found.values()) else {}


def _kind_of(name: str, hyperparameters: Mapping[str, Any]) -> type[Optimizer] | None:
    """Which of our own rules it is. Another library's may bear the name of one, but hardly with
    exactly its hyperparameters."""
    kind = OPTIMIZERS.get(name)
    if kind is None:
        return None
    taken = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind if taken == set(hyperparameters) else None


def _training(
    best: BestStable,
    name: str,
    rule: Optimizer | None,
    job: Mapping[str, Any],
    problem: Mapping[str, Any],
) -> Training:
    how = job.get("training", {})
    return Training(
        name=name,
        hyperparameters=best.hyperparameters,
        learning_rate=best.learning_rate,
        optimizer=rule,
        loss=problem["loss"],
        weight_decay=problem.get("weight_decay") or 0.0,
        layers=tuple(problem.get("layers") or ()),
        activation=problem.get("activation") or "",
        initializer=problem.get("initializer") or "",
        biases=bool(problem.get("biases")),
        standardised="features" in problem,
        examples=problem["examples"] or 0,
        batch_size=how.get("batch_size"),
        steps=how.get("steps", 0),
    )
