"""Whole small jobs in this process: known answers, one answer, every number worked out again."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.support.inline_jobs import RUN, Interrupted, carry_on, facts, new_store, run
from trainers import Problem, ProblemFailed
from trainers.problem import FloatArray
from trainers.problems.landscapes import DoubleWell
from tuning.analysis.build import build_report
from tuning.report.model import Report, SettingRow, Status
from tuning.search.records import results_of
from tuning.spec.job import JobSpec, read_spec
from tuning.study import StudyStore
from tuning.trial.result import SettingResult, of_role
from tuning.trial.setting import Role

WELLS: dict[str, Any] = {
    "problem": {"name": "double-well"},
    "search": {
        "optimizers": ["gd", "momentum"],
        "learning_rate": {"low": 1e-3, "high": 1.0},
        "try_first": [0.01, 0.1, 0.8],
        "sampler": "tpe",
        "settings": 8,
        "in_flight": 3,
    },
    "training": {"restarts": 64, "steps": 400},
}


@pytest.fixture(scope="module")
def wells(tmp_path_factory: pytest.TempPathFactory) -> tuple[JobSpec, list[SettingResult], Report]:
    return run(tmp_path_factory.mktemp("wells"), **WELLS)


# ----------------------------------------------------------------------------------- known answers


class Nowhere(DoubleWell):
    """Without a finite loss anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.known_minimum = 0.0

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.full(len(w), np.nan), w


def test_a_loss_that_is_finite_nowhere_has_a_report(tmp_path: Path) -> None:
    spec = read_spec(WELLS | {"training": {"restarts": 8, "steps": 20}})
    results, _ = carry_on(spec, new_store(tmp_path), problem=Nowhere())
    report = build_report(spec, facts(spec), results, RUN)
    assert report.best_stable is None
    assert [row.diverged.count for row in report.settings] == [8] * 8
    assert report.sensitivity == {}
    assert json.loads(report.to_json())["start_loss"] is None


def test_the_cliff_of_a_bowl_is_two_over_the_curvature(tmp_path: Path) -> None:
    """J = c/2 w^2: gradient descent is stable below 2/c (Goh 2017), whatever the start."""
    curvature = 5.0
    _, _, report = run(
        tmp_path,
        problem={"name": "single-weight", "curvature": curvature},
        search={"sampler": "tpe", "settings": 14, "learning_rate": {"low": 1e-3, "high": 10.0}},
        training={"restarts": 64, "steps": 300},
    )
    limit, cliff = 2.0 / curvature, report.cliffs["gd"]
    assert cliff.low is not None
    assert cliff.high is not None
    assert cliff.low <= limit <= cliff.high
    assert cliff.lowest_failing is not None
    assert cliff.lowest_failing >= limit
    best = report.best_stable
    assert best is not None
    assert best.learning_rate < limit
    assert best.learning_rate * best.margin <= limit
    assert cliff.estimate is not None
    assert best.decades_to_cliff == pytest.approx(math.log10(cliff.estimate / best.learning_rate))
    for row in report.settings:
        assert row.unstable.count == (64 if row.learning_rate > limit else 0)
    ((minimum,), unseen) = report.minima, report.unseen
    assert minimum.largest_curvature == pytest.approx(curvature, rel=1e-6)
    assert minimum.gd_limit == pytest.approx(limit, rel=1e-6)
    assert unseen is not None
    assert unseen.distinct == 1


def test_small_rates_stay_in_the_well_they_start_in(tmp_path: Path) -> None:
    """J'' <= 44 on [-2, 2]: below 1/44 gradient descent is monotone there, and trapped is exactly
    who starts right of the barrier. Starts are uniform, so their number is binomial."""
    _, _, report = run(
        tmp_path,
        problem={"name": "double-well", "tilt": 0.3},
        search={"sampler": "tpe", "settings": 2, "try_first": [0.01, 0.02]},
        training={"restarts": 200, "steps": 500},
    )
    barrier = DoubleWell(tilt=0.3).barrier
    share = (2.0 - barrier) / 4.0
    low, high = stats.binom.interval(0.999, 200, share)
    for row in report.settings:
        assert low <= row.trapped.count <= high
        assert row.trapped.low <= share <= row.trapped.high
        assert row.trapped.count + row.global_minimum.count == 200
    # Common starts: the very same restarts are trapped under both.
    assert report.settings[0].trapped == report.settings[1].trapped
    assert [m.is_global for m in report.minima] == [True, False]


# -------------------------------------------------------------------------------------- one answer


