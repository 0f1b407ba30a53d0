"""What cannot be trained is refused before it costs anything."""

from __future__ import annotations

import numpy as np

from trainers.errors import InvalidInput
from trainers.problem import FloatArray, Problem, evaluator
from trainers.training.trainer import TrainingPlan

__all__ = ["check_plan", "check_returns"]


def check_returns(problem: Problem, starts: FloatArray) -> None:
    """Evaluate a problem once and refuse shapes and types that cannot be trained.

    Raises:
        InvalidInput: naming the problem, what it returned and what is expected.
    """
    name, (restarts, parameters) = type(problem).__name__, starts.shape
    known = problem.known_minimum
    if known is not None and not np.isfinite(known):
        raise InvalidInput(
            f"{name}.known_minimum is {known!r}; it must be a finite number, or None where nobody "
            "knows it"
        )
    given = starts.copy()
    answer: object = evaluator(problem)(given)
    returned = f"{name}.loss_and_gradient returned"
    if not np.array_equal(given, starts):
        raise InvalidInput(f"{name}.loss_and_gradient changed w; it must leave it as it is")
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise InvalidInput(f"{returned} {type(answer).__name__}; it must return loss, gradient")
    shapes = ("loss", (restarts,)), ("gradient", (restarts, parameters))
    for array, (what, shape) in zip(answer, shapes, strict=True):
        _check_array(f"{returned} a {what}", array, shape, starts)
    product: object = problem.hessian_product(given, given)
    if not np.array_equal(given, starts):
        raise InvalidInput(f"{name}.hessian_product changed w or v; it must leave them as they are")
    if product is not None:
        _check_array(f"{name}.hessian_product returned a product", product, starts.shape, starts)


def _check_array(returned: str, array: object, shape: tuple[int, ...], starts: FloatArray) -> None:
    """Refuse what was `returned` at `starts` if it is not an array of real numbers, of `shape`."""
    if not isinstance(array, np.ndarray):
        raise InvalidInput(f"{returned} of type {type(array).__name__}; give an array")
    if array.dtype.kind not in "fiu":
        raise InvalidInput(f"{returned} of {array.dtype}; give real numbers, float64")
    if array.shape != shape:
        raise InvalidInput(
            f"{returned} of shape {array.shape} for w of shape {starts.shape}; it must be {shape}"
        )


def check_plan(problem: Problem, plan: TrainingPlan) -> None:
    """Refuse shapes, rates and sizes that are not valid for `problem`.

    Raises:
        InvalidInput: what is wrong, and what is valid.
    """
    starts, rates, batch_size = plan.starts, plan.learning_rate, plan.batch_size
    if starts.ndim != 2 or len(starts) == 0 or starts.shape[1] != problem.parameters:
        raise InvalidInput(
            f"starts have shape {starts.shape}; it must be (restarts, {problem.parameters})"
        )
    if not np.isfinite(starts).all():
        raise InvalidInput("starts hold values that are not finite")
    if rates.shape != (len(starts),):
        raise InvalidInput(
            f"learning_rate has shape {rates.shape}; it must be a number or ({len(starts)},)"
        )
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise InvalidInput("learning_rate must be finite and above 0")
    if plan.steps < 1:
        raise InvalidInput(f"steps = {plan.steps} is not valid; it must be at least 1")
    if not plan.diverged > 1:
        raise InvalidInput(f"diverged = {plan.diverged:g} is not valid; it must be above 1")
    if batch_size is not None:
        if problem.examples is None:
            raise InvalidInput(
                f"batch_size = {batch_size}: {type(problem).__name__} has no examples to draw from"
            )
        if not 1 <= batch_size <= problem.examples:
            raise InvalidInput(
                f"batch_size = {batch_size} is not valid; from 1 to {problem.examples} examples"
            )
