"""Like with like: which rivals are asked for, on which starts, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from scipy import stats

from tests.support.made_results import (
    DIVERGED,
    GOOD,
    TRAPPED,
    Row,
    answer,
    job,
    result,
    setting,
    slow,
)
from tuning.analysis.build import build_report, next_confirmations
from tuning.report.model import Report, RunFacts, Status
from tuning.runner.mlflow_projection import report_run
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role, Setting

RUN = RunFacts("job-1", "today", 1.0, 1.0, 1.0, 1, {})
KNOWN = {"name": "made by hand", "parameters": 1, "known_minimum": 0.0}
Truth = Callable[[Setting], Sequence[Row]]


def finished(
    search: Sequence[SettingResult], spec: JobSpec, truth: Truth, most: int | None = None
) -> tuple[list[SettingResult], Report]:
    """The results of the whole job, or of `most` settings beside the search; and its report."""
    results = list(search)
    while more := next_confirmations(spec, 0.0, results):
        for wanted in more:
            if most is not None and len(results) == len(search) + most:
                return results, build_report(spec, KNOWN, results, RUN)
            results.append(answer(wanted, truth(wanted)))
    return results, build_report(spec, KNOWN, results, RUN)


def tried(number: int, optimizer: int, rate: float, *rows: Row, count: int = 64) -> SettingResult:
    return result(number, rate, (list(rows) * count)[:count], optimizer=optimizer)


THREE = job(7, search={"optimizers": ["gd", "adam", "rmsprop"]})
SEARCH = [
    tried(0, 0, 0.1, slow(10)),
    tried(1, 1, 0.01, slow(1000)),
    tried(2, 2, 0.1, DIVERGED),
    tried(3, 0, 0.01, slow(1000)),
    tried(4, 1, 0.02, slow(100)),
    tried(5, 2, 0.01, DIVERGED, GOOD),
    tried(6, 1, 0.08, DIVERGED, GOOD),
]
#: Adam reaches the target from every fourth start, gd from all but every eighth.
FRESH = {0: [TRAPPED, *[slow(10)] * 7], 1: [TRAPPED, TRAPPED, TRAPPED, slow(100)]}


def truth(setting: Setting) -> Sequence[Row]:
    return FRESH[setting.optimizer]


def test_each_other_optimizer_s_best_trains_the_winner_s_fresh_starts() -> None:
    results, report = finished(SEARCH, THREE, truth)
    assert [r.setting for r in results[7:]] == [
        setting(7, 0.1, role=Role.CONFIRMATION, first=64, restarts=128),
        setting(8, 0.2, role=Role.CONFIRMATION, first=64, restarts=128),
        # The cheapest of adam's rates that look stable; 0.08 is not one of them.
        setting(9, 0.02, optimizer=1, role=Role.COMPARISON, first=64, restarts=64),
    ]
    assert [row.number for row in report.rivals] == [9]
    assert report.rows == (*report.settings, *report.confirmations, *report.rivals)


def test_the_comparison_is_paired_start_by_start() -> None:
    """By hand: of 8 starts gd alone reaches the target from 1, 2, 4, 5, 6, neither from 0."""
    _, report = finished(SEARCH, THREE, truth)
    found = report.comparisons["adam"]
    assert (found.optimizer, found.learning_rate, found.number, found.starts) == (
        "adam",
        0.02,
        9,
        64,
    )
    assert (found.first_only, found.second_only) == (5 * 8, 0)
    assert found.p_value == pytest.approx(stats.binomtest(40, 40).pvalue)
    # Steps of all restarts over those that reached it: 7 of 8 in 10 steps, 2 of 8 in 100.
    assert found.first_cost == pytest.approx((7 * 10 + 1000) / 7)
    assert found.second_cost == pytest.approx((2 * 100 + 6 * 1000) / 2)
    assert found.explanation == (
        "adam at 0.02, the best of its rates that look stable. Of the same 64 fresh starts, "
        "reached the target under the recommended setting only: 40; under adam only: 0 (McNemar: "
        "p = 1.82e-12). Expected cost: 153 steps against 3,100 steps."
    )


def test_an_optimizer_without_a_stable_rate_is_said_to_have_none() -> None:
    _, report = finished(SEARCH, THREE, truth)
    assert list(report.comparisons) == ["adam", "rmsprop"]
    assert report.comparisons["rmsprop"].explanation == ("rmsprop: no stable rate to compare with.")


def test_the_words_are_the_same_everywhere() -> None:
    _, report = finished(SEARCH, THREE, truth)
    tree = json.loads(report.to_json())["comparisons"]
    note = report_run(report, {}, (0.0, 1.0)).note
    printed = " ".join(str(report).split())
    assert note is not None
    for name, found in report.comparisons.items():
        assert tree[name]["explanation"] == found.explanation
        assert found.explanation in note
        assert found.explanation in printed
    assert tree["adam"]["first_only"] == 40


def test_a_rate_that_fresh_starts_spoke_against_is_no_rival() -> None:
    """Adam at 0.02 is the cheapest, and fails; gd wins. What is left of adam is its lower rate."""
    cheap = [tried(4, 1, 0.02, replace(GOOD, start=0.0)) if r is SEARCH[4] else r for r in SEARCH]

    def fails(setting: Setting) -> Sequence[Row]:
        return [DIVERGED] if setting.learning_rate == 0.04 else [GOOD]

    results, report = finished(cheap, THREE, fails)
    assert report.best_stable is not None
    assert report.best_stable.optimizer == "gd"
    assert results[-1].setting.role is Role.COMPARISON
    assert (results[-1].setting.optimizer, results[-1].setting.learning_rate) == (1, 0.01)
    # The winner had more fresh starts; 64 of them are shared.
    assert len(results[-2].restarts) > 64
    assert report.comparisons["adam"].starts == 64
    assert report.settings[4].status is Status.UNDECIDED  # at its own rate nothing failed


def test_fewer_confirmations_than_64_are_all_shared() -> None:
    """30 % can be shown by 10 starts at 96 %."""
    spec = job(
        2,
        search={"optimizers": ["gd", "adam"]},
        training={"restarts": 4},
        stability={"max_unstable": 0.3, "confirm": 10},
    )
    search = [tried(0, 0, 0.1, slow(10), count=4), tried(1, 1, 0.1, slow(100), count=4)]
    results, report = finished(search, spec, lambda _: [GOOD])
    assert [len(r.restarts) for r in results[2:]] == [10, 10, 10]
    assert report.comparisons["adam"].starts == 10


@pytest.mark.parametrize("rows", [[GOOD], [DIVERGED], [replace(GOOD, loss=-3.0, basin_loss=-3.0)]])
def test_a_rival_s_restarts_change_nothing_of_the_verdict(rows: list[Row]) -> None:
    """Not even where it finds a better minimum, which moves the labels."""
    _, before = finished(SEARCH, THREE, truth, most=2)
    _, after = finished(SEARCH, THREE, lambda s: rows if s.role is Role.COMPARISON else truth(s))
    assert before.best_stable is not None
    assert after.best_stable is not None
    moved = {name: getattr(after.best_stable, name) for name in ("trapped", "trapped_at")}
    assert replace(before.best_stable, **moved) == after.best_stable
    assert (before.target, before.explanation) == (after.target, after.explanation)
    assert before.comparisons["adam"].explanation == (
        "adam at 0.02, the best of its rates that look stable: not compared yet."
    )


def test_asked_again_after_each_result_it_asks_for_the_rest() -> None:
    """A coordinator that was killed asks with the study's prefix, as often as need be."""
    results, report = finished(SEARCH, THREE, truth)
    for told in range(len(SEARCH), len(results) + 1):
        wanted = next_confirmations(THREE, 0.0, results[:told])
        assert wanted == [r.setting for r in results[told : told + len(wanted)]]
        assert bool(wanted) == (told < len(results))
        back = [SettingResult.from_json(json.loads(json.dumps(r.to_json()))) for r in results]
        assert next_confirmations(THREE, 0.0, back[:told]) == wanted
    assert build_report(THREE, KNOWN, back, RUN).to_json() == report.to_json()


def test_without_a_winner_nobody_is_compared() -> None:
    """gd at 0.1 and adam at 0.02 fail. The lower rates of both are left, untried."""
    results, report = finished(SEARCH, THREE, lambda _: [DIVERGED])
    assert report.best_stable is not None
    assert report.best_stable.status is Status.LOOKS_STABLE
    assert report.comparisons == {}
    assert {r.setting.role for r in results} == {Role.SEARCH, Role.CONFIRMATION}
