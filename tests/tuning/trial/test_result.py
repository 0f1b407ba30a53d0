"""What a setting gives: JSON and back to the bit, quantiles, steps to a target, a finite value."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.made_results import (
    DIVERGED,
    GOOD,
    OSCILLATING,
    Row,
    block,
    block_answer,
    result,
    same,
)
from tuning.trial.result import Curves, Restarts, Role, SettingResult

FINITE = st.floats(allow_nan=False, allow_infinity=False)
MISSING = FINITE | st.just(math.nan)
ROWS = st.builds(
    Row,
    dynamics=st.sampled_from(["settled", "descending", "oscillating", "diverged"]),
    point=st.sampled_from(["minimum", "saddle", "flat", "plateau", "undetermined", "none"]),
    start=MISSING,
    loss=MISSING,
    basin_loss=MISSING,
    smallest=MISSING,
    largest=MISSING,
    lr_sharpness=MISSING,
    diverged_at=st.integers(-1, 2**62),
    validation=MISSING,
    path=st.tuples(*[st.floats(width=32)] * 3),
)
MANY = st.lists(ROWS, min_size=2, max_size=5)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@given(rows=MANY, rate=st.floats(1e-300, 1e300), first=st.integers(0, 10**9))
def test_json_and_back_is_exact(rows: list[Row], rate: float, first: int) -> None:
    made = result(3, rate, rows, role=Role.CONFIRMATION, first=first, optimizer=2)
    text = json.dumps(made.to_json(), allow_nan=False)
    back = SettingResult.from_json(json.loads(text))
    assert back.setting == made.setting
    assert type(back.setting.role) is Role
    for field in fields(Restarts):
        ours, theirs = getattr(made.restarts, field.name), getattr(back.restarts, field.name)
        assert ours.dtype.kind == theirs.dtype.kind
        np.testing.assert_array_equal(ours, theirs)
    for field in fields(Curves):
        ours, theirs = getattr(made.curves, field.name), getattr(back.curves, field.name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert (back.training_seconds, back.classifying_seconds, back.finished_at) == (1.0, 0.5, 103.0)
    assert back.value == made.value


def test_infinity_in_the_table_becomes_nan() -> None:
    back = Restarts.from_json(result(0, 0.1, [Row(loss=math.inf)]).restarts.to_json())
    assert np.isnan(back.loss).all()


def test_studies_without_the_sharpness_still_load() -> None:
    columns = result(0, 0.1, [GOOD, DIVERGED]).restarts.to_json()
    assert columns["lr_sharpness"] == [0.2, None]
    del columns["lr_sharpness"]
    back = Restarts.from_json(columns)
    assert np.isnan(back.lr_sharpness).tolist() == [True, True]
    assert back.loss.tolist() == [0.0, 9.0]
    del columns["loss"]
    with pytest.raises(KeyError):
        Restarts.from_json(columns)


@given(parts=st.lists(MANY, min_size=1, max_size=4))
@settings(max_examples=30)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_joined_parts_are_the_whole(parts: list[list[Row]]) -> None:
    whole = result(3, 0.1, [row for part in parts for row in part], first=10)
    firsts = np.cumsum([10, *(len(part) for part in parts)])
    pieces = [
        block_answer(block(0.1, first=int(first), restarts=len(part)), part)
        for part, first in zip(parts, firsts, strict=False)
    ]
    joined = SettingResult.join(whole.setting, pieces)
    seconds = len(parts) * 1.0, len(parts) * 0.5
    assert (joined.training_seconds, joined.classifying_seconds) == seconds
    assert joined.finished_at == 100.0
    times = {"training_seconds": 1.0, "classifying_seconds": 0.5, "finished_at": 103.0}
    assert same(replace(joined, **times), whole)  # type: ignore[arg-type]


def test_who_is_unstable() -> None:
    rows = [GOOD, OSCILLATING, DIVERGED, replace(GOOD, dynamics="descending")]
    table = result(0, 0.1, rows).restarts
    assert table.diverged.tolist() == [False, False, True, False]
    assert table.unstable.tolist() == [False, True, True, False]
    assert result(0, 0.1, rows).unstable_fraction == 0.5
    assert len(table) == 4


# ------------------------------------------------------------------------------------------ curves


def curves_of(losses: list[list[float]]) -> Curves:
    table = np.array(losses, dtype=np.float32)
    steps = np.arange(len(losses), dtype=np.int64) * 10
    return Curves(steps, table, np.fmin.accumulate(table, axis=0))


FLOAT32 = st.floats(-(2.0**100), 2.0**100, width=32)
TABLES = st.integers(1, 6).flatmap(
    lambda restarts: st.lists(
        st.lists(FLOAT32 | st.just(math.nan), min_size=restarts, max_size=restarts),
        min_size=1,
        max_size=5,
    )
)


@given(losses=TABLES)
def test_quantiles_count_the_diverged_as_infinite(losses: list[list[float]]) -> None:
    """Reference: the smallest loss with at least that part of the restarts at or below it."""
    levels = (0.1, 0.5, 0.9)
    found = curves_of(losses).quantiles(levels)
    assert found.shape == (3, len(losses))
    for column, row in enumerate(losses):
        ordered = sorted(math.inf if math.isnan(loss) else loss for loss in row)
        for level, value in zip(levels, found[:, column].tolist(), strict=True):
            wanted = ordered[math.ceil(level * len(row) - 1e-9) - 1]
            assert (math.isnan(value) and wanted == math.inf) or value == wanted


def test_quantiles_without_divergence_are_those_of_numpy() -> None:
    losses = np.random.default_rng(0).lognormal(size=(20, 41)).astype(np.float32)
    steps = np.arange(20, dtype=np.int64)
    found = Curves(steps, losses, np.fmin.accumulate(losses, axis=0)).quantiles()
    wanted = np.quantile(losses, (0.1, 0.5, 0.9), axis=1, method="inverted_cdf")
    np.testing.assert_array_equal(found, wanted)


def test_a_curve_ends_where_that_part_has_diverged() -> None:
    losses = [[4.0] * 10, [3.0] * 9 + [math.nan], [2.0] * 4 + [math.nan] * 6, [math.nan] * 10]
    p10, p50, p90 = curves_of(losses).quantiles()
    np.testing.assert_array_equal(p10, [4.0, 3.0, 2.0, math.nan])
    np.testing.assert_array_equal(p50, [4.0, 3.0, math.nan, math.nan])
    np.testing.assert_array_equal(p90, [4.0, 3.0, math.nan, math.nan])


@given(losses=TABLES, target=FLOAT32)
def test_steps_to_a_target(losses: list[list[float]], target: float) -> None:
    found = curves_of(losses).steps_to(target).tolist()
    for restart, steps in enumerate(found):
        reached = [10.0 * k for k, row in enumerate(losses) if row[restart] <= target]
        assert steps == (reached[0] if reached else math.inf)


@given(loss=FINITE.filter(lambda x: abs(x) < 1e38))
def test_a_target_that_is_met_exactly_is_met(loss: float) -> None:
    """Losses are kept as float32: a target in float64 must be rounded alike."""
    assert curves_of([[loss]]).steps_to(loss).tolist() == [0.0]


def test_no_target_is_never_reached() -> None:
    assert curves_of([[-1e30], [0.0]]).steps_to(math.nan).tolist() == [math.inf]
    assert curves_of([[0.0]]).steps_to(-1e300).tolist() == [math.inf]
    assert curves_of([[1e30]]).steps_to(1e300).tolist() == [0.0]


# ------------------------------------------------------------------------------------------- value


def test_the_value_is_the_mean_of_the_losses_capped_by_the_start() -> None:
    rose = replace(OSCILLATING, start=2.0, loss=5.0)
    gone = replace(DIVERGED, start=4.0, loss=1e9)
    rows = [replace(GOOD, start=3.0, loss=1.0), rose, gone]
    assert result(0, 0.1, rows).value == pytest.approx((1.0 + 2.0 + 4.0) / 3.0, rel=1e-15)


WILD = FINITE | st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308])


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@given(ends=st.lists(st.tuples(WILD, WILD, st.booleans()), min_size=1, max_size=9))
def test_the_value_is_always_finite(ends: list[tuple[float, float, bool]]) -> None:
    rows = [
        Row(start=start, loss=loss, dynamics="diverged" if gone else "settled", path=(0.0,) * 3)
        for start, loss, gone in ends
    ]
    value = result(0, 0.1, rows).value
    assert math.isfinite(value)
    assert math.isfinite(value * value)  # gp squares them
