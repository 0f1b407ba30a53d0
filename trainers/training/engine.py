"""Training: R restarts as one array program, step by step."""

from __future__ import annotations

import inspect

import numpy as np

from trainers.errors import InvalidInput
from trainers.optimizers.base import Optimizer
from trainers.problem import Evaluate, FloatArray, IntArray, Problem
from trainers.randomness import batches
from trainers.thresholds import Thresholds
from trainers.training.sharpness_recorder import SharpnessRecorder
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trajectories import Trajectories

__all__ = ["Evaluate", "Trajectories", "evaluator", "recorded_steps", "train"]

_MOST_RECORDED = 10_000


def evaluator(problem: Problem) -> Evaluate:
    """The problem's loss and gradient on all its examples, as a function of w alone."""
    if problem.examples is not None:
        parameters = list(inspect.signature(problem.loss_and_gradient).parameters.values())
        if len(parameters) > 1 and parameters[1].default is inspect.Parameter.empty:
            everything = np.arange(problem.examples)
            return lambda w: problem.loss_and_gradient(w, everything)
    return lambda w: problem.loss_and_gradient(w)


def check_problem(problem: Problem, starts: FloatArray) -> None:
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
        if not isinstance(array, np.ndarray):
            raise InvalidInput(f"{returned} a {what} of type {type(array).__name__}; give an array")
        if array.dtype.kind not in "fiu":
            raise InvalidInput(f"{returned} a {what} of {array.dtype}; give real numbers, float64")
        if array.shape != shape:
            raise InvalidInput(
                f"{returned} a {what} of shape {array.shape} for w of shape {starts.shape}; "
                f"it must be {shape}"
            )


def recorded_steps(steps: int, batch_size: int | None) -> IntArray:
    """The steps whose full-batch loss is recorded, 0 and `steps` among them.

    All of them where it is free: full batch, up to 10,000 steps. Beyond that about 200 over the
    run and 100 in the tail; with mini-batches, where each costs an epoch, 60 and 40.
    """
    if batch_size is None and steps <= _MOST_RECORDED:
        return np.arange(steps + 1)
    over, late = (200, 100) if batch_size is None else (60, 40)
    tail = steps - TailStatistics.length(steps)
    grid = [
        np.linspace(0, steps, min(steps, over) + 1),
        np.linspace(tail, steps, min(steps - tail, late) + 1),
    ]
    return np.unique(np.concatenate(grid).round().astype(np.intp))


def train(
    problem: Problem,
    optimizer: Optimizer,
    *,
    learning_rate: float | FloatArray,
    starts: FloatArray,
    steps: int,
    batch_size: int | None = None,
    seed: int = 0,
    record_path: bool = False,
    sharpness_every: int | None = None,
    diverged: float = Thresholds.diverged,
) -> Trajectories:
    """Train every row of `starts` (R, P) for `steps` steps.

    Args:
        learning_rate: one for all, or (R,).
        batch_size: examples a step, drawn without replacement epoch by epoch, in the same order for
            all restarts; None for full batch.
        seed: seeds the order of the mini-batches, nothing else.
        record_path: keep the parameters of every step.
        sharpness_every: record the sharpness every so many steps; None for never.
        diverged: see `Thresholds`.

    Restarts that have diverged leave the batch and cost nothing more.

    Raises:
        InvalidInput: shapes, rates or sizes that are not valid.
        Whatever the problem's own code raises.
    """
    starts = np.array(starts, dtype=np.float64, ndmin=2)
    rates = np.array(learning_rate, dtype=np.float64)
    if rates.ndim == 0:
        rates = np.full(len(starts), rates)
    _check_arguments(problem, starts, rates, steps, batch_size, sharpness_every, diverged)
    sharpness = None
    if sharpness_every is not None:
        sharpness = SharpnessRecorder(evaluator(problem), optimizer, starts, steps, sharpness_every)
    with np.errstate(all="ignore"):
        check_problem(problem, starts[:2])  # two: a loss summed over restarts shows
        return _train(
            problem,
            optimizer,
            rates,
            starts,
            steps,
            batch_size,
            seed,
            record_path,
            sharpness,
            diverged,
        )