def test_the_answer_is_the_same_twice_and_after_a_crash_at_every_tell(
    tmp_path: Path, wells: tuple[JobSpec, list[SettingResult], Report]
) -> None:
    spec, results, report = wells
    wanted = report.to_json()
    assert build_report(spec, facts(spec), results, RUN).to_json() == wanted
    assert len(results) > spec.search.settings  # so that confirmations are interrupted, too
    for told in range(1, len(results) + 1):
        store = new_store(tmp_path, f"job-{told}")
        with pytest.raises(Interrupted):
            carry_on(spec, store, stop_at=told)
        assert len(results_of(store)) == told
        reopened = StudyStore.open(f"journal:///{tmp_path}/job-{told}.log", f"job-{told}")
        again, _ = carry_on(spec, reopened)
        assert build_report(spec, facts(spec), again, RUN).to_json() == wanted


def test_the_study_alone_gives_the_report(
    tmp_path: Path, wells: tuple[JobSpec, list[SettingResult], Report]
) -> None:
    spec, _, report = wells
    store = new_store(tmp_path)
    results, seen = carry_on(spec, store)
    assert build_report(spec, facts(spec), results_of(store), RUN).to_json() == report.to_json()
    frame = store.optuna_study.trials_dataframe()
    assert frame["value"].tolist() == [r.value for r in results]
    last = seen[-1]
    assert last.finished
    assert (last.running, last.lost) == (0, 0)
    assert last.restarts_done == sum(len(r.restarts) for r in results)
    assert all(p.running > 0 for p in seen[:-1])


class Breaks(Problem):
    """Raises where w is large."""

    known_minimum = 0.0
    parameters = 1

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-1.0, 1.0, 1)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        if np.abs(w).max() > 1e3:
            raise ZeroDivisionError("w is too large")
        return (w * w)[:, 0], 2.0 * w


def test_a_problem_that_raises_fails_the_job_with_its_traceback(tmp_path: Path) -> None:
    search = {"sampler": "tpe", "settings": 3, "try_first": [0.1, 3.0, 0.2], "in_flight": 1}
    spec = read_spec(
        {"problem": {"name": "mine:Breaks"}, "search": search, "training": {"steps": 99}}
    )
    store = new_store(tmp_path)
    with pytest.raises(ProblemFailed, match=r"setting 1 \(learning rate 3\)(.|\n)*w is too large"):
        carry_on(spec, store, problem=Breaks())
    assert [r.setting.learning_rate for r in results_of(store)] == [0.1]


# ------------------------------------------------------------------------------------ every number


def test_every_number_of_a_row_again(
    wells: tuple[JobSpec, list[SettingResult], Report],
) -> None:
    """Restart by restart, from the definitions."""
    spec, results, report = wells
    rows = report.rows
    assert len(rows) == len(results)
    assert {row.loss is None for row in rows} == {True, False}  # all kinds of settings
    best = DoubleWell().known_minimum
    assert best is not None
    for row, result in zip(rows, results, strict=True):
        table, total = result.restarts, len(result.restarts)
        assert (row.number, row.restarts) == (result.setting.number, total)
        assert row.optimizer == ("gd", "momentum")[result.setting.optimizer]
        assert row.learning_rate == result.setting.learning_rate
        doing = Counter(table.dynamics.tolist())
        assert {k: v for k, v in row.dynamics.items() if v} == doing
        gone = doing["diverged"]
        near = table.basin_loss <= best + report.tolerance
        strict = table.point == "minimum"
        assert row.basins["global-minimum"] == int(near.sum())
        assert row.basins["local-minimum"] == int((strict & ~near).sum())
        assert sum(row.dynamics.values()) == total
        assert sum(row.basins.values()) == total - gone
        assert sum(row.joint.values()) == total
        for name, count in row.basins.items():
            assert count == sum(v for k, v in row.joint.items() if k.endswith(f"/{name}"))
        for name, count in row.dynamics.items():
            assert count == sum(v for k, v in row.joint.items() if k.startswith(f"{name}/"))
        unstable = gone + doing["oscillating"]
        wanted = (unstable, gone, row.basins["local-minimum"], row.basins["global-minimum"])
        rates = (row.unstable, row.diverged, row.trapped, row.global_minimum)
        assert tuple(r.count for r in rates) == wanted
        assert {r.total for r in rates} == {total}
        # The one-sided bound p has P(X <= unstable | p) = 5 %; that of the sequential test is
        # wider, and has its own tests.
        if unstable < total and row.role != "confirmation":
            tail = stats.binom.cdf(unstable, total, row.unstable_upper)
            assert tail == pytest.approx(1 - spec.stability.confidence, rel=1e-9)
        if row.role == "search" and row.status is not Status.UNDECIDED:
            holds = row.unstable_upper <= spec.stability.max_unstable
            assert row.status.stable == holds
        ends = sorted(
            math.inf if kind == "diverged" else loss
            for kind, loss in zip(table.dynamics.tolist(), table.loss.tolist(), strict=True)
        )
        middle, least = ends[math.ceil(total / 2) - 1], ends[0]
        assert row.loss == (middle if middle < math.inf else None)
        assert row.best_loss == (least if least < math.inf else None)
        assert row.validation_loss is None
        spent, reached = 0.0, 0
        for i in range(total):
            hit = result.curves.lowest[:, i] <= np.float32(report.target.loss)
            if hit.any():
                reached += 1
                spent += float(result.curves.steps[hit][0])
            else:
                left = int(table.diverged_at[i])
                spent += left if left >= 0 else spec.training.steps
        assert row.reached == reached
        assert row.cost == (pytest.approx(spent / reached) if reached else None)


