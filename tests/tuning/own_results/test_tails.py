"""What curves tell: known shapes, of which it is known what may be said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import tuning
from tuning.report.model import SettingRow
from tuning.report.status import Status

T = np.arange(400.0)
Noise = NDArray[np.float64]


def falling(noise: Noise) -> Noise:
    return 2.0 * np.exp(-T / 200) + 0.001 * noise


def flat(noise: Noise) -> Noise:
    return np.asarray(2.0 * np.exp(-T) + 1e-5 * noise**2)


def noisy(noise: Noise) -> Noise:
    return np.asarray(2.0 * np.exp(-T / 4) + 0.01 * np.abs(noise))


def swinging(noise: Noise) -> Noise:
    return 2.0 * np.exp(-T / 4) + 0.2 * (1 + (-1) ** T) + 0.001 * noise


def rising(noise: Noise) -> Noise:
    return np.asarray(2.0 + T / 400 + 0.01 * noise)


def rows_of(*shapes: Callable[[Noise], Noise], points: int = 400) -> list[SettingRow]:
    """A setting of 64 seeds for each shape; the first reaches 0, so that D is 2."""
    rng = np.random.default_rng(0)
    rows = [
        (0.01 * 2**i, seed, shape(rng.normal(size=len(T)))[:points].tolist())
        for i, shape in enumerate((flat, *shapes))
        for seed in range(64)
    ]
    table = pd.DataFrame(rows, columns=["learning_rate", "seed", "loss"])
    return list(tuning.verdict(table).settings[1:])


@pytest.mark.parametrize(
    ("shape", "dynamics", "falls", "status"),
    [
        (falling, "descending", {}, Status.LOOKS_STABLE),
        (flat, "settled", {}, Status.LOOKS_STABLE),
        (noisy, "hovering", {}, Status.LOOKS_STABLE),
        (swinging, "hovering", {"not-known": 64}, Status.UNDECIDED),
        (rising, None, {"above-start": 64}, Status.UNSTABLE),
    ],
)
def test_each_shape(
    shape: Callable[[Noise], Noise], dynamics: str | None, falls: dict[str, int], status: Status
) -> None:
    (row,) = rows_of(shape)
    assert row.falls == falls
    assert row.status is status
    if dynamics:
        assert row.dynamics[dynamics] >= 63  # chaos passes for progress in one of thousands
    if shape is noisy:
        # J90 of |normal| over its lowest of 40: 1.64 to 2 times the noise, of a descent of 2.
        assert row.hover == pytest.approx(0.01 * 1.64 / 2, rel=0.3)
    if shape is falling:
        assert row.hover is None  # its bottom is further down, nobody knows where


def test_of_whom_it_is_not_known_there_is_no_rate() -> None:
    (row,) = rows_of(swinging)
    assert row.unstable.estimate is None
    assert (row.unstable.count, row.unstable.undecided) == (0, 64)
    assert row.unstable.high == 1.0
    assert row.unstable_upper == 1.0
    assert row.hover == pytest.approx(0.2, rel=0.1)


def test_short_curves_tell_who_diverged_and_nothing_else() -> None:
    """Of 19 losses the tail would be more than half of the way."""
    (row,) = rows_of(rising, points=19)
    assert row.falls == {}
    (row,) = rows_of(rising, points=400)
    assert row.falls == {"above-start": 64}


def test_divergence_on_the_way() -> None:
    """NaN from some entry on, in some; or the table says so of losses that are finite."""
    curves = [[1.0, 0.5, 0.2, 0.1], [1.0, 3.0, np.nan, np.nan], [1.0, 9.0, 99.0, 999.0]]
    table = pd.DataFrame(
        {"learning_rate": 0.1, "seed": range(3), "loss": curves, "diverged": [False, False, True]}
    )
    report = tuning.verdict(table, steps=300)
    (row,) = report.settings
    assert row.falls == {"diverged": 2}
    # The second spent 200 steps until it was gone; of the third nobody knows when it was.
    assert report.run.restart_steps == 300 + 200 + 300
    assert row.loss is None
    assert row.best_loss == 0.1
