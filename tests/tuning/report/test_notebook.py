"""What Python shows of a report by itself: short, at once, and true; and its table for pandas."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from tests.support import made_reports
from tuning.report.dataframe import UNITS
from tuning.report.model import Report, SettingRow, Status
from tuning.report.notebook import best_settings, fragment

MADE = [getattr(made_reports, name) for name in made_reports.__all__ if name not in ("bowl", "row")]
every = pytest.mark.parametrize("make", MADE, ids=lambda make: make.__name__)


@every
def test_at_the_prompt_it_is_a_few_lines(make: Callable[[], Report]) -> None:
    made = make()
    lines = repr(made).splitlines()
    assert 1 < len(lines) <= 5
    assert max(map(len, lines)) < 200
    best = made.best_stable
    assert ("No stable learning rate" in lines[0]) == (best is None)
    assert 'report.plot("loss")' in lines[-1]


def test_the_prompt_says_rate_promise_and_trapped() -> None:
    said = repr(made_reports.report())
    assert said.startswith("<Report wells: Best stable learning rate: 0.3 with gd.\n")
    assert "Unstable: 0.0 % [0.0, 5.7] (0/64), at most 4.6 %, at 2 times the rate at most" in said
    assert "Trapped in a local minimum: 31.2 %" in said
    assert "Distance to the cliff: 0.55 decades (× 3.55)." in said


@every
def test_in_a_notebook_it_is_small_and_at_once(make: Callable[[], Report]) -> None:
    made = make()
    made._repr_html_()  # Jinja is imported once
    begin = time.process_time()
    html = made._repr_html_()
    assert time.process_time() - begin < 0.3
    assert len(html) < 20_000
    assert html == fragment(made)
    assert "<img" not in html


def test_the_card_has_the_best_settings_of_each_optimizer() -> None:
    made = made_reports.report()
    best = best_settings(made)
    assert list(best) == ["gd", "adam(beta1=0.8)"]
    assert best["gd"][0].status is Status.RECOMMENDED
    for rows in best.values():
        assert 1 <= len(rows) <= 3
        assert all(row.status.stable for row in rows)
    cheap = replace(best["adam(beta1=0.8)"][-1], cost=1.0)
    others = tuple(row for row in made.settings if row.number != cheap.number)
    cheaper = replace(made, settings=(*others, cheap))
    assert best_settings(cheaper)["adam(beta1=0.8)"][0] is cheap
    (least,) = best_settings(made_reports.no_stable())["gd"]
    assert not least.status.stable


def test_what_has_a_unit_has_it_in_its_name() -> None:
    made = made_reports.report()
    frame = made.to_dataframe()
    assert set(UNITS) < {field.name for field in fields(SettingRow)}
    assert not set(UNITS) & set(frame)
    assert frame["cost_steps"].dropna().tolist() == [
        row.cost for row in made.rows if row.cost is not None
    ]
    assert frame["worst_hover_descents"].dropna().tolist() == [
        row.worst_hover for row in made.rows if row.worst_hover is not None
    ]
    tolerances = [name for name in map(str, frame) if name.startswith("trapped_at")]
    assert tolerances == [f"trapped_at.{part}_descents" for part in ("0.001", "0.003", "0.01")]
    assert frame["unstable.high"].tolist() == [row.unstable.high for row in made.rows]
