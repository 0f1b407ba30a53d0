"""The search for the cliff: each start's own threshold, the rate above which it falls.

`search` and `analysis` come in, and `CliffSampler` for anybody's own Optuna study. A start that
holds at a rate is taken to hold below it and one that falls to fall above it, which an `audit`
doubts; so one training near the cliff tells of most starts all there is to know. Pure: nothing is
trained here, and nothing is kept between two calls. Rates are natural, distances in decades.
"""

from __future__ import annotations

from tuning.cliff.budget import granted
from tuning.cliff.campaign import Campaign, reserve
from tuning.cliff.fit import fit_thresholds
from tuning.cliff.goal import Goal
from tuning.cliff.observations import Trained
from tuning.cliff.rates import RateRange

__all__ = [
    "Campaign",
    "Goal",
    "RateRange",
    "Trained",
    "fit_thresholds",
    "granted",
    "reserve",
]
