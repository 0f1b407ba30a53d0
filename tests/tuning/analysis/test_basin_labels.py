"""Labels that need all results: J*, its tolerance, and who is trapped."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_results import DIVERGED, GOOD, TRAPPED, result
from trainers import Basin, Thresholds
from tuning.analysis.basin_labels import Labels
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

LIMITS = Thresholds(material=1e-3)


def basins(labels: Labels, index: int = 0) -> list[Basin | None]:
    return list(labels.basins[index])


def test_the_known_minimum_decides_who_is_trapped() -> None:
    near = replace(GOOD, basin_loss=9e-4)  # within 1e-3 of the descent from 1 to 0
    over = replace(GOOD, basin_loss=1.1e-3)
    labels = Labels.of([result(0, 0.1, [GOOD, near, over, TRAPPED, DIVERGED])], 0.0, LIMITS)
    assert (labels.best, labels.known, labels.start_loss) == (0.0, True, 1.0)
    assert labels.tolerance == pytest.approx(1e-3, rel=1e-12)
    assert basins(labels) == [
        Basin.GLOBAL_MINIMUM,
        Basin.GLOBAL_MINIMUM,
        Basin.LOCAL_MINIMUM,
        Basin.LOCAL_MINIMUM,
        None,
    ]


def test_a_known_minimum_that_is_none_is_not_relied_on() -> None:
    """The problem says 0.4, and a restart came to 0."""
    labels = Labels.of([result(0, 0.1, [GOOD, TRAPPED])], 0.4, LIMITS)
    assert (labels.best, labels.known) == (0.0, False)
    assert basins(labels) == [Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM]
    rounded = Labels.of([result(0, 0.1, [replace(GOOD, basin_loss=-1e-12)])], 0.0, LIMITS)
    assert (rounded.best, rounded.known) == (0.0, True)


def test_labels_are_renewed_when_a_better_minimum_is_found() -> None:
    first = result(0, 0.1, [TRAPPED, TRAPPED])
    alone = Labels.of([first], None, LIMITS)
    assert (alone.best, alone.known) == (0.5, False)
    assert basins(alone) == [Basin.GLOBAL_MINIMUM] * 2
    both = Labels.of([first, result(1, 0.2, [GOOD, TRAPPED])], None, LIMITS)
    assert both.best == 0.0
    assert basins(both, 0) == [Basin.LOCAL_MINIMUM] * 2
    assert basins(both, 1) == [Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM]


@pytest.mark.parametrize(
    ("point", "far", "near_known", "near_unknown"),
    [
        ("minimum", Basin.LOCAL_MINIMUM, Basin.GLOBAL_MINIMUM, Basin.GLOBAL_MINIMUM),
        ("saddle", Basin.SADDLE, Basin.GLOBAL_MINIMUM, Basin.SADDLE),
        ("flat", Basin.LOCAL_MINIMUM, Basin.GLOBAL_MINIMUM, Basin.GLOBAL_MINIMUM),
        ("plateau", Basin.PLATEAU, Basin.GLOBAL_MINIMUM, Basin.PLATEAU),
        ("undetermined", Basin.UNDETERMINED, Basin.GLOBAL_MINIMUM, Basin.UNDETERMINED),
    ],
)
def test_kinds_of_point(point: str, far: Basin, near_known: Basin, near_unknown: Basin) -> None:
    """At rest or not, within the tolerance of a known minimum a restart is there; of one that is
    only the best found, just where it is at rest."""
    rows = [GOOD, replace(GOOD, point=point), replace(TRAPPED, point=point)]
    assert basins(Labels.of([result(0, 0.1, rows)], 0.0, LIMITS))[1:] == [near_known, far]
    assert basins(Labels.of([result(0, 0.1, rows)], None, LIMITS))[1:] == [near_unknown, far]


def test_the_tolerance_is_a_part_of_the_median_descent_over_distinct_starts() -> None:
    """Shared starts count once, however many settings trained them; fresh ones count beside."""
    search = [replace(GOOD, start=start) for start in (1.0, 3.0, 11.0)]
    fresh = [replace(GOOD, start=start) for start in (100.0, 200.0)]
    results = [result(number, 0.1, search) for number in range(5)]
    assert Labels.of(results, -1.0, LIMITS).start_loss == 3.0
    assert Labels.of(results, -1.0, LIMITS).tolerance == pytest.approx(4e-3, rel=1e-12)
    both = Labels.of([*results, result(5, 0.1, fresh, first=3)], -1.0, LIMITS)
    assert both.start_loss == 11.0
    assert both.tolerance == pytest.approx(12e-3, rel=1e-12)


def test_starts_that_are_not_finite_are_left_out() -> None:
    rows = [replace(GOOD, start=2.0), replace(DIVERGED, start=math.nan)]
    assert Labels.of([result(0, 0.1, rows)], None, LIMITS).start_loss == 2.0


def test_nothing_was_found_where_everything_diverged() -> None:
    labels = Labels.of([result(0, 0.1, [DIVERGED, DIVERGED])], None, LIMITS)
    assert math.isnan(labels.best)
    assert labels.tolerance == 0.0
    assert basins(labels) == [None, None]


def test_a_start_below_the_minimum_gives_no_negative_tolerance() -> None:
    rows = [replace(GOOD, start=-2.0, basin_loss=-2.0)]
    labels = Labels.of([result(0, 0.1, rows)], 0.0, LIMITS)
    assert labels.tolerance == 0.0
    assert basins(labels) == [Basin.GLOBAL_MINIMUM]


def measured(gap: float, *, start: float = 1.0, level: float = 0.3) -> SettingResult:
    """Two restarts whose tails hover `gap` above their bottoms, held there by opposed steps."""
    found = result(0, 0.1, [replace(GOOD, dynamics="oscillating", start=start)] * 2)
    both = np.full(2, True)
    table = replace(
        found.restarts,
        tail_loss=np.full(2, level),
        tail_gap=np.full(2, gap),
        tail_excess=np.zeros(2),
        still=both,
        held=both,
    )
    return replace(found, restarts=table)


def test_who_has_settled_or_fallen_is_labelled_anew_with_the_descent_of_all() -> None:
    # Alone, the descent is 1, and a hover of 0.06 is a fall.
    alone = Labels.of([measured(0.06)], 0.0, Thresholds()).results[0].restarts
    assert alone.hover.tolist() == [0.06, 0.06]
    assert alone.fall.tolist() == ["swings", "swings"]
    assert alone.unstable.all()
    # Beside a bottom at -1 it is 2: then 0.03 is none.
    lower = result(1, 0.2, [replace(GOOD, basin_loss=-1.0)] * 2)
    both = Labels.of([measured(0.06), lower], None, Thresholds())
    assert both.results[0].restarts.hover.tolist() == [0.03, 0.03]
    assert not both.results[0].restarts.unstable.any()
    assert both.results[0].restarts.dynamics.tolist() == ["oscillating"] * 2
    small = Labels.of([measured(0.0009)], 0.0, Thresholds()).results[0]
    assert small.restarts.dynamics.tolist() == ["settled"] * 2
    assert small.restarts.motion.tolist() == ["oscillating"] * 2
    strict = Labels.of([measured(0.0009)], 0.0, Thresholds(max_hover=1e-4, settled=1e-4))
    assert strict.results[0].restarts.fall.tolist() == ["swings"] * 2


def test_what_is_not_known_of_a_tail_stays_as_it_was_told() -> None:
    told = result(0, 0.1, [GOOD, replace(GOOD, dynamics="oscillating"), DIVERGED])
    (again,) = Labels.of([told], 0.0, Thresholds()).results
    assert again.restarts.dynamics.tolist() == ["settled", "oscillating", "diverged"]
    assert again.restarts.fall.tolist() == ["", "swings", "diverged"]
    assert np.isnan(again.restarts.hover).all()


def test_the_scale_is_that_of_the_first_64_starts() -> None:
    search = result(0, 0.1, [GOOD] * 64)
    fresh = result(1, 0.1, [replace(GOOD, start=100.0)] * 200, role=Role.CONFIRMATION, first=64)
    assert Labels.of([search, fresh], 0.0, LIMITS).start_loss == 1.0
