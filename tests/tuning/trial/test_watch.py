"""What is told of a training that goes on is what its curves show when it is over."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from tests.support.slow_problems import Patient
from tuning.testing.pools import CONFIG, RESTARTS, STEPS, task
from tuning.trial.task import run_task
from tuning.trial.watch import LossBand, Watch

SLOW = 0.004  # seconds of a gradient; a training takes a quarter of a second


@pytest.mark.parametrize("rate", [0.1, 2.5])  # one that converges, and one from which none returns
def test_each_band_goes_on_from_the_last(rate: float) -> None:
    bands: list[LossBand] = []
    with_watch = run_task(
        Patient(STEPS, SLOW * STEPS),
        CONFIG,
        task(0, rate),
        Watch(bands.append, first=5 * SLOW, pause=5 * SLOW),
    )
    silent = run_task(Patient(STEPS, SLOW * STEPS), CONFIG, task(0, rate))
    assert np.array_equal(with_watch.curves.losses, silent.curves.losses, equal_nan=True)
    assert len({band.steps[-1] for band in bands}) > 3
    whole = silent.curves.thinned(36)
    known = [tuple(q) for q in whole.quantiles().tolist()]
    for band in bands:
        count = len(band.steps)
        assert band.restarts == RESTARTS
        assert band.steps == tuple(whole.steps[:count].tolist())
        # Bit for bit, NaN included: the same quantiles of the same losses.
        assert repr(band.quantiles) == repr(tuple(q[:count] for q in known))


def test_a_training_that_is_over_soon_is_not_told_of() -> None:
    bands: list[LossBand] = []
    run_task(Patient(STEPS, SLOW * STEPS), CONFIG, task(0), Watch(bands.append))
    assert bands == []


def test_nobody_waits_for_who_is_told() -> None:
    asked, release = threading.Event(), threading.Event()

    def deaf(_: LossBand) -> None:
        asked.set()
        release.wait(60.0)

    begin = time.monotonic()
    run_task(Patient(STEPS, SLOW * STEPS), CONFIG, task(0), Watch(deaf, first=SLOW, pause=SLOW))
    assert asked.is_set()
    assert time.monotonic() - begin < 30.0
    release.set()
