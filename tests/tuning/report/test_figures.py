"""The figures of `Report.plot`: their numbers are the report's, Plotly takes them, and where there
is nothing to show they say why."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas
import plotly.graph_objects as go
import pytest

import tuning
from tests.support import made_reports
from trainers.errors import InvalidInput
from tuning.report.figures.heights import DEEPEST
from tuning.report.figures.kinds import KINDS
from tuning.report.labels import STACKS, STATUS_COLOURS, stack
from tuning.report.model import Report, Status

MADE = [getattr(made_reports, name) for name in made_reports.__all__ if name not in ("bowl", "row")]


def traces(drawn: go.Figure, **wanted: object) -> list[Any]:
    return [t for t in drawn.data if all(getattr(t, k) == v for k, v in wanted.items())]


def lines(drawn: go.Figure) -> dict[str, list[float]]:
    """By name, where the vertical lines are."""
    found: dict[str, list[float]] = {}
    for shape in drawn.layout.shapes:
        if shape.type == "line" and shape.name:
            found.setdefault(shape.name, []).append(shape.x0)
    return found


@pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)
def test_every_report_has_every_figure(make: Callable[[], Report]) -> None:
    made = make()
    for kind in KINDS:
        drawn = made.plot(kind)
        go.Figure(drawn.to_dict())  # validates
        assert json.loads(drawn.to_json())["layout"]["title"]["text"]
        # Either there is something, or it is said why not.
        assert drawn.data or drawn.layout.annotations, kind


def test_figures_take_no_time() -> None:
    made = made_reports.report()
    made.plot().to_json()  # Plotly is imported once
    begin = time.process_time()
    for kind in KINDS:
        made.plot(kind).to_json()
    assert time.process_time() - begin < 10.0


def test_the_loss_is_that_of_the_settings() -> None:
    made = made_reports.report()
    drawn = made.plot()
    (median,) = traces(drawn, name="gd: median")
    rows = [row for row in made.settings if row.optimizer == "gd" and row.loss is not None]
    assert list(median.x) == [row.learning_rate for row in rows]
    assert list(median.y) == [row.loss for row in rows]
    marks = [s.endswith("open") for s in median.marker.symbol]
    assert marks == [not row.status.stable for row in rows]
    band = traces(drawn, legendgroup="band")[0]
    ends = [(row.learning_rate, made.curves[row.number]) for row in rows]
    known = [(rate, curve) for rate, curve in ends if math.isfinite(curve.p90[-1])]
    assert list(band.x)[: len(known)] == [rate for rate, _ in known]
    floor = DEEPEST * made.start_loss
    assert list(band.y) == [
        *(max(curve.p10[-1], floor) for _, curve in known),
        *(max(curve.p90[-1], floor) for _, curve in reversed(known)),
    ]


def test_the_rates_that_count_are_marked() -> None:
    made = made_reports.report()
    best, cliffs = made.best_stable, made.cliffs
    assert best is not None
    found = lines(made.plot("loss"))
    assert found["recommended rate"] == [best.learning_rate]
    assert found["its margin, × 2"] == [2 * best.learning_rate]
    assert found["cliff"] == [cliffs["gd"].estimate, cliffs["adam(beta1=0.8)"].estimate]
    # Of gradient descent alone: Adam's preconditioner is not in the minima.
    assert found["limit by the flattest global minimum"] == [2.0 / 8.9]
    regions = [s for s in made.plot("cliff").layout.shapes if s.name == "the cliff's interval"]
    assert (regions[0].x0, regions[0].x1) == (cliffs["gd"].low, cliffs["gd"].high)
    assert "rate that looks stable" in lines(made_reports.unconfirmed().plot())
    # The outcomes' axis is a logarithm.
    (at,) = lines(made.plot("outcomes"))["recommended rate"]
    assert at == math.log10(best.learning_rate)


def test_the_limit_is_that_of_the_flattest_global_minimum() -> None:
    """As on the page: above it no global minimum that was found holds."""
    made = made_reports.report()
    (one, *_) = [m for m in made.minima if m.is_global]
    flat, local = replace(one, largest_curvature=4.0), replace(one, largest_curvature=1.0)
    for minima, limit in (
        ((one, flat), 2.0 / 4.0),
        ((flat, one, replace(local, is_global=False)), 2.0 / 4.0),
    ):
        found = lines(replace(made, minima=minima).plot())
        assert found["limit by the flattest global minimum"] == [limit]
    assert "limit by the flattest global minimum" not in lines(replace(made, minima=()).plot())


def test_unstable_shares_are_those_of_the_settings() -> None:
    made = made_reports.report()
    drawn = made.plot("cliff")
    shown = {
        (x, y): (trace.marker.color, size)
        for trace in traces(drawn, mode="markers")
        for x, y, size in zip(trace.x, trace.y, trace.marker.size, strict=True)
    }
    assert set(shown) == {(row.learning_rate, row.unstable.estimate) for row in made.settings}
    assert shown[0.3, 0.0][0] in (
        STATUS_COLOURS[Status.RECOMMENDED],
        STATUS_COLOURS[Status.LOOKS_STABLE],
    )
    (fit, _) = traces(drawn, name="P(unstable), fitted")
    curve = made.cliffs["gd"].curve
    assert list(zip(fit.x, fit.y, fit.customdata, strict=True)) == [
        (point.rate, point.fitted, point.restarts) for point in curve
    ]


def test_points_are_the_larger_the_more_restarts() -> None:
    made = made_reports.report()
    few = made_reports.row(0, "gd", made.settings[0].learning_rate, {"settled/global-minimum": 4})
    drawn = replace(made, settings=(few, *made.settings[1:])).plot("cliff")
    size = {
        (x, name.name): s
        for name in traces(drawn, mode="markers")
        for x, s in zip(name.x, name.marker.size, strict=True)
        if name.xaxis == "x"
    }
    assert min(size.values()) < max(size.values())


def test_outcomes_are_stacked_to_one() -> None:
    made = made_reports.report()
    drawn = made.plot("outcomes")
    heights: dict[tuple[str, float], float] = {}
    for bar in traces(drawn, type="bar"):
        assert bar.marker.color == STACKS[bar.name]
        for x, y in zip(bar.x, bar.y, strict=True):
            heights[bar.xaxis, x] = heights.get((bar.xaxis, x), 0.0) + y
    assert len(heights) == len(made.settings)
    assert all(height == pytest.approx(1.0) for height in heights.values())
    (trapped, _) = traces(drawn, name="trapped: settled in a local minimum")
    rows = [row for row in made.settings if row.optimizer == "gd"]
    counts = [stack(row.joint)["trapped: settled in a local minimum"] for row in rows]
    assert [told[1] for told in trapped.customdata] == counts


def test_costs_minima_and_paths_are_the_report_s() -> None:
    made = made_reports.report()
    (gd,) = traces(made.plot("costs"), name="gd")
    rows = [row for row in made.settings if row.optimizer == "gd" and row.cost]
    assert list(zip(gd.x, gd.y, strict=True)) == [(row.learning_rate, row.cost) for row in rows]
    shown = [
        (x, y) for trace in made.plot("minima").data for x, y in zip(trace.x, trace.y, strict=True)
    ]
    assert shown == [(m.loss, m.count) for m in made.minima]


def test_the_slider_shows_the_walks_of_one_rate() -> None:
    made = made_reports.report()
    land = made.landscape
    assert land is not None
    drawn = made.plot("path")
    (slider,) = drawn.layout.sliders
    assert [step.label for step in slider.steps] == ["gd 0.01", "gd 0.1", "gd 0.6"]
    walks = [i for i, trace in enumerate(drawn.data) if trace.name.startswith("restart")]
    for step, path in zip(slider.steps, land.paths, strict=True):
        visible = step.args[0]["visible"]
        shown = [drawn.data[i] for i in walks if visible[i]]
        assert [trace.x[0] for trace in shown] == path.w[0].tolist()
        assert all(visible[i] for i in range(len(drawn.data)) if i not in walks)
    assert sum(bool(drawn.data[i].visible) for i in walks) == len(land.paths[0].w.T)
    said = replace(made, landscape=None).plot("path").layout.annotations[0].text
    assert "one weight" in said


def test_curves_of_all_and_of_one() -> None:
    made = made_reports.report()
    assert len(made.plot("curves").data) == len(made.settings)
    drawn = made.plot("curves", setting=4)
    band, median = drawn.data
    curve = made.curves[4]
    floor = DEEPEST * made.start_loss
    assert list(median.x) == curve.steps.tolist()
    assert list(median.y) == [max(value, floor) for value in curve.p50.tolist()]
    assert len(band.x) == 2 * len(curve.steps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("los",), "there is no plot 'los'; did you mean 'loss'? valid: loss, cliff, outcomes, "),
        (("",), "there is no plot ''; valid: loss, "),
        (("loss", 3), "plot 'loss' takes no setting"),
        (("curves", 99), "there is no setting 99: they are numbered from 0 to 14"),
        (("curves", 14), "setting 14 has no curve"),
    ],
)
def test_a_wrong_plot_is_one_line(arguments: tuple[Any, ...], message: str) -> None:
    kind, setting = (*arguments, None)[:2]
    with pytest.raises(InvalidInput) as raised:
        made_reports.report().plot(kind, setting=setting)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_users_wrote_is_no_markup() -> None:
    for kind in KINDS:
        assert "<script" not in made_reports.hostile().plot(kind).to_json()


def test_a_verdict_has_figures_too() -> None:
    rates = (0.01, 0.1, 1.0)
    table = pandas.DataFrame(
        [
            {"learning_rate": rate, "seed": seed, "loss": rate if rate < 1 else math.inf}
            for rate in rates
            for seed in range(20)
        ]
    )
    made = tuning.verdict(table)
    for kind in KINDS:
        made.plot(kind).to_json()
    (median,) = [t for t in made.plot("loss").data if "median" in t.name]
    assert list(median.x) == [0.01, 0.1]
    assert list(median.y) == [0.01, 0.1]
