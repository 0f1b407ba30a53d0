"""How far each setting came: a case for each status."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.made_results import DIVERGED, GOOD, Row, answer, job, result, slow
from tuning.analysis.build import build_report, next_confirmations
from tuning.analysis.status import status_alone
from tuning.report.labels import MARKS, STATUS_COLOURS
from tuning.report.model import Report, RunFacts, Status
from tuning.runner.mlflow_projection import setting_run
from tuning.spec.job import JobSpec
from tuning.trial.result import SettingResult

RUN = RunFacts("job-1", "today", 1.0, 1.0, 1.0, 1, {})
KNOWN = {"name": "made by hand", "parameters": 1, "known_minimum": 0.0}


def report(search: Sequence[SettingResult], spec: JobSpec, fresh: dict[float, Row]) -> Report:
    results = list(search)
    while more := next_confirmations(spec, 0.0, results):
        results += [answer(s, [fresh.get(s.learning_rate, GOOD)]) for s in more]
    return build_report(spec, KNOWN, results, RUN)


def unstable(number: int, rate: float, count: int, row: Row = GOOD, of: int = 64) -> SettingResult:
    return result(number, rate, [DIVERGED] * count + [row] * (of - count))


@pytest.mark.parametrize(
    ("count", "of", "status"),
    [
        # At 5 % and 95 %: 0 of 64 has an upper bound of 4.6 %, 1 one of 7.2 %; 6 of 64 have a lower
        # bound of 4.2 %, 7 one of 5.2 %.
        (0, 64, Status.LOOKS_STABLE),
        (1, 64, Status.UNDECIDED),
        (6, 64, Status.UNDECIDED),
        (7, 64, Status.UNSTABLE),
        # 8 restarts can show no 5 %: none unstable is as good as it gets. 2 have a bound of 4.6 %.
        (0, 8, Status.LOOKS_STABLE),
        (1, 8, Status.UNDECIDED),
        (2, 8, Status.UNDECIDED),
        (3, 8, Status.UNSTABLE),
    ],
)
def test_by_its_own_restarts(count: int, of: int, status: Status) -> None:
    spec = job(1, training={"restarts": of})
    tried = unstable(0, 0.1, count, of=of)
    assert status_alone(tried, spec) is status
    run = setting_run("j", tried, np.array([None] * of), status, spec)
    assert run.tags["status"] == status.value
    assert {"outcome", "role", "setting", "optimizer", "diverged_starts"} < run.tags.keys()


def test_the_winner_is_recommended_and_its_trials_are_confirmed() -> None:
    search = [
        unstable(0, 0.1, 0, slow(10)),
        unstable(1, 0.01, 0, slow(1000)),
        unstable(2, 0.1, 0, slow(10)),  # the same setting again
        unstable(3, 1.0, 64),
    ]
    found = report(search, job(4), {})
    assert [row.status for row in found.settings] == [
        Status.RECOMMENDED,
        Status.LOOKS_STABLE,
        Status.CONFIRMED,
        Status.UNSTABLE,
    ]
    assert [row.status for row in found.confirmations] == [Status.CONFIRMED] * 2
    assert found.to_dict()["settings"][0]["status"] == "recommended"


def test_who_failed_on_fresh_starts_looks_stable_no_more() -> None:
    """0.4 fails at its own rate: unstable. 0.5, which is no safer, is undecided. 0.1 wins."""
    search = [
        unstable(0, 0.4, 0, slow(10)),
        unstable(1, 0.5, 0, slow(100)),
        unstable(2, 0.1, 0, slow(1000)),
    ]
    found = report(search, job(3), {0.4: DIVERGED})
    assert [row.status for row in found.settings] == [
        Status.UNSTABLE,
        Status.UNDECIDED,
        Status.RECOMMENDED,
    ]
    assert [row.status for row in found.confirmations] == [
        Status.UNSTABLE,
        Status.LOOKS_STABLE,  # 0.8 held, but no setting was confirmed by it
        Status.CONFIRMED,
        Status.CONFIRMED,
    ]


def test_who_failed_at_the_margin_alone_is_undecided() -> None:
    search = [unstable(0, 0.4, 0, slow(10)), unstable(1, 0.1, 0, slow(1000))]
    found = report(search, job(2), {0.8: DIVERGED})
    assert [row.status for row in found.settings] == [Status.UNDECIDED, Status.RECOMMENDED]


def test_what_its_test_refused_looks_stable_no_more() -> None:
    """17 of 512 by themselves are bounded by 5 % (4.97); the looks on the way cost that much."""
    results = [unstable(0, 0.1, 0, slow(10))]
    spec = job(1, stability={"margin": 1})
    while more := next_confirmations(spec, 0.0, results):
        # 4 of 128, and 5 of the last 128.
        every = 30 if more[0].starts[0] == 448 else 32
        results += [answer(s, [DIVERGED, *[GOOD] * (every - 1)]) for s in more]
    found = build_report(spec, KNOWN, results, RUN)
    (row,) = found.confirmations
    assert (row.unstable.count, row.restarts) == (17, 512)
    assert row.status is Status.UNDECIDED
    assert row.unstable_upper > 0.05
    assert found.settings[0].status is Status.UNDECIDED
    assert found.best_stable is None


def test_what_was_not_confirmed_is_best_and_looks_stable() -> None:
    spec = job(2, stability={"confirm": 60})
    found = report([unstable(0, 0.1, 0), unstable(1, 0.01, 0, slow(100))], spec, {})
    best = found.best_stable
    assert best is not None
    assert (best.number, best.status, best.fresh_starts) == (0, Status.LOOKS_STABLE, 0)
    assert best.unstable_upper == pytest.approx(1 - 0.05 ** (1 / 64))
    assert (best.look, best.looks, best.unstable_at_margin) == (None, None, None)
    assert [row.status for row in found.settings] == [Status.LOOKS_STABLE] * 2
    assert (found.confirmations, found.rivals, found.comparisons) == ((), (), {})


def test_what_was_bought_is_told() -> None:
    found = report([unstable(0, 0.1, 0)], job(1), {})
    best = found.best_stable
    assert best is not None
    assert (best.status, best.fresh_starts, best.look, best.looks) == (Status.CONFIRMED, 128, 1, 4)
    assert best.unstable_upper == pytest.approx(1 - 0.04 ** (1 / 128), rel=1e-9)
    assert [row.unstable_upper for row in found.confirmations] == [best.unstable_upper] * 2


def test_a_setting_s_looks_are_one_row() -> None:
    """2 of 128 and 4 of 256 at twice the rate."""
    results = [unstable(0, 0.1, 0)]
    while more := next_confirmations(job(1), 0.0, results):
        results += [
            answer(s, [DIVERGED, *[GOOD] * 63] if s.learning_rate == 0.2 else [GOOD]) for s in more
        ]
    assert [r.setting.number for r in results] == [0, 1, 2, 3]
    found = build_report(job(1), KNOWN, results, RUN)
    assert [(r.number, r.learning_rate, r.restarts) for r in found.confirmations] == [
        (1, 0.1, 128),
        (2, 0.2, 256),
    ]
    best = found.best_stable
    assert best is not None
    assert best.unstable_at_margin == found.confirmations[1].unstable
    assert (best.fresh_starts, best.look) == (256, 2)
    assert list(found.curves) == [0, 1, 2]


def test_each_has_its_mark_and_colour() -> None:
    for table in (MARKS, STATUS_COLOURS):
        assert list(table) == list(Status)
        assert len(set(table.values())) == len(Status)
