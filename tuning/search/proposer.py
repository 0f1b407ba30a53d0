"""What to try next: proposal k is a function of (job seed, k, told prefix) alone.

Nothing is kept between two calls. The study that Optuna samples from is built in memory for each
proposal and thrown away, so that a resumed coordinator proposes exactly what the killed one would
have; asking through a database costs ten times as much and leaves half-asked trials behind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from trainers.errors import InvalidInput
from tuning.search.samplers import SAMPLERS, Draw, Told, check_sampler
from tuning.spec.search_space import SearchSpace
from tuning.spec.sections import SamplerName
from tuning.trial.setting import Block, Role, Setting

__all__ = ["Proposer"]


class Proposer:
    """Proposes `settings` points of `space`, shared equally by its optimizers.

    Setting k goes to optimizer k % optimizers. Each optimizer starts with the points `try_first`,
    in order; then its sampler draws, from that optimizer's settings only. Every setting is one
    block of the starts 0 .. restarts - 1.

    Raises:
        InvalidInput: an unknown sampler, or one that cannot be had here or not for this space; a
            value of `try_first` outside it; a count below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        sampler: SamplerName,
        try_first: Sequence[Mapping[str, float]],
        settings: int,
        in_flight: int,
        restarts: int,
        seed: int,
    ) -> None:
        check_sampler(sampler)
        if sampler == "grid" and len(space.dimensions) > 1:
            raise InvalidInput("sampler = 'grid' searches one hyperparameter: use qmc for more")
        for dimension in space.dimensions:
            for point in try_first:
                if (value := point[dimension.name]) not in dimension:
                    raise InvalidInput(
                        f"try_first has {value!r}, which is not in {dimension.name} "
                        f"{dimension.low!r} to {dimension.high!r}: widen the range or drop it"
                    )
        optimizers = len(space.optimizers)
        counts = {"optimizers": optimizers, "settings": settings, "in_flight": in_flight}
        for name, count in counts.items():
            if count < 1:
                raise InvalidInput(f"{name} = {count} is not valid: it must be at least 1")
        self._space, self._optimizers = space, optimizers
        self._sample = SAMPLERS[sampler]
        self._try_first = tuple(try_first)
        self._settings, self._in_flight = settings, in_flight
        self._starts = tuple(range(restarts))
        self._seed = seed

    def propose(self, number: int, told: Sequence[Told], pending: Sequence[Setting]) -> Setting:
        """Setting `number`, in 0 .. settings - 1.

        Args:
            told: the results of exactly the settings 0 .. number - in_flight, in order.
            pending: the settings in between, in order; results that came early are not used.

        Raises:
            ValueError: `number`, `told` or `pending` are not those, or a result is not finite.
        """
        self._check(number, told, pending)
        optimizer, index = number % self._optimizers, number // self._optimizers
        first = len(self._try_first)
        if index < first:
            point = self._try_first[index]
        else:
            share = len(range(optimizer, self._settings, self._optimizers))
            point = self._sample(
                Draw(
                    space=self._space,
                    seed=self._seed,
                    number=number,
                    index=index - first,
                    count=share - first,
                    told=told[optimizer :: self._optimizers],
                    pending=pending[(optimizer - len(told)) % self._optimizers :: self._optimizers],
                )
            )
        return Setting(number, Role.SEARCH, (Block(optimizer, point, self._starts),))

    def _check(self, number: int, told: Sequence[Told], pending: Sequence[Setting]) -> None:
        if not 0 <= number < self._settings:
            raise ValueError(f"proposal {number} of a job with {self._settings} settings")
        known = max(0, number - self._in_flight + 1)
        # By the last of each: all of them, at every proposal, are a millisecond in a long job.
        last = [t.setting.number for t in told[-1:]] + [s.number for s in pending[-1:]]
        wanted = [known - 1] * (known > 0) + [number - 1] * (number > known)
        if (len(told), len(pending), last) != (known, number - known, wanted):
            raise ValueError(
                f"proposal {number} with in_flight = {self._in_flight} is made from the results of "
                f"trials 0..{known - 1} and the proposals after them, not from {len(told)} results "
                f"and {len(pending)} proposals, the last of them {last}"
            )
        for result in told[-1:]:
            if not (math.isfinite(result.value) and math.isfinite(result.violation)):
                raise ValueError(f"the result of trial {result.setting.number} is not finite")
