"""The walks over one weight that a report shows, beside steps taken by hand."""

from __future__ import annotations

import numpy as np

from tests.support import made_reports
from trainers import get_problem
from trainers.randomness import starts
from tuning.analysis.problem_info import draw_landscape
from tuning.spec.job import read_spec
from tuning.trial.task import TrainingConfig


def test_the_slider_has_the_first_steps_at_rates_close_to_one_another() -> None:
    problem = get_problem("double-well", tilt=0.3)
    job = {
        "problem": {"name": "double-well", "tilt": 0.3},
        "search": {"optimizers": ["gd", "momentum"]},
        "training": {"steps": 500},
    }
    rows = tuple(row for row in made_reports.report().settings if row.optimizer == "gd")
    made = made_reports.report(settings=rows)
    land = draw_landscape(problem, TrainingConfig.of(read_spec(job)), made)
    assert land is not None
    own = [path for path in land.sweep if path.optimizer == "gd"]
    rates = [path.learning_rate for path in own]
    # From the lowest rate tried to the highest, and the recommended one, 0.3, among them.
    assert rates == sorted(rates)
    assert (rates[0], rates[-1]) == (0.003, 3.0)
    assert 0.3 in rates
    assert np.diff(np.log10(rates)).max() < 0.1
    assert {path.optimizer for path in land.sweep} == {"gd", "momentum"}
    for path in own[::10]:
        w = starts(problem, restarts=3, seed=0)
        assert path.w.shape == (61, 3)
        for here in path.w[:6]:
            reached = np.isfinite(here)
            np.testing.assert_allclose(here[reached], w[reached, 0], rtol=1e-12)
            with np.errstate(all="ignore"):
                w = w - path.learning_rate * problem.loss_and_gradient(w)[1]
