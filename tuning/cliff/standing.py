"""How far a campaign has come whose starts are trained one at a time, told in any order."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace

import numpy as np

from tuning.cliff.budget import granted
from tuning.cliff.campaign import Campaign, reserve
from tuning.cliff.cost_grid import cheapest_tried, compared
from tuning.cliff.fit import fit_thresholds
from tuning.cliff.goal import Goal
from tuning.cliff.observations import Trained, brackets
from tuning.cliff.rounds import Asked, Probe
from tuning.statistics.cliff import Cliff

__all__ = ["Pair", "Standing", "Told"]

#: A start, by its number, and the rate at which it is trained.
Pair = tuple[int, float]


@dataclass(frozen=True)
class Told:
    """What became of one training. `cost`: to be minimised; not finite where it is not known."""

    fell: bool
    cost: float


class Standing:
    """The campaign for `goal` as far as `told` answers it: a function of these alone.

    Pairs that it does not ask for are not looked at.

    Args:
        restarts: trainings that may be spent, the end of the campaign included.

    Attributes:
        ended: why it is over, in words; None while it is not.
        round: what is asked for and not yet answered as a whole; empty when it is over.
    """

    def __init__(self, goal: Goal, restarts: int, told: Mapping[Pair, Told]) -> None:
        self._goal, self._restarts, self._told = goal, restarts, told
        self._campaign = Campaign(goal, self._costs)
        self._rounds = 0
        self.ended: str | None = None
        self.round: tuple[Probe, ...] = ()
        self._run()

    @property
    def starts(self) -> int:
        """How many starts have been told as parts of whole rounds, from 0 up."""
        return self._campaign.starts

    def wanted(self, tried: Set[Pair]) -> Iterator[Pair]:
        """What is to be trained next, the most wanted first, but for `tried`: what is in training.

        When nothing is left of the round, the campaign is taken further by guesses at what is
        missing: who trains several at a time need not wait, and a guess that comes true has saved
        the time. One that does not has cost a training, and is not looked at again.
        """
        told, here = dict(self._told), self
        while here.ended is None:
            missing = here._missing()
            yield from (pair for pair in missing if pair not in tried)
            told |= {pair: Told(here._will_fall(pair[1]), math.nan) for pair in missing}
            here = Standing(self._goal, self._restarts, told)

    def recommended(self) -> float | None:
        """The cheapest rate of those tried that are safe (`Goal.safe_rate`); None: none is."""
        safe = self._goal.safe_rate(self._campaign.blocks)
        return cheapest_tried(self._costs(), safe)

    def cliff(self, name: str) -> Cliff | None:
        """What is known of it; None before the first round is told.

        A pool of new starts has no estimate until it is bisected: unless the campaign ended with an
        answer, the rounds up to the last that had one are told.
        """
        fits = (self._fit(name, rounds) for rounds in range(self._rounds, 0, -1))
        newest = next(fits, None)
        settled = self._goal.settled(brackets(self._campaign.blocks))
        if newest is None or settled or newest.estimate is not None:
            return newest
        return next((fit for fit in fits if fit.estimate is not None), newest)

    def _fit(self, name: str, rounds: int) -> Cliff:
        goal = self._goal
        blocks = [block for block in self._campaign.blocks if block.round < rounds]
        return fit_thresholds(name, blocks, goal.within, goal.max_unstable, goal.confidence)

    def _run(self) -> None:
        steps = self._campaign.steps()
        try:
            asked = next(steps)
            while True:
                self.round = self._granted(asked)
                if self._missing():
                    return
                found = self._found()
                self._rounds += bool(found)
                asked = steps.send(found)
        except StopIteration:
            settled = self._goal.settled(brackets(self._campaign.blocks))
            self.ended, self.round = settled or "the budget is spent", ()

    def _granted(self, asked: Asked) -> tuple[Probe, ...]:
        campaign = self._campaign

        def fits(trainings: int, starts: int) -> bool:
            return campaign.explored + trainings + reserve(starts) <= self._restarts

        return granted(asked, campaign.starts, fits)

    def _missing(self) -> list[Pair]:
        """Of the round, in its order."""
        pairs = [(start, probe.rate) for probe in self.round for start in probe.starts]
        return [pair for pair in dict.fromkeys(pairs) if pair not in self._told]

    def _found(self) -> list[Trained]:
        """Of the round, what is told, as the campaign sees it."""
        found = []
        for probe in self.round:
            known = [start for start in probe.starts if (start, probe.rate) in self._told]
            fell = [self._told[start, probe.rate].fell for start in known]
            numbers = np.array(known, dtype=np.int64)
            block = Trained(probe.rate, numbers, np.array(fell, dtype=np.bool_), self._rounds)
            found.append(replace(block, fresh=probe.fresh))
        return found

    def _will_fall(self, rate: float) -> bool:
        """A guess: as most of those of whom it is known; else by the half of the range."""
        within = self._goal.within
        partly = [block for block in self._found() if len(block.starts)]
        known = brackets([*self._campaign.blocks, *partly])
        fallen, unknown = known.fallen(rate)
        held = len(known) - fallen - unknown
        return fallen > held or (fallen == held and rate * rate > within.low * within.high)

    def _costs(self) -> Mapping[float, float]:
        """The mean, by rate, of the first starts, the same at each, that held; infinite at rates
        that do not have them.

        Those who fell have no cost to speak of. The rates that are compared by it are safe ones, so
        that hardly any do: where many fell, this would be the mean of the lucky.
        """
        fresh = {block.rate: math.inf for block in self._campaign.blocks if block.fresh}
        if not fresh:
            return {}
        starts: dict[float, set[int]] = defaultdict(set)
        for block in self._campaign.blocks:
            starts[block.rate] |= set(block.starts.tolist())
        first, rates = compared({rate: starts[rate] for rate in fresh})
        return fresh | {rate: self._mean_cost(rate, first) for rate in rates}

    def _mean_cost(self, rate: float, first: int) -> float:
        """Of so many starts, from the first."""
        told = (self._told[start, rate] for start in range(first))
        costs = [one.cost for one in told if not one.fell and math.isfinite(one.cost)]
        return math.fsum(costs) / len(costs) if costs else math.inf
