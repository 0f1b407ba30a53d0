"""What labels rest on, and how they change with the tolerance and with J*."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_results import DIVERGED, GOOD, result
from trainers import Basin, Evidence, Thresholds
from tuning.analysis.basin_labels import Labels
from tuning.analysis.judgements import (
    drift,
    drifts,
    found_by,
    own_bests,
    share,
    trapped_by_tolerance,
)
from tuning.report.formatting import MISSING, rate_cell
from tuning.report.formatting import rate as rate_text
from tuning.trial.result import SettingResult

OPEN = replace(GOOD, point="undetermined")  # nothing is proven, and no interval known


def bottoms(number: int, losses: list[float], *, optimizer: int = 0) -> SettingResult:
    """Restarts that start at 1 and whose bottoms are known: proven."""
    rows = [replace(GOOD, basin_loss=loss) for loss in losses]
    return result(number, 0.1, rows, optimizer=optimizer)


def with_intervals(found: SettingResult, lower: list[float]) -> SettingResult:
    """The same with these lower ends, and no proof."""
    table = found.restarts
    points = np.array(["undetermined"] * len(table))
    return replace(
        found, restarts=replace(table, point=points, lower_bound=np.array(lower, dtype=float))
    )


def labels_of(*results: SettingResult, known: float | None = None) -> Labels:
    return Labels.of(results, known, Thresholds())


def test_the_share_of_trapped_by_tolerance() -> None:
    # D = 1: bottoms 0.002, 0.005 and 0.02 above J* = 0.
    labels = labels_of(bottoms(0, [0.0, 0.002, 0.005, 0.02]))
    found = trapped_by_tolerance(labels, labels.results[0].restarts)
    assert {part: rate.count for part, rate in found.items()} == {
        "0.001": 3,
        "0.003": 2,
        "0.01": 1,
    }
    assert {rate.total for rate in found.values()} == {4}


def test_reached_trapped_and_not_judged_add_up_at_every_tolerance() -> None:
    # Intervals: reached by level; trapped at all; open at 0.003 alone.
    labels = labels_of(
        bottoms(0, [0.0] * 3),
        with_intervals(bottoms(1, [0.0005, 0.5, 0.0035]), [-np.inf, 0.4, 0.0015]),
    )
    table = labels.results[1].restarts
    for part, expected in (
        (1e-3, (1, 2, 0)),
        (3e-3, (1, 1, 1)),
        (1e-2, (2, 1, 0)),
    ):
        basins = labels.basins_of(table, part * labels.descent)
        reached, trapped = (share(basins, b) for b in (Basin.GLOBAL_MINIMUM, Basin.LOCAL_MINIMUM))
        assert (reached.count, trapped.count, trapped.undecided) == expected
        assert reached.count + trapped.count + trapped.undecided == 3
    assert list(labels.evidence[1]) == [Evidence.LEVEL, Evidence.EXTRAPOLATED, Evidence.LEVEL]
    assert list(labels.evidence[0]) == [Evidence.PROVEN] * 3


def test_who_diverged_does_not_make_up_for_who_is_not_judged() -> None:
    """Three of 32 are no tenth, but they are all that have a basin."""
    none, open_ = [None] * 29, [Basin.UNDETERMINED] * 3
    rate = share(np.array(none + open_, dtype=object), Basin.LOCAL_MINIMUM)
    assert (rate.estimate, rate.undecided, rate.absent, rate.total) == (None, 3, 29, 32)
    assert rate_cell(rate) == "not judged (3/32)"


def test_where_all_diverged_no_share_is_given() -> None:
    rate = share(np.array([None] * 8, dtype=object), Basin.LOCAL_MINIMUM)
    assert (rate.estimate, rate.low, rate.high) == (None, 0.0, 1.0)
    assert rate_cell(rate) == rate_text(rate) == MISSING


def test_who_reached_a_level_has_not_reached_j_star_before_that_is_known_well() -> None:
    open_ = with_intervals(bottoms(0, [0.0, 0.0, 0.5]), [-1.0, -1.0, 0.4])
    alone = labels_of(open_)
    # Nobody can have reached J*, but who is trapped would be so the more if it were lower.
    assert list(alone.basins[0]) == [Basin.UNDETERMINED, Basin.UNDETERMINED, Basin.LOCAL_MINIMUM]
    proven = labels_of(open_, bottoms(1, [0.0] * 3))
    assert list(proven.basins[0])[:2] == [Basin.GLOBAL_MINIMUM] * 2
    # Where J* is known there is nothing to wait for.
    assert list(labels_of(open_, known=0.0).basins[0])[:2] == [Basin.GLOBAL_MINIMUM] * 2


def test_how_many_labels_would_change_if_j_star_fell() -> None:
    # tau = 0.01: two within it, one of them above J*; one far above; one that diverged.
    rows = [GOOD, replace(GOOD, basin_loss=0.005), replace(GOOD, basin_loss=0.5), DIVERGED]
    labels = labels_of(result(0, 0.1, rows))
    assert drift(labels) == pytest.approx(1 / 3)  # at J* - tau the lowest is within tau still
    assert drift(labels_of(result(0, 0.1, rows), known=0.0)) is None
    assert drift(labels_of(result(0, 0.1, [DIVERGED] * 2))) is None


def test_j_star_drifts_where_half_of_the_starts_did_not_find_it() -> None:
    assert not drifts(labels_of(bottoms(0, [0.0, 0.0, 0.5, 0.5])))
    assert not drifts(labels_of(bottoms(0, [0.0, 0.0024, 0.5, 0.5])))  # to a quarter of 0.01
    assert drifts(labels_of(bottoms(0, [0.0, 0.0026, 0.5, 0.5])))
    assert not drifts(labels_of(bottoms(0, [0.0, 0.0026, 0.5, 0.5]), known=0.0))


def test_each_optimizer_has_its_own_best() -> None:
    labels = labels_of(
        bottoms(0, [0.2, 0.2, 0.4], optimizer=0), bottoms(1, [0.0, 0.3, 0.3], optimizer=1)
    )
    names = ["gd", "adam", "rmsprop"]
    assert found_by(labels, names) == "adam"
    own = own_bests(labels, names)
    assert {name: (of.loss, of.reached.count) for name, of in own.items()} == {
        "gd": (0.2, 2),
        "adam": (0.0, 1),
    }
    assert found_by(labels_of(result(0, 0.1, [DIVERGED] * 2)), names) is None
    assert own_bests(labels_of(result(0, 0.1, [DIVERGED] * 2)), names) == {}
