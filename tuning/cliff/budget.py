"""How much of a round may be trained, by what is left; and what several campaigns take together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tuning.cliff.campaign import reserve
from tuning.cliff.rounds import Asked, Phase, Probe

__all__ = ["Spending", "demand", "granted"]

_LEAST_POOL = 8
_WITH_BISECTION = 1.1  # what a start of the last pool takes before the end, in trainings
_CATCHING_UP = 1.4  # what a start of a pool takes, with those of it that are bisected

#: Whether so many trainings more, which lead to so many starts, are within the budget.
Fits = Callable[[int, int], bool]


@dataclass(frozen=True)
class Spending:
    """What one campaign has been granted: trainings but for those of its end, and starts. `over`:
    whether it asks for nothing more."""

    explored: int
    starts: int
    over: bool


def demand(campaigns: Sequence[Spending]) -> int:
    """Trainings: granted, kept back for the ends, and kept back for those who have fewer starts
    than another, to come to as many. For what is compared should rest on as much."""
    most = max(one.starts for one in campaigns)
    wanted = 0
    for one in campaigns:
        starts = one.starts if one.over else max(one.starts, most)
        behind = round(_CATCHING_UP * (starts - one.starts))
        wanted += one.explored + behind + reserve(starts)
    return wanted


def granted(asked: Asked, starts: int, fits: Fits) -> tuple[Probe, ...]:
    """All of a round, its beginning, or nothing.

    The first round and the end are always granted. Another is where it fits into the budget beside
    what is kept back. More starts than fit are cut to as many as can also be bisected.

    Args:
        starts: how many the campaign has.
    """
    if asked.phase is Phase.CLOSE or not starts:
        return asked.probes
    grown = max(starts, 1 + max(max(probe.starts) for probe in asked.probes))
    if fits(asked.size, grown):
        return asked.probes
    if asked.phase is Phase.BISECT:
        return ()
    size = next(
        (
            size
            for size in range(asked.size - 1, _LEAST_POOL - 1, -1)
            if fits(int(_WITH_BISECTION * size), starts + size)
        ),
        0,
    )
    (pool,) = asked.probes
    return (Probe(pool.rate, pool.starts[:size], pool.fresh),) if size else ()
