"""Which learning rate to try next: proposal k is a function of (job seed, k, told prefix) alone.

Nothing is kept between two calls. The study that Optuna samples from is built in memory for each
proposal and thrown away, so that a resumed coordinator proposes exactly what the killed one would
have; asking through a database costs ten times as much and leaves half-asked trials behind.
"""

from __future__ import annotations

import importlib.util
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers.errors import InvalidInput
from trainers.randomness import Purpose, generator

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["SAMPLERS", "Proposal", "Proposer", "Told"]

SAMPLERS = ("tpe", "gp", "random", "grid", "qmc")

# Told trials of an optimizer before its model is trusted; until then Optuna samples at random.
# In one dimension, with `try_first` among them, a few are enough (Optuna's 10 is for many).
STARTUP = 4


@dataclass(frozen=True)
class Proposal:
    """What trial `number` tries: the index of its optimizer in the job, and a learning rate."""

    number: int
    optimizer: int
    learning_rate: float


@dataclass(frozen=True)
class Told:
    """The result of a proposal: `value` is minimised; `violation` above 0 means too unstable.

    tpe only ranks them; gp models the numbers, so give it logarithms of costs that span decades
    (its squares overflow beyond 1e150).
    """

    proposal: Proposal
    value: float
    violation: float


class Proposer:
    """Proposes `settings` learning rates in [low, high], shared equally by the optimizers.

    Setting k goes to optimizer k % optimizers. Each optimizer starts with the rates `try_first`,
    in order; then its sampler proposes, on a logarithmic scale, from that optimizer's trials only:

    - tpe: tree-structured Parzen estimator (Bergstra et al. 2011), with Optuna's constraints;
    - gp: Gaussian process (needs torch);
    - random: uniform in log rate;
    - grid: evenly spaced in log rate, both ends included, ascending;
    - qmc: scrambled Sobol' sequence (Owen 1998), the same rates for every optimizer.

    Raises:
        InvalidInput: an unknown sampler, an empty range, a rate of `try_first` outside it, a
            count below 1, or sampler "gp" without torch.
    """

    def __init__(
        self,
        *,
        sampler: str,
        optimizers: int,
        low: float,
        high: float,
        try_first: Sequence[float],
        settings: int,
        in_flight: int,
        seed: int,
    ) -> None:
        if sampler not in SAMPLERS:
            raise InvalidInput(f"sampler = {sampler!r} is not valid: use {', '.join(SAMPLERS)}")
        if not 0 < low < high < math.inf:
            raise InvalidInput(
                f"learning_rate from {low!r} to {high!r} is not valid: it needs 0 < low < high"
            )
        for rate in try_first:
            if not low <= rate <= high:
                raise InvalidInput(
                    f"try_first has {rate!r}, which is not in learning_rate {low!r} to {high!r}: "
                    "widen the range or drop it"
                )
        counts = {"optimizers": optimizers, "settings": settings, "in_flight": in_flight}
        for name, count in counts.items():
            if count < 1:
                raise InvalidInput(f"{name} = {count} is not valid: it must be at least 1")
        if sampler == "gp" and importlib.util.find_spec("torch") is None:
            raise InvalidInput(
                "sampler = 'gp' needs torch, which is not installed: "
                "pip install 'surefoot[gp]', or choose another sampler"
            )
        self._sampler = sampler
        self._optimizers = optimizers
        self._low = low
        self._high = high
        self._try_first = tuple(try_first)
        self._settings = settings
        self._in_flight = in_flight
        self._seed = seed

    def propose(self, number: int, told: Sequence[Told], pending: Sequence[Proposal]) -> Proposal:
        """Proposal `number`, in 0 .. settings - 1.

        Args:
            told: the results of exactly the trials 0 .. number - in_flight, in order.
            pending: the proposals in between, in order; results that came early are not used.

        Raises:
            ValueError: `number`, `told` or `pending` are not those, or a result is not finite.
        """
        self._check(number, told, pending)
        optimizer, index = number % self._optimizers, number // self._optimizers
        if index < len(self._try_first):
            return Proposal(number, optimizer, self._try_first[index])
        drawn = index - len(self._try_first)
        if self._sampler == "grid":
            rate = self._grid(optimizer, drawn)
        elif self._sampler == "qmc":
            rate = self._sobol(drawn)
        elif self._sampler == "random":
            rate = self._ask(number, [], [])
        else:
            rate = self._ask(
                number,
                [result for result in told if result.proposal.optimizer == optimizer],
                [proposal for proposal in pending if proposal.optimizer == optimizer],
            )
        # exp(log(high)) may be one rounding above high.
        return Proposal(number, optimizer, min(max(rate, self._low), self._high))

    def _check(self, number: int, told: Sequence[Told], pending: Sequence[Proposal]) -> None:
        if not 0 <= number < self._settings:
            raise ValueError(f"proposal {number} of a job with {self._settings} settings")
        known = max(0, number - self._in_flight + 1)
        numbers = [result.proposal.number for result in told], [p.number for p in pending]
        if numbers != (list(range(known)), list(range(known, number))):
            raise ValueError(
                f"proposal {number} with in_flight = {self._in_flight} is made from the results "
                f"of trials 0..{known - 1} and the proposals after them, not from {numbers}"
            )
        for result in told:
            if not (math.isfinite(result.value) and math.isfinite(result.violation)):
                raise ValueError(f"the result of trial {result.proposal.number} is not finite")

    def _grid(self, optimizer: int, index: int) -> float:
        share = len(range(optimizer, self._settings, self._optimizers)) - len(self._try_first)
        part = index / (share - 1) if share > 1 else 0.5
        return self._between(part)

    def _between(self, part: float) -> float:
        return math.pow(self._low, 1 - part) * math.pow(self._high, part)

    def _sobol(self, index: int) -> float:
        # Not Optuna's QMCSampler: it draws its first point at random and counts the others in a
        # study attribute, so that point j in memory would cost j asks.
        from scipy.stats.qmc import Sobol

        engine = Sobol(1, scramble=True, rng=generator(self._seed, Purpose.PROPOSAL))
        if index:
            engine.fast_forward(index)
        part = float(engine.random(1)[0, 0])
        return self._between(part)

    def _ask(self, number: int, told: Sequence[Told], pending: Sequence[Proposal]) -> float:
        import optuna

        space = {
            "learning_rate": optuna.distributions.FloatDistribution(self._low, self._high, log=True)
        }
        with _silent():
            study = optuna.create_study(sampler=self._optuna_sampler(number))
        for result in told:
            study.add_trial(
                optuna.trial.create_trial(
                    params={"learning_rate": result.proposal.learning_rate},
                    distributions=dict(space),
                    value=result.value,
                    constraints={"unstable": result.violation},
                )
            )
        for proposal in pending:
            # Running, so that the constant liar (tpe) or the batch acquisition (gp) keeps away.
            study.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.RUNNING,
                    params={"learning_rate": proposal.learning_rate},
                    distributions=dict(space),
                )
            )
        with _silent():
            return float(study.ask(dict(space)).params["learning_rate"])

    def _optuna_sampler(self, number: int) -> BaseSampler:
        from optuna import samplers

        seed = int(generator(self._seed, Purpose.PROPOSAL, number).integers(2**32))
        if self._sampler == "tpe":
            return samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
        if self._sampler == "gp":
            return samplers.GPSampler(seed=seed, n_startup_trials=STARTUP)
        return samplers.RandomSampler(seed=seed)


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
