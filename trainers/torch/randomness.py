"""Which seeds PyTorch gets, so that a script of one's own can set the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from trainers.randomness import Purpose, generator

__all__ = ["drawn_seed", "module_seed", "seeded", "step_seed"]

_BELOW = 2**31  # short enough to be typed


def drawn_seed(rng: np.random.Generator) -> int:
    """The seed of a module, by the generator of its start."""
    return int(rng.integers(_BELOW))


def module_seed(seed: int, restart: int) -> int:
    """What `torch.manual_seed` is called with before the module of start `restart` is made, in a
    job of that `seed`."""
    return drawn_seed(generator(seed, Purpose.START, restart))


def step_seed(seed: int, step: int) -> int:
    """What it is called with before step `step`, from 0, of a module that draws random numbers
    (dropout): the same for all restarts."""
    return (seed * 1_000_003 + step) % _BELOW


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from `seed`, and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