def _check_arguments(
    problem: Problem,
    starts: FloatArray,
    rates: FloatArray,
    steps: int,
    batch_size: int | None,
    sharpness_every: int | None,
    diverged: float,
) -> None:
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
    if steps < 1:
        raise InvalidInput(f"steps = {steps} is not valid; it must be at least 1")
    if not diverged > 1:
        raise InvalidInput(f"diverged = {diverged:g} is not valid; it must be above 1")
    if sharpness_every is not None and not 1 <= sharpness_every <= steps:
        raise InvalidInput(
            f"sharpness_every = {sharpness_every} is not valid; from 1 to the {steps} steps"
        )
    if batch_size is not None:
        if problem.examples is None:
            raise InvalidInput(
                f"batch_size = {batch_size}: {type(problem).__name__} has no examples to draw from"
            )
        if not 1 <= batch_size <= problem.examples:
            raise InvalidInput(
                f"batch_size = {batch_size} is not valid; from 1 to {problem.examples} examples"
            )


def _train(
    problem: Problem,
    optimizer: Optimizer,
    rates: FloatArray,
    starts: FloatArray,
    steps: int,
    batch_size: int | None,
    seed: int,
    record_path: bool,
    sharpness: SharpnessRecorder | None,
    diverged: float,
) -> Trajectories:
    full = evaluator(problem)
    order = None if batch_size is None else batches(problem.examples or 0, batch_size, seed)
    recorded = recorded_steps(steps, batch_size)
    row = dict(zip(recorded.tolist(), range(len(recorded)), strict=True))
    restarts = len(starts)
    losses = np.full((len(recorded), restarts), np.nan)
    path = np.full((steps + 1, *starts.shape), np.nan) if record_path else None
    weights = starts.copy()  # where each restart ended
    diverged_at = np.full(restarts, -1, dtype=np.intp)
    tail = TailStatistics(starts, steps)

    live = np.arange(restarts)  # which restarts the rows below belong to
    w = starts.copy()
    rate = rates[:, None]
    state = optimizer.init(w)
    before = w.copy()
    limit = np.full(restarts, np.inf)
    nothing = np.zeros(w.size)
    seen: FloatArray | None

    for t in range(steps + 1):
        if order is None:
            loss, gradient = full(w)
            seen = loss
        else:
            seen = full(w)[0].copy() if t in row else None
            loss, gradient = problem.loss_and_gradient(w, next(order))
        if t == 0:
            limit = diverged * np.maximum(loss if seen is None else seen, 1.0)
        # NaN or infinity anywhere makes a product NaN: rows are looked at when something is wrong.
        sound = w.reshape(-1).dot(nothing) + gradient.reshape(-1).dot(nothing) == 0.0
        if order is not None and seen is not None:
            sound = sound and np.isfinite(seen).all()
        if not (sound and (np.abs(loss) < limit).all()):
            bad = ~(np.isfinite(loss) & np.isfinite(loss if seen is None else seen))
            bad |= ~(np.isfinite(w).all(axis=1) & np.isfinite(gradient).all(axis=1))
            grew = np.einsum("rp,rp->r", w, w) > np.einsum("rp,rp->r", before, before)
            bad |= (loss >= limit) & grew
            if bad.any():
                gone, keep = live[bad], ~bad
                diverged_at[gone] = t
                finite = np.isfinite(w[bad]).all(axis=1, keepdims=True)
                weights[gone] = np.where(finite, w[bad], before[bad])
                live, limit, rate, loss = live[keep], limit[keep], rate[keep], loss[keep]
                # Compressed copies: w is changed in place below, and a gradient may be w itself.
                w, before, gradient = w[keep], before[keep], gradient[keep]
                seen = None if seen is None else seen[keep]
                state, nothing = state.rows(keep), np.zeros(w.size)
                tail.keep(keep)
                if not live.size:
                    break
        if seen is not None and t in row:
            if live.size == restarts:
                losses[row[t]] = seen
            else:
                losses[row[t], live] = seen
        if path is not None:
            path[t, live] = w
        if sharpness is not None and sharpness.due(t):
            gradient = gradient.copy()  # the problem may write to its own again
            sharpness.add(t, live, w, gradient, rate, state)
        if t == steps:
            break
        np.copyto(before, w)
        optimizer.step(w, gradient, rate, state)
        tail.add(t, before, w)

    weights[live] = w
    divisor, preconditioner = optimizer.preconditioner(state), None
    if divisor is not None:
        preconditioner = np.ones_like(starts)
        preconditioner[live] = divisor
    cosine, displacement = tail.summary(live, w, restarts)
    return Trajectories(
        optimizer=optimizer,
        learning_rate=rates,
        starts=starts,
        weights=weights,
        steps=steps,
        recorded=recorded,
        losses=losses,
        diverged_at=diverged_at,
        cosine=cosine,
        displacement=displacement,
        preconditioner=preconditioner,
        batch_size=batch_size,
        path=path,
        sharpness_steps=None if sharpness is None else sharpness.steps,
        sharpness=None if sharpness is None else sharpness.values,
    )
