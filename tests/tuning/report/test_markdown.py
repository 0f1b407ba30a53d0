"""The report for a pull request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support import made_reports
from tuning.report.markdown import to_markdown


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_answer_comes_first() -> None:
    lines = to_markdown(made_reports.report()).splitlines()
    assert lines[0] == "# Surefoot: wells"
    assert lines[2] == "**Best stable learning rate: 0.3 with gd**"
    assert lines[4].startswith("- Unstable on fresh starts: 0.0 % \\[0.0, 5.7\\] (0/64)")
    assert "## Warnings" in lines
    assert lines[-1].startswith("Job job-1, 2026-01-02")


def test_a_table_has_a_line_a_setting_and_as_many_cells() -> None:
    lines = to_markdown(made_reports.report()).splitlines()
    start = lines.index("## Settings") + 2
    table = lines[start : lines.index("", start)]
    assert len(table) == 2 + 12
    assert {len(cells(line)) for line in table} == {len(cells(table[0]))}
    (best,) = [cells(line) for line in table if "recommended" in line]
    assert best[:3] == ["gd", "recommended", "0.3"]


def test_of_many_settings_the_best_are_shown() -> None:
    made = made_reports.report()
    many = tuple(replace(made.settings[0], number=100 + i, cost=float(100 - i)) for i in range(30))
    lines = to_markdown(replace(made, settings=(*many, *made.settings))).splitlines()
    start = lines.index("## Settings: 20 of 42, the best first") + 4
    assert "recommended" in lines[start]
    assert cells(lines[start + 1])[-1] == "71"


@pytest.mark.parametrize(
    "make", [made_reports.hostile, made_reports.no_stable, made_reports.strange]
)
def test_nothing_of_users_is_markup(make: object) -> None:
    assert callable(make)
    words = to_markdown(make())
    outside, _, _ = words.partition("## Job")
    assert "<script" not in outside.replace("\\<", "")
    assert "\x1b" not in words


def test_a_job_with_backticks_stays_within_its_fence() -> None:
    made = made_reports.report()
    words = to_markdown(replace(made, job={**made.job, "name": "```` x"}))
    assert "`````toml\n" in words
