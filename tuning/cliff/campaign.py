"""How starts are spent on one optimizer: a coroutine that asks for rounds of trainings.

Eight rates over the range with a few starts; then pools of starts that grow. Of each pool the few
starts whose thresholds matter are bisected, and the next pool is trained once, just above those:
who holds there is done with. At the end the interval is sharpened, outcomes that were taken for
granted are audited, and the cost of rates below the cliff is looked at.

What is asked for depends on what was told before, and not on how much may still be spent: so a
campaign that is ended early is the beginning of a longer one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tuning.cliff.audit import audit_of, sizes, to_audit
from tuning.cliff.bisection import Bisection
from tuning.cliff.cost_grid import cheapest, grid
from tuning.cliff.estimate import middle, middle_rank
from tuning.cliff.goal import MOST_STARTS, Goal
from tuning.cliff.observations import FloatArray, Trained, brackets
from tuning.cliff.rates import decades
from tuning.cliff.rounds import Asked, Phase, Probe, Steps
from tuning.cliff.safe_rate import safe_rank
from tuning.statistics.order_statistics import binomial_quantile, quantile_ranks

__all__ = ["Campaign", "reserve"]

_FIRST_STARTS, _FIRST_RATES = 6, 8
_POOLS, _GROWTH = (48, 160), 2.7  # of every later pool
_COARSE, _FINE, _ALIKE = 0.02, 0.01, 0.05  # decades
# The next pool is trained where about a third more fall than may: most of its thresholds that
# matter then lie below, and few have to be bisected.
_ABOVE, _SURELY, _STEEP = 1.36, 0.95, 2.0
_COST_STARTS, _COST_STARTS_OF_MANY, _MANY = 8, 10, 220


def reserve(starts: int) -> int:
    """Restarts that the end of a campaign with so many starts may take."""
    return _sharpening(starts) + sum(sizes(starts)) + _looking(starts)


def _looking(starts: int) -> int:
    """At costs, and after an alarm at where nobody falls."""
    return 5 * _cost_starts(starts)


def _sharpening(starts: int) -> int:
    return 20 + starts // 2


def _cost_starts(starts: int) -> int:
    return _COST_STARTS if starts < _MANY else _COST_STARTS_OF_MANY


#: What each fresh-trained rate costs, by what is known when it is asked; see `cost_grid.Costs`.
CostsNow = Callable[[], Mapping[float, float]]


class Campaign:
    """One optimizer's; `steps` may be run once.

    Args:
        costs: of the rates whose starts were taken by their numbers.
    """

    def __init__(self, goal: Goal, costs: CostsNow) -> None:
        self._goal, self._costs = goal, costs
        self.blocks: list[Trained] = []
        #: Restarts that were granted, but for those of the end.
        self.explored = 0
        self._trained: set[tuple[int, float]] = set()
        self._known = brackets(())
        self._left = 0  # trainings, of those for looking
        self._guess: FloatArray | None = None  # thresholds, in decades, before the last pool

    @property
    def starts(self) -> int:
        """How many starts there are, from 0 up."""
        return len(self._known)

    def steps(self) -> Steps[None]:
        """Ask for rounds; see `Steps`. What is granted of a round is sent, in its order."""
        yield from self._ask(Phase.GROW, self._first_round())
        yield from self._grow()
        if not self._goal.nothing_stable(self._known):
            yield from self._sharpen()
            self._left = _looking(self.starts)
            yield from self._audit()
            yield from self._look_at_costs()

    def _first_round(self) -> list[Probe]:
        """Evenly over the range; a rate to be tried takes the place of its nearest."""
        rates = self._goal.within.inside(_FIRST_RATES)
        for wanted in self._goal.try_first:
            nearest = min(range(len(rates)), key=lambda i: abs(decades(rates[i] / wanted)))
            if rates[nearest] in self._goal.try_first:
                rates.append(wanted)
            else:
                rates[nearest] = wanted
        starts = tuple(range(_FIRST_STARTS))
        first = dict.fromkeys(self._goal.try_first)
        return [Probe(rate, starts, fresh=True) for rate in {**first, **dict.fromkeys(rates)}]

    def _grow(self) -> Steps[None]:
        """Pool after pool, until the budget or what can be learned is at its end."""
        goal = self._goal
        while not goal.settled(self._known):
            count = self.starts
            rank = self._upper_rank(count)
            if not (yield from self._bisect(Phase.BISECT, [rank], _COARSE)):
                return
            if goal.settled(self._known):
                return
            self._guess = self._middles()
            if self._alike:
                granted = yield from self._confine()
            else:
                rate = min(self._pool_rate(rank), goal.within.high)
                fresh = tuple(range(count, self._next_pool(count, rate)))
                granted = yield from self._ask(Phase.GROW, [Probe(rate, fresh, fresh=True)])
            if not granted:
                return

    @property
    def _alike(self) -> bool:
        """Whether all starts fall at nearly one rate, as on a quadratic."""
        known = self._known
        low, high = float(known.low.min()), float(known.high.max())
        return low > 0 and high < math.inf and decades(high / low) <= _ALIKE

    def _confine(self) -> Steps[bool]:
        """More starts that are all alike: each at the rate where the others hold and at the one
        where they fall. Only just above, all of them would have to be bisected."""
        count = self.starts
        if not (yield from self._bisect(Phase.BISECT, [1, count], _FINE)):
            return False
        size = max(_POOLS[0], count + 2)
        while not quantile_ranks(size, self._goal.max_unstable, 1 - self._goal.confidence)[0]:
            size += 1
        known, fresh = self._known, tuple(range(count, size))
        ends = sorted({float(known.low.min()), float(known.high.max())})
        return (yield from self._ask(Phase.BISECT, [Probe(end, fresh, True) for end in ends]))

    def _upper_rank(self, count: int) -> int:
        part = min(_ABOVE * self._goal.max_unstable, 1.0)
        return min(count, binomial_quantile(_SURELY, count, part) + 1)

    def _pool_rate(self, rank: int) -> float:
        """Just above the threshold of this rank; just below, where far more fall just above: all of
        them would have to be bisected."""
        known = self._known
        low, high = known.rank(rank)
        held = known.low >= low
        told = held & ~known.undecided(high)
        part = float((known.high[told] <= high).mean()) if told.any() else 0.0
        fallen = len(known) - held.sum() * (1 - part)
        return low if low >= self._goal.within.low and fallen > _STEEP * rank else high

    def _next_pool(self, count: int, rate: float) -> int:
        size = next((size for size in _POOLS if size > count), int(count * _GROWTH))
        size = min(size, max(MOST_STARTS, count + 2))
        if rate >= self._goal.within.high and not (self._known.high < float("inf")).any():
            # Nobody fell anywhere: as many as say that the cliff is beyond the range.
            while not quantile_ranks(size, self._goal.max_unstable, 1 - self._goal.confidence)[0]:
                size += 1
        return size

    def _sharpen(self) -> Steps[None]:
        """The ranks that the answer hangs on: of the estimate, the safe rate, and the interval."""
        goal, count = self._goal, self.starts
        low, high = quantile_ranks(count, goal.max_unstable, 1 - goal.confidence)
        safe = safe_rank(count, goal.max_unstable, goal.confidence, goal.test)
        bound = safe_rank(count, goal.max_unstable, goal.confidence, None)
        centre = middle_rank(count, goal.max_unstable)
        ranks = [centre, bound, max(safe, 1), min(high, count), max(low, 1)]
        wanted = list(dict.fromkeys(rank for rank in ranks if rank > 0))
        # Where not all can be had, those that can, and those that matter most first.
        left = yield from self._bisect_within(_sharpening(count), wanted)
        for rank in wanted:
            left = yield from self._bisect_within(left, [rank])

    def _audit(self) -> Steps[None]:
        estimate = middle(self._known, self._goal.max_unstable)
        if estimate is None:
            return
        rate = self._goal.within.at(decades(estimate))
        chosen = to_audit(self._known, rate, self._trained)
        if len(chosen) > 1:
            yield from self._ask(Phase.CLOSE, [Probe(rate, chosen, fresh=False)])
        lowest_fall = float(self._known.high.min())
        safe = max((b.rate for b in self.blocks if b.rate < lowest_fall), default=None)
        if audit_of(self.blocks).alarm and safe is not None:
            # Pools were trained above the cliff, and say little of how steep it is below.
            more = self._left - 2 * _cost_starts(self.starts)
            fresh = tuple(range(self.starts, self.starts + more))
            self._left -= more
            yield from self._ask(Phase.CLOSE, [Probe(safe, fresh, fresh=True)])

    def _look_at_costs(self) -> Steps[None]:
        goal, starts = self._goal, tuple(range(_cost_starts(self.starts)))
        if (safe := goal.safe_rate(self.blocks)) is None:
            return
        for rates in (grid(self._costs(), safe, goal.within), None):
            # The second time the best of them, which may be between two.
            wanted = rates or [cheapest(self._costs(), safe, goal.within)]
            probes = []
            for rate in reversed(wanted):
                untrained = tuple(s for s in starts if (s, rate) not in self._trained)
                if 1 < len(untrained) <= self._left:
                    self._left -= len(untrained)
                    probes.append(Probe(rate, untrained, fresh=True))
            yield from self._ask(Phase.CLOSE, probes)

    def _bisect(self, phase: Phase, ranks: Sequence[int], resolution: float) -> Steps[bool]:
        """Whether it was carried to its end."""
        bisection = Bisection(ranks, resolution, self._goal.within, self._guess)
        while probes := bisection.next(self._known, self._trained):
            if not (yield from self._ask(phase, probes)):
                return False
        return True

    def _bisect_within(self, left: int, ranks: Sequence[int]) -> Steps[int]:
        """As finely as the answer needs it, in at most so many trainings; what is left of them."""
        bisection = Bisection(ranks, _FINE, self._goal.within, self._guess)
        while probes := bisection.next(self._known, self._trained):
            size = sum(len(probe.starts) for probe in probes)
            if size > left:
                break
            yield from self._ask(Phase.CLOSE, probes)
            left -= size
        return left

    def _ask(self, phase: Phase, probes: Sequence[Probe]) -> Steps[bool]:
        """Whether all was granted."""
        if not probes:
            return True
        asked = Asked(phase, tuple(probes))
        granted = yield asked
        self.blocks += granted
        self._known = brackets(self.blocks)
        self._trained |= {(s, b.rate) for b in granted for s in b.starts.tolist()}
        count = sum(len(block.starts) for block in granted)
        if phase is not Phase.CLOSE:
            self.explored += count
        return count == asked.size

    def _middles(self) -> FloatArray:
        """Of the brackets, within the range."""
        known, ends = self._known, (self._goal.within.low, self._goal.within.high)
        middles: FloatArray = np.log10(np.clip(known.low, *ends) * np.clip(known.high, *ends)) / 2
        return middles
