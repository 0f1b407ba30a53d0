"""Distinct minima: told apart by loss and curvature, copies merged, the unseen bounded."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.made_results import DIVERGED, GOOD, TRAPPED, Row, result
from trainers import Thresholds
from tuning.analysis.basin_labels import Labels
from tuning.analysis.distinct_minima import distinct_minima
from tuning.report.model import Minimum
from tuning.statistics.intervals import UnseenMass
from tuning.trial.result import SettingResult


def found(
    results: list[SettingResult], known: float | None = 0.0
) -> tuple[tuple[Minimum, ...], UnseenMass | None]:
    return distinct_minima(results, Labels.of(results, known, Thresholds(material=1e-3)))


def test_every_fact_about_two_minima() -> None:
    deep = replace(GOOD, smallest=0.5, largest=8.0)
    shallow = replace(TRAPPED, smallest=1.0, largest=4.0)
    results = [result(0, 0.1, [deep, shallow, deep]), result(1, 0.2, [deep, shallow, DIVERGED])]
    (first, second), unseen = found(results)
    assert first == Minimum(
        loss=0.0,
        above_best=0.0,
        count=3,
        is_global=True,
        smallest_curvature=0.5,
        largest_curvature=8.0,
        gd_limit=0.25,
        found_by={0: 2, 1: 1},
    )
    assert second == Minimum(0.5, 0.5, 2, False, 1.0, 4.0, 0.5, {0: 1, 1: 1})
    # Starts 0 and 2 lead to the first, start 1 to the second: one of the three sightings is single.
    assert unseen is not None
    assert (unseen.total, unseen.distinct, unseen.singletons) == (3, 2, 1)
    assert unseen.estimate == pytest.approx(1 / 3)
    assert unseen.better_high == pytest.approx(1 - 0.05 ** (1 / 3), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"basin_loss": 1e-10}, 1),  # within the polish: 1e-9 of the descent
        ({"basin_loss": 1e-8}, 2),
        ({"largest": 2.0 * 1.009}, 1),  # within the error of the curvature: one in a hundred
        ({"largest": 2.0 * 1.02}, 2),
    ],
)
def test_two_bottoms_are_one_minimum_up_to_rounding(change: dict[str, float], count: int) -> None:
    minima, _ = found([result(0, 0.1, [GOOD, replace(GOOD, **change)])])  # type: ignore[arg-type]
    assert len(minima) == count
    assert sum(m.count for m in minima) == 2


def test_the_scale_of_the_loss_changes_nothing() -> None:
    for scale in (1e-20, 1.0, 1e20):
        rows = [
            replace(GOOD, start=scale, largest=scale),
            replace(GOOD, start=scale, basin_loss=1e-10 * scale, largest=scale),
            replace(TRAPPED, start=scale, basin_loss=0.5 * scale, largest=scale),
        ]
        minima, _ = found([result(0, 0.1, rows)])
        assert [m.count for m in minima] == [2, 1]
        assert [m.above_best for m in minima] == pytest.approx([0.0, 0.5])


def test_only_minima_count() -> None:
    points = ["saddle", "plateau", "undetermined"]
    rows = [DIVERGED, *(replace(TRAPPED, point=point) for point in points)]
    assert found([result(0, 0.1, rows)]) == ((), None)
    minima, unseen = found([result(0, 0.1, [*rows, GOOD])])
    assert [m.count for m in minima] == [1]
    assert unseen is not None
    assert unseen.total == 1


def test_flat_minima_are_told_apart_by_their_level_alone() -> None:
    flat = replace(TRAPPED, point="flat", smallest=0.0)
    along = [replace(flat, largest=largest) for largest in (1.0, 3.0, 8.0)]
    near = replace(flat, basin_loss=0.5 + 5e-7, largest=math.nan, smallest=math.nan)
    over = replace(flat, basin_loss=0.5 + 2e-6)
    rows = [GOOD, TRAPPED, *along, near, over, DIVERGED]
    minima, unseen = found([result(0, 0.1, rows)])
    assert [(m.flat, m.count) for m in minima] == [(False, 1), (False, 1), (True, 4), (True, 1)]
    bottom = minima[2]
    # Medians of what was measured.
    assert (bottom.loss, bottom.smallest_curvature, bottom.largest_curvature) == (0.5, 0.0, 3.0)
    assert bottom.gd_limit == pytest.approx(2 / 3)
    assert not bottom.is_global
    assert unseen is not None
    assert (unseen.total, unseen.distinct, unseen.singletons) == (7, 4, 3)


def test_a_flat_minimum_whose_curvature_was_not_measured() -> None:
    unmeasured = replace(GOOD, point="flat", smallest=math.nan, largest=math.nan)
    ((minimum,), _) = found([result(0, 0.1, [unmeasured, unmeasured])])
    assert (minimum.count, minimum.flat, minimum.is_global) == (2, True, True)
    assert math.isnan(minimum.largest_curvature)
    assert minimum.gd_limit is None


def test_those_near_the_global_minimum_are_global() -> None:
    losses = [0.0, 5e-4, 2e-3]
    rows = [replace(GOOD, basin_loss=loss) for loss in losses]
    minima, _ = found([result(0, 0.1, rows)])
    assert [m.loss for m in minima] == losses
    assert [m.is_global for m in minima] == [True, True, False]


def test_a_minimum_that_gives_gradient_descent_no_limit() -> None:
    ((minimum,), _) = found([result(0, 0.1, [replace(GOOD, smallest=0.0, largest=0.0)])])
    assert minimum.gd_limit is None


def test_no_descent_no_scale() -> None:
    ((minimum,), _) = found([result(0, 0.1, [replace(GOOD, start=0.0)])])
    assert minimum.above_best is None


def test_one_start_under_many_settings_is_one_sighting() -> None:
    results = [result(number, 0.1, [GOOD, GOOD]) for number in range(10)]
    ((minimum,), unseen) = found(results)
    assert minimum.count == 20
    assert unseen is not None
    assert (unseen.total, unseen.singletons) == (2, 0)
    # Other starts are other sightings.
    _, more = found([*results, result(10, 0.1, [GOOD, GOOD, GOOD], first=2)])
    assert more is not None
    assert more.total == 5


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60)
def test_noisy_copies_of_known_minima_are_found_again(
    kinds: list[tuple[int, int]], chance: np.random.Generator
) -> None:
    """Minimum (i, j) has loss 0.1 i and curvature 2 * 1.5^j; noise is half the tolerances."""
    rows = [
        Row(
            basin_loss=0.1 * i + chance.uniform(0.0, 5e-10),
            largest=2.0 * 1.5**j * (1.0 + chance.uniform(0.0, 5e-3)),
        )
        for i, j in kinds
    ]
    minima, unseen = found([result(0, 0.1, rows)])
    wanted = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert [m.count for m in minima] == list(wanted.values())
    assert unseen is not None
    assert unseen.singletons == list(wanted.values()).count(1)
    for minimum, (i, j) in zip(minima, wanted, strict=True):
        assert minimum.loss == pytest.approx(0.1 * i, abs=6e-10)
        assert minimum.largest_curvature == pytest.approx(2.0 * 1.5**j, rel=5e-3)


def test_what_is_not_proven_is_told_apart_by_its_level() -> None:
    # D = 1, so levels are told apart at 1e-3: three restarts that reached J*, two whose bottom is
    # known well above it, and one of which too little is known.
    losses = np.array([0.0, 0.0004, 0.0009, 0.4, 0.4002, 0.6])
    lower = np.array([-1e-4, -np.inf, -np.inf, 0.3999, 0.4001, 0.5])
    made = result(0, 0.1, [replace(GOOD, basin_loss=loss) for loss in losses])
    table = replace(made.restarts, point=np.array(["undetermined"] * 6), lower_bound=lower)
    levels, unseen = found([replace(made, restarts=table)])
    assert [(m.loss, m.count, m.by_level, m.is_global) for m in levels] == [
        (0.0, 3, True, True),
        (0.4, 2, True, False),
    ]
    assert unseen is not None
    assert (unseen.total, unseen.distinct, unseen.singletons) == (5, 2, 0)
