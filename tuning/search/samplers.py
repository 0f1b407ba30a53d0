"""How hyperparameters are drawn: one function for each `[search] sampler`.

A sampler is a function of what it is given alone, and keeps nothing between two calls. A new one is
a name in `spec.sections.SamplerName`, a function here and its line in `SAMPLERS`. One that chooses
more than hyperparameters (the starts of a block, say, or how many settings there are) is no
sampler in this sense: it takes the place of `Proposer` in `plan`.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trainers.errors import InvalidInput
from trainers.randomness import Purpose, generator
from tuning.spec.search_space import SearchSpace
from tuning.spec.sections import SamplerName
from tuning.trial.setting import Setting

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["SAMPLERS", "Draw", "Told", "check_sampler"]

# Told trials of an optimizer before its model is trusted; until then Optuna samples at random.
# In one dimension, with `try_first` among them, a few are enough (Optuna's 10 is for many).
STARTUP = 4


@dataclass(frozen=True)
class Told:
    """The result of a setting: `value` is minimised; `violation` above 0 means too unstable.

    tpe only ranks them; gp models the numbers, so give it logarithms of costs that span decades
    (its squares overflow beyond 1e150).
    """

    setting: Setting
    value: float
    violation: float


@dataclass(frozen=True)
class Draw:
    """What a sampler may use to draw the hyperparameters of one setting.

    Attributes:
        space: their dimensions.
        seed, number: of the job and of the setting; they decide what is random.
        index, count: which of the draws for this optimizer it is, from 0, and how many there are.
        told, pending: this optimizer's settings with results, and those without yet, in order.
    """

    space: SearchSpace
    seed: int
    number: int
    index: int
    count: int
    told: Sequence[Told]
    pending: Sequence[Setting]


Hyperparameters = Mapping[str, float]


def check_sampler(name: str) -> None:
    """Raises InvalidInput: there is no sampler of that name, or it cannot be had here."""
    if name not in SAMPLERS:
        raise InvalidInput(f"sampler = {name!r} is not valid: use {', '.join(SAMPLERS)}")
    if name == "gp" and importlib.util.find_spec("torch") is None:
        raise InvalidInput(
            "sampler = 'gp' needs torch, which is not installed: "
            "pip install 'surefoot[gp]', or choose another sampler"
        )


def _tpe(draw: Draw) -> Hyperparameters:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), with Optuna's constraints."""
    from optuna.samplers import TPESampler

    return _ask(draw, TPESampler(seed=_seed(draw), n_startup_trials=STARTUP))


def _gp(draw: Draw) -> Hyperparameters:
    """Gaussian process."""
    from optuna.samplers import GPSampler

    return _ask(draw, GPSampler(seed=_seed(draw), n_startup_trials=STARTUP))


def _random(draw: Draw) -> Hyperparameters:
    """Uniform in the logarithm of each hyperparameter."""
    from optuna.samplers import RandomSampler

    return _ask(replace(draw, told=(), pending=()), RandomSampler(seed=_seed(draw)))


def _grid(draw: Draw) -> Hyperparameters:
    """Evenly spaced in the logarithm, both ends included, ascending; for one dimension."""
    (dimension,) = draw.space.dimensions
    return {dimension.name: dimension.at(draw.index / (draw.count - 1) if draw.count > 1 else 0.5)}


def _qmc(draw: Draw) -> Hyperparameters:
    """Scrambled Sobol' sequence (Owen 1998), the same points for every optimizer."""
    # Not Optuna's QMCSampler: it draws its first point at random and counts the others in a
    # study attribute, so that point j in memory would cost j asks.
    from scipy.stats.qmc import Sobol

    dimensions = draw.space.dimensions
    rng = generator(draw.seed, Purpose.PROPOSAL)
    engine = Sobol(len(dimensions), scramble=True, rng=rng)
    if draw.index:
        engine.fast_forward(draw.index)
    point = engine.random(1)[0].tolist()
    return {d.name: d.at(part) for d, part in zip(dimensions, point, strict=True)}


SAMPLERS: Mapping[SamplerName, Callable[[Draw], Hyperparameters]] = {
    "tpe": _tpe,
    "gp": _gp,
    "random": _random,
    "grid": _grid,
    "qmc": _qmc,
}


def _seed(draw: Draw) -> int:
    return int(generator(draw.seed, Purpose.PROPOSAL, draw.number).integers(2**32))


def _ask(draw: Draw, sampler: BaseSampler) -> Hyperparameters:
    """What Optuna samples from a study that is built in memory and thrown away."""
    import optuna

    from tuning.search.told_trials import told_trial

    space: dict[str, optuna.distributions.BaseDistribution] = {
        d.name: optuna.distributions.FloatDistribution(d.low, d.high, log=True)
        for d in draw.space.dimensions
    }
    with _silent():
        study = optuna.create_study(sampler=sampler)
    for result in draw.told:
        study.add_trial(
            told_trial(
                result.setting.hyperparameters,
                space,
                value=result.value,
                constraints={"unstable": result.violation},
            )
        )
    for setting in draw.pending:
        # Running, so that the constant liar (tpe) or the batch acquisition (gp) keeps away.
        study.add_trial(told_trial(setting.hyperparameters, space))
    with _silent():
        params = study.ask(dict(space)).params
    return {d.name: d.clip(float(params[d.name])) for d in draw.space.dimensions}


@contextmanager
def _silent() -> Iterator[None]:
    """Without Optuna's notes (a study was created, gp could be faster); the level is put back."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        logger.setLevel(level)