def test_the_rest_of_the_report_again(
    wells: tuple[JobSpec, list[SettingResult], Report],
) -> None:
    _, results, report = wells
    best = report.best_stable
    assert best is not None
    chosen = report.settings[best.number]
    assert (best.learning_rate, best.optimizer) == (chosen.learning_rate, chosen.optimizer)
    at, above = report.confirmations[-2:]
    assert (at.learning_rate, above.learning_rate) == (best.learning_rate, 2 * best.learning_rate)
    assert (best.unstable, best.trapped) == (at.unstable, at.trapped)
    assert best.unstable_at_margin == above.unstable
    assert best.cost == at.cost

    def excused(row: SettingRow) -> bool:
        """Known to fail within its margin, or no lower than one that was refused."""
        failing = [
            r for r in report.settings if stats.binom.sf(r.unstable.count - 1, 64, 0.05) < 0.05
        ]
        return any(
            row.optimizer == f.optimizer and 1 <= f.learning_rate / row.learning_rate <= 2
            for f in failing
        ) or any(
            row.optimizer == c.optimizer and row.learning_rate >= c.learning_rate
            for c in report.confirmations[:-2:2]
        )

    assert chosen.cost is not None
    for row in report.settings:
        assert not row.status.stable or excused(row) or (row.cost or math.inf) >= chosen.cost
    assert sum(m.count for m in report.minima) == sum(
        int((r.restarts.point == "minimum").sum()) for r in results
    )
    for name, sensitivity in report.sensitivity.items():
        mine = sorted(
            (r.setting.learning_rate, min(r.value, report.start_loss))
            for r in of_role(results, Role.SEARCH)
            if ("gd", "momentum")[r.setting.optimizer] == name
        )
        rate, loss = np.array(mine).T
        excess = np.trapezoid(loss - (report.best_loss or 0.0), np.log(rate))
        assert sensitivity == pytest.approx(excess / np.log(rate[-1] / rate[0]), rel=1e-9)
    assert set(report.comparisons) == {"gd", "momentum"} - {best.optimizer}


def test_the_dataframe(wells: tuple[JobSpec, list[SettingResult], Report]) -> None:
    _, _, report = wells
    rows = report.rows
    frame = report.to_dataframe()
    assert frame["number"].tolist() == list(range(len(rows)))
    assert frame["unstable"].tolist() == [r.unstable.estimate for r in rows]
    assert frame["trapped.high"].tolist() == [r.trapped.high for r in rows]
    assert frame["dynamics.diverged"].tolist() == [r.dynamics["diverged"] for r in rows]
    assert frame["basins.local-minimum"].tolist() == [r.basins["local-minimum"] for r in rows]
    assert set(frame["role"]) == {"search", "confirmation", "comparison"}
    assert frame["status"].tolist() == [r.status for r in rows]


def test_the_json_has_everything_but_curves_and_pictures(
    wells: tuple[JobSpec, list[SettingResult], Report],
) -> None:
    spec, _, report = wells
    tree = json.loads(report.to_json())
    assert tree["job"] == spec.answer_key
    assert "curves" not in tree
    assert "landscape" not in tree
    assert [r["learning_rate"] for r in tree["settings"]] == [
        r.learning_rate for r in report.settings
    ]
    assert tree["settings"][0]["unstable"]["estimate"] == report.settings[0].unstable.estimate
    assert tree["minima"][0]["found_by"] == {
        str(number): count for number, count in report.minima[0].found_by.items()
    }
