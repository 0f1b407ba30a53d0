"""What is said where a number or a picture would say nothing, and what the curvature limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support import made_reports
from trainers import get_optimizer
from tuning.report.columns import columns
from tuning.report.html import page
from tuning.report.instead import loss, nothing_judged
from tuning.report.plots.outcomes import outcomes
from tuning.report.text import bounds
from tuning.report.theory import curvature_limits


def test_digits_of_rounding_are_not_told() -> None:
    made = made_reports.report()  # J* is 0, the descent 4
    assert loss(made, 1.5e-256) == "at the minimum"
    assert loss(made, 0.0) == "at the minimum"
    assert loss(made, 1e-9) == "1e-9"
    assert loss(made, None) == "–"
    # Where J* is no zero a small loss is a loss like others.
    assert loss(replace(made, best_loss=-1.0), 1.5e-256) == "1.5e-256"
    rows = (replace(made.settings[4], loss=1.5e-256), *made.settings[1:])
    shown = page(replace(made, settings=rows))
    assert ">at the minimum</td>" in shown
    assert ">1.5e-256</td>" not in shown


def test_who_still_descends_is_said_to() -> None:
    row = made_reports.row(
        0, "gd", 0.01, {"descending/undetermined": 52, "settled/global-minimum": 12}
    )
    (trapped,) = [c for c in columns([row]) if c.heading.startswith("trapped")]
    assert trapped.cell(row) == "not judged (52 of 64 still descending)"
    made = made_reports.report()
    assert made.best_stable is not None
    best = replace(made.best_stable, trapped=row.trapped, trapped_at={})
    fresh = replace(made.confirmations[0], joint=row.joint)
    said = bounds(replace(made, best_stable=best, confirmations=(fresh, made.confirmations[1])))
    assert "Trapped in a local minimum: not judged (52 of 64 still descending)." in said


def test_a_picture_is_grey_only_if_nothing_is_judged() -> None:
    grey = made_reports.row(0, "gd", 0.01, {"descending/undetermined": 64})
    assert nothing_judged([grey]) == (
        "None of 64 restarts could be judged at any rate, so a picture would be all grey: when the "
        "steps ended 64 were descending. More steps would tell."
    )
    assert nothing_judged([grey, made_reports.row(1, "gd", 0.1, {"diverged/none": 1})]) is None
    assert nothing_judged([]) is None
    made = made_reports.report()
    rows = tuple(
        replace(row, joint=grey.joint) if row.optimizer == "gd" else row for row in made.settings
    )
    drawn = outcomes(replace(made, settings=rows))
    assert drawn is not None
    assert drawn != outcomes(made)


@pytest.mark.parametrize(
    ("entry", "limit"),
    [
        # 2 / 8.9 and Polyak's 2 (1 + 0.5) / 8.9 at the global minimum.
        ("gd", {"gd": 2 / 8.9}),
        ({"name": "momentum", "beta": 0.5}, {"momentum(beta=0.5)": 3 / 8.9}),
        ("adam", {}),
        ("torch:adamw", {}),
    ],
)
def test_the_curvature_limits_the_rate(entry: object, limit: dict[str, float]) -> None:
    made = made_reports.report()
    job = {**made.job, "search": {"optimizers": [entry]}}
    assert curvature_limits(replace(made, job=job)) == pytest.approx(limit)
    assert curvature_limits(replace(made, job=job, minima=())) == {}
    assert get_optimizer("gd").stability_limit == 2.0
