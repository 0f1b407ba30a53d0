"""The answer in five lines, whatever the answer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support import made_reports
from tuning.report.answer import answer_lines, short_answer
from tuning.report.model import Report
from tuning.statistics.intervals import wilson

Make = Callable[[], Report]


def test_the_answer_of_a_confirmed_rate() -> None:
    assert answer_lines(made_reports.report()) == (
        "Best stable learning rate: 0.3 with gd",
        "Promise: at most 4.6 % unstable, 95 % sure (0 of 64 fresh starts); at 2 times the rate at "
        "most 4.6 % (0 of 64).",
        "Trapped: 20 of 64 in a local minimum, 31.2 % [21.2, 43.4]; all judged.",
        "Cliff: 3.55 times the rate (0.55 decades), at 1.07 [0.95, 1.2].",
        "Next: torch.optim.SGD(model.parameters(), lr=0.3)",
    )


def test_the_answer_of_a_rate_that_only_looks_stable_promises_nothing() -> None:
    lines = answer_lines(made_reports.unconfirmed())
    assert lines[0] == "Best learning rate that looks stable, not confirmed: 0.3 with gd"
    assert lines[1].startswith("Promise: none, for no fresh start confirmed it; 0 of 64 starts")
    assert lines[4] == (
        "Next: set stability.confirm = 64; until then torch.optim.SGD(model.parameters(), lr=0.3)"
    )


def test_the_answer_where_no_rate_is_stable_says_how_near_one_came() -> None:
    assert answer_lines(made_reports.no_stable()) == (
        "No stable learning rate was found",
        "Promise: none; the least unstable so far is gd at 0.003, where 64 of 64 starts were.",
        "Trapped: there 0 of 64 in a local minimum, 0.0 % [0.0, 15.0]; 4 not judged.",
        "Cliff: gd is unstable already at 0.003.",
        "Next: lower learning_rate.low to 3e-05.",
    )


def test_who_cannot_be_judged_is_said_to_be_still_descending() -> None:
    """Never as 0 % [0, 100]."""
    made = made_reports.report()
    assert made.best_stable is not None
    nobody = wilson(0, 64, undecided=64)
    joint = {"descending/undetermined": 52, "settled/undetermined": 12}
    fresh = replace(made.confirmations[0], joint=joint, trapped=nobody)
    found = replace(
        made,
        confirmations=(fresh, *made.confirmations[1:]),
        best_stable=replace(made.best_stable, trapped=nobody, trapped_at={}),
    )
    assert answer_lines(found)[2] == "Trapped: not judged (64 of 64, 52 still descending)."


def test_the_line_to_paste_names_what_else_the_job_trained_with() -> None:
    made = made_reports.report(
        problem={
            **made_reports.report().problem,
            "loss": "cross-entropy",
            "trained_with": ["gradients clipped to the norm 1", "the schedule warmup"],
        }
    )
    assert answer_lines(made)[4] == (
        "Next: torch.optim.SGD(model.parameters(), lr=0.3) with gradients clipped to the norm 1 "
        "and the schedule warmup"
    )


@pytest.mark.parametrize(
    ("make", "short"),
    [
        (made_reports.report, "gd 0.3, confirmed"),
        (made_reports.unconfirmed, "gd 0.3, looks stable"),
        (made_reports.no_stable, "no stable rate"),
        (lambda: made_reports.report(best_stable=None, unfinished="9 of 9"), "unfinished"),
    ],
)
def test_the_answer_in_a_list(make: Make, short: str) -> None:
    assert short_answer(make()) == short


@pytest.mark.parametrize(
    "make",
    [getattr(made_reports, name) for name in made_reports.__all__ if name not in ("bowl", "row")],
)
def test_the_answer_has_five_lines_of_plain_text(make: Make) -> None:
    lines = answer_lines(make())
    assert len(lines) == 5
    assert all(line.isprintable() for line in lines)
    starts = ["Promise", "Trapped", "Cliff", "Next"]
    assert [line.partition(":")[0] for line in lines[1:]] == starts
