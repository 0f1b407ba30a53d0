"""The share of restarts labelled as trapped is the published one.

Safran & Shamir 2018 (ICML, arXiv 1712.08968) and Safran, Yehudai & Shamir 2021 (COLT, arXiv
2006.01005) trained k ReLU units to copy k orthonormal ReLU units over all Gaussian inputs, and
counted how often gradient descent ended in a spurious minimum. `benchmarks/published.py` cites what
is compared and repeats the experiments in full; this is the part that takes seconds.
"""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.published import COUNTS_2018, COUNTS_2021, LEVELS, SIGNIFICANT, chance, replicate
from trainers import Basin, Dynamics, Outcomes

pytestmark = pytest.mark.science
RESTARTS = 400


@pytest.fixture(scope="module", params=[8, 9])
def replica(request: pytest.FixtureRequest) -> tuple[int, Outcomes]:
    """Units, and the outcomes at the rate of 2021."""
    units = request.param
    # The flattest direction at the minima of these sizes that are met often is 0.021 (8 units) and
    # 0.027 (9): 2000 steps of 5 / k shrink the way to them by exp(-26).
    with threadpool_limits(1):
        outcomes, gradient = replicate(units, restarts=RESTARTS, rate=5.0 / units, steps=2000)
    assert gradient < 1e-3  # a few leave saddles late
    return units, outcomes


def test_trapped_as_often_as_published(replica: tuple[int, Outcomes]) -> None:
    """Both counts are binomial: 400 starts against 1000 (2018, rate 0.1) and 500 (2021, the same
    rate as here). Fisher's exact test calls equal probabilities different once in a thousand
    times, so the four comparisons fail by chance for 1 seed in 250; this one is fixed. At 8 units
    (12.6 % of 1000) it accepts 7 to 20 % of 400."""
    units, outcomes = replica
    trapped = int((outcomes.basin == Basin.LOCAL_MINIMUM).sum())
    assert chance(trapped, RESTARTS, COUNTS_2018[units], 1000) >= SIGNIFICANT
    assert chance(trapped, RESTARTS, COUNTS_2021[units], 500) >= SIGNIFICANT


def test_every_restart_is_decided_and_settled(replica: tuple[int, Outcomes]) -> None:
    _, outcomes = replica
    decided = np.isin(outcomes.basin, [Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM])
    assert decided.mean() >= 0.99
    assert (outcomes.dynamics == Dynamics.SETTLED).mean() >= 0.99


def test_minima_are_the_published_ones(replica: tuple[int, Outcomes]) -> None:
    """Their loss, and their smallest curvature, to the six digits that were published."""
    units, outcomes = replica
    trapped = outcomes.basin == Basin.LOCAL_MINIMUM
    levels, curvatures = outcomes.basin_loss[trapped], outcomes.smallest_curvature[trapped]
    lowest, curvature = LEVELS[units][0]
    here = np.abs(levels - lowest) < 5e-6
    # 213 of the 218 spurious ends at 9 units in 2018, and all 126 at 8.
    assert here.mean() > 0.9
    assert curvature is not None
    np.testing.assert_allclose(curvatures[here], curvature, rtol=0, atol=1e-6)
    # Nothing lies below.
    assert levels.min() > lowest - 5e-6
    home = outcomes.basin == Basin.GLOBAL_MINIMUM
    np.testing.assert_allclose(outcomes.basin_loss[home], 0.0, atol=1e-9)
    # Published: 0.090845, which is 1/4 - 1/(2 pi). Where a unit is parallel to a teacher the third
    # derivative jumps, so central differences of step h err by h times it: 1.6e-6.
    expected = 0.25 - 0.5 / np.pi
    measured = outcomes.smallest_curvature[home & np.isfinite(outcomes.smallest_curvature)]
    np.testing.assert_allclose(measured, expected, rtol=0, atol=5e-6)
