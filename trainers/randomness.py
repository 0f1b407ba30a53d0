"""Every random number comes from (seed, what it is for, index), and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np

from trainers.errors import InvalidInput
from trainers.problem import FloatArray, IntArray, Problem

__all__ = ["Purpose", "batches", "generator", "starts"]


class Purpose(IntEnum):
    """What a stream of random numbers is for."""

    START = 1
    BATCHES = 2
    POLISH = 3
    PROPOSAL = 4
    BOOTSTRAP = 5
    CURVATURE = 6


def generator(seed: int, purpose: Purpose, *index: int) -> np.random.Generator:
    """An independent stream for (seed, purpose, index), by NumPy's SeedSequence."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *index)))


def starts(problem: Problem, *, restarts: int, seed: int = 0, first: int = 0) -> FloatArray:
    """The random starts `first` to `first + restarts - 1` of `problem`: (restarts, P).

    Start i depends on (seed, i) alone, however many are drawn with it.

    Raises:
        InvalidInput: restarts below 1, or a problem without `parameters`, or whose `initial` gives
            another shape or is not finite.
    """
    if restarts < 1:
        raise InvalidInput(f"restarts = {restarts} is not valid; it must be at least 1")
    name = type(problem).__name__
    if not hasattr(problem, "parameters"):
        raise InvalidInput(f"{name}.parameters is missing; set it to the length of w")
    parameters: object = problem.parameters
    if isinstance(parameters, bool) or not isinstance(parameters, int | np.integer):
        raise InvalidInput(f"{name}.parameters is {parameters!r}; it must be a whole number")
    if parameters < 1:
        raise InvalidInput(f"{name}.parameters is {parameters}; it must be at least 1")
    rows = np.empty((restarts, problem.parameters))
    for i in range(restarts):
        start = problem.initial(generator(seed, Purpose.START, first + i))
        if np.shape(start) != (problem.parameters,) or not np.isfinite(start).all():
            raise InvalidInput(
                f"{name}.initial returned shape {np.shape(start)}; it must be finite, of shape "
                f"({problem.parameters},) as {name}.parameters says"
            )
        rows[i] = start
    return rows


def batches(examples: int, batch_size: int, seed: int, *order: int) -> Iterator[IntArray]:
    """Indices (batch_size,) of one mini-batch after another, for ever: each epoch is a fresh
    shuffle and its incomplete last batch is dropped. `order`: the number of one of many such."""
    rng = generator(seed, Purpose.BATCHES, *order)
    while True:
        shuffled = rng.permutation(examples)
        for a in range(0, examples - batch_size + 1, batch_size):
            yield shuffled[a : a + batch_size]
