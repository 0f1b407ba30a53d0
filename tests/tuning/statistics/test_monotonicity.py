"""The test of monotony: exact small cases, its level wherever P rises, its power on a ring."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tuning.statistics.monotonicity import steepest_fall

_Floats = NDArray[np.float64]


def found(chance: _Floats, restarts: int, shared: float, rng: np.random.Generator) -> float:
    """The p-value of one study; a part `shared` of the restarts has the same luck at every rate."""
    luck = rng.random((len(chance), restarts))
    luck[:, : round(shared * restarts)] = luck[0, : round(shared * restarts)]
    fall = steepest_fall(np.geomspace(1e-4, 1, len(chance)), luck < chance[:, np.newaxis])
    return 1.0 if fall is None else fall.p_value


def test_a_pair_by_hand() -> None:
    """7 of 10 restarts fail at 0.01 alone and 1 at 0.1 alone: P(X >= 7 | 8, 1/2) = 9/256. Those 7
    hold at 1.0, too: 1/128, for the one pair two rates apart, which has 1/6 of the level."""
    unstable = np.zeros((3, 10), dtype=bool)
    unstable[1, :7] = True
    unstable[2, 9] = True
    fall = steepest_fall(np.array([1.0, 0.01, 0.1]), unstable)
    assert fall is not None
    assert (fall.lower, fall.higher, fall.lower_only, fall.higher_only) == (0.01, 1.0, 7, 0)
    assert fall.p_value == pytest.approx(6 / 128)
    two = steepest_fall(np.array([0.01, 0.1]), unstable[1:])
    assert two is not None
    assert two.p_value == pytest.approx(2 * 9 / 256)  # half of the level is for neighbours


def test_what_rises_or_is_tried_at_one_rate_has_no_fall() -> None:
    rises = np.arange(20) < np.array([[0], [3], [3], [20]])
    assert steepest_fall(np.geomspace(0.1, 1, 4), rises) is None
    assert steepest_fall(np.full(4, 0.1), rises[::-1]) is None  # one rate, whatever happened there
    assert steepest_fall(np.array([0.1]), rises[:1]) is None


RATES = 12  # 48 settings of four optimizers


@pytest.mark.parametrize("restarts", [16, 64])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "chance",
    [
        np.full(RATES, 0.05),
        np.full(RATES, 0.5),
        np.repeat([0.0, 0.5], RATES // 2),
        np.linspace(0.0, 1.0, RATES),
    ],
    ids=["flat at 5 %", "flat at 50 %", "a step", "a ramp"],
)
def test_the_level(chance: _Floats, shared: float, restarts: int) -> None:
    """500 studies of a P that does not fall, refused at 5 %. A test of level 5 % refuses more than
    40 of them with probability 1 in 1,000 (binomial). Measured over 2,000: at most 2.8 %, mostly
    far below, as 66 pairs that hang together and whole counts leave much of the level unused."""
    rng = np.random.default_rng(20250116)
    refused = sum(found(chance, restarts, shared, rng) <= 0.05 for _ in range(500))
    assert refused <= stats.binom.isf(1e-3, 500, 0.05)


@pytest.mark.parametrize(
    ("restarts", "inside", "power"), [(64, 0.5, 0.99), (64, 0.3, 0.95), (16, 0.8, 0.75)]
)
@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_the_power_on_a_plain_ring(
    restarts: int, inside: float, power: float, shared: float
) -> None:
    """Stable, then two rates at which a part fails, then stable again, then nothing is. Measured
    over 1,000, where all luck is shared: 1, 0.995, 0.93; 0.75 at 64 restarts of which 20 % fail."""
    chance = np.repeat([0.0, inside, 0.0, 1.0], [4, 2, 3, 3])
    rng = np.random.default_rng(7)
    refused = np.mean([found(chance, restarts, shared, rng) <= 0.05 for _ in range(300)])
    assert refused >= power
