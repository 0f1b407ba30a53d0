"""A sharp global minimum in a wide bowl: starts leave it at rates at which all of them settle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import tuning
from tests.support.thresholds import FloatArray
from trainers import Problem
from tuning.report.model import Status


class Dip(Problem):
    """J(w) = w^2 / 20 - exp(-(w - at)^2 / (2 width^2)); the bowl's own minimum is spurious."""

    parameters = 1

    def __init__(self, width: float, at: float) -> None:
        self.width, self.at = width, at

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Uniform in [-3, 3]."""
        return rng.uniform(-3.0, 3.0, 1)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(R,) and (R, 1)."""
        off = w - self.at
        dip = np.exp(-(off**2) / (2 * self.width**2))
        return (w**2 / 20 - dip)[:, 0], w / 10 + off / self.width**2 * dip

    def limit(self) -> float:
        """2 / J'' at the global minimum: gradient descent cannot stay there at a higher rate."""
        place = minimize_scalar(
            lambda w: float(self.loss_and_gradient(np.array([[w]]))[0][0]),
            bounds=(self.at - self.width, self.at),
            method="bounded",
            options={"xatol": 1e-12},
        ).x
        off = (place - self.at) ** 2 / self.width**2
        return float(2 / (0.1 + (1 - off) / self.width**2 * np.exp(-off / 2)))


@pytest.mark.science
@pytest.mark.parametrize(("width", "at", "seed"), [(0.1, 1.5, 0), (0.3, 2.5, 1)])
def test_no_rate_is_recommended_at_which_the_global_minimum_has_lost_its_hold(
    width: float, at: float, seed: int, tmp_path: Path
) -> None:
    """Above the limit hardly anybody is unstable up to a rate 100 times it; only where fresh starts
    have shown that there are some does the search look below."""
    problem = Dip(width, at)
    report = tuning.tune(
        problem=problem,
        search={"optimizers": ["gd"], "learning_rate": {"low": 1e-4, "high": 100.0}},
        training={"steps": 2000},
        seed=seed,
        workers="inline",
        home=tmp_path,
    )
    above = [row for row in report.settings if 1.05 * problem.limit() < row.learning_rate < 10]
    assert above
    assert all(row.global_minimum.count == 0 for row in above if row.unstable.count == 0)
    best = report.best_stable
    assert best is not None
    assert best.status is Status.CONFIRMED
    assert best.learning_rate < problem.limit()
