"""Below the cliff: where the expected cost is least, by a parabola through a few rates.

Where the cheapest rate lies a decade below the cliff, the cliff's own would cost a quarter to three
quarters more; the minimum of a parabola through the costs on a grid costs next to nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import count

import numpy as np

from tuning.cliff.rates import RateRange, decades

__all__ = ["cheapest", "cheapest_tried", "compared", "grid"]

_COMPARED = 3  # rates that a parabola needs
_STEP = 0.2  # decades, between the rates of the grid
_NEIGHBOURS = 5  # points through which the parabola goes
_WALL = 2.0  # times as high as on the side of the low rates
_SAME = 0.03  # decades: rates that near are one

#: What a rate costs, as a number to be minimised; infinite where that is not known.
Costs = Mapping[float, float]


def compared(tried: Mapping[float, Collection[int]]) -> tuple[int, list[float]]:
    """How many of the first starts costs are compared on, and the rates that have them all: as many
    starts as three rates have. Two costs differ more by the starts than by the rates.

    Args:
        tried: the starts of each rate, at least one rate.
    """
    having = {rate: next(i for i in count() if i not in starts) for rate, starts in tried.items()}
    enough = sorted(having.values(), reverse=True)[:_COMPARED][-1]
    return enough, [rate for rate, first in having.items() if first >= enough]


def grid(costs: Costs, safe: float, within: RateRange) -> list[float]:
    """Rates to look at: the safe one, and some around the cheapest of those that are known."""
    top = decades(safe)
    known = {rate: cost for rate, cost in costs.items() if rate <= safe and math.isfinite(cost)}
    middle = decades(min(known, key=known.__getitem__)) if known else top
    middle = min(middle, top)
    around = {within.at(min(middle + _STEP * step, top)) for step in (-1, 0, 1)}
    return sorted({safe, *around})


def cheapest(costs: Costs, safe: float, within: RateRange) -> float:
    """The rate of least cost, at most `safe`: the minimum of the parabola through the cheapest of
    `costs` and its neighbours, in the logarithm of the rate."""
    points = sorted((decades(rate), cost) for rate, cost in costs.items() if rate <= safe)
    points = [(x, cost) for x, cost in points if math.isfinite(cost)]
    if not points:
        return safe
    best = min(range(len(points)), key=lambda i: (points[i][1], -points[i][0]))
    if best == len(points) - 1 and points[best][0] >= decades(safe) - _SAME:
        return safe  # it falls all the way
    place, least = points[best]
    near = points[max(0, best - _NEIGHBOURS // 2) : best + _NEIGHBOURS // 2 + 1]
    # Where some begin to fall costs go up a wall, which is no parabola's.
    most = max((cost for at, cost in near if at < place), default=math.inf)
    below = [point for point in near if point[1] <= least + _WALL * (most - least)]
    wall = min((at for at, _ in near if at > below[-1][0]), default=below[-1][0])
    end = (below[-1][0] + wall) / 2
    x, y = np.array(below).T
    if len(x) >= 3:
        curvature, slope, _ = np.polyfit(x - place, y, 2)
        if curvature > 0:
            place = min(max(place - slope / (2 * curvature), x[0]), end)
    return safe if place >= decades(safe) - _SAME else nearest(place, costs, safe, within)


def cheapest_tried(costs: Costs, safe: float | None) -> float | None:
    """The rate of `costs` that costs least, of two that cost the same the higher; None where none
    is safe."""
    tried = [] if safe is None else [rate for rate in costs if rate <= safe]
    return min(tried, key=lambda rate: (costs[rate], -rate), default=None)


def nearest(place: float, costs: Costs, safe: float, within: RateRange) -> float:
    """A rate that is known already, if one is that near; else 10 ** place."""
    known: Sequence[float] = [rate for rate in costs if rate <= safe]
    rate = min(known, key=lambda r: abs(decades(r) - place), default=None)
    near = rate is not None and abs(decades(rate) - place) <= _SAME
    return rate if rate is not None and near else within.at(place)
