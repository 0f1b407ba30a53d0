"""Labels kept from one result to the next are those made anew, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_results import DIVERGED as GONE
from tests.support.made_results import GOOD, TRAPPED, restarts, result, same, setting
from trainers import Thresholds
from tuning.analysis import running_labels
from tuning.analysis.basin_labels import Labels, relabelled
from tuning.analysis.running_labels import RunningLabels
from tuning.trial.result import SettingResult
from tuning.trial.setting import Role

RESTARTS = 5


def random_results(seed: int, count: int) -> list[SettingResult]:
    """Of which some diverge, some find a lower minimum, and the last are on other starts, of which
    one is met twice."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        bottoms = rng.choice([0.5, 0.3, rng.exponential(), np.nan], RESTARTS)
        gone = np.isnan(bottoms) & (rng.random(RESTARTS) < 0.5)
        rows = [
            GONE if away else replace(GOOD, basin_loss=loss, loss=loss, point="undetermined")
            for loss, away in zip(bottoms, gone, strict=True)
        ]
        table = replace(
            restarts(rows),
            start_loss=np.where(rng.random(RESTARTS) < 0.1, np.nan, 1.0 + rng.random(RESTARTS)),
            lower_bound=bottoms - rng.choice([0.0, 1e-4, 1e-2, np.inf], RESTARTS),
            tail_gap=rng.choice([0.0, 0.01, 0.2, np.nan], RESTARTS),
            tail_loss=rng.random(RESTARTS),
            still=rng.random(RESTARTS) < 0.5,
            held=rng.random(RESTARTS) < 0.5,
        )
        told = number < count - 4
        first = 0 if told else (RESTARTS, RESTARTS - 1)[number % 2]
        role = Role.SEARCH if told else Role.CONFIRMATION
        tried = setting(number, 0.1, role=role, first=first, restarts=RESTARTS)
        made.append(replace(result(number, 0.1, rows), setting=tried, restarts=table))
    return made


def check_same(labels: Labels, anew: Labels) -> None:
    for name in ("best", "known", "credibility", "start_loss", "descent", "tolerance", "limits"):
        assert str(getattr(labels, name)) == str(getattr(anew, name)), name
    assert all(same(a, b) for a, b in zip(labels.results, anew.results, strict=True))
    for a, b in zip(labels.basins, anew.basins, strict=True):
        assert a.tolist() == b.tolist()


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("known", [None, 0.3, -1.0])
@pytest.mark.parametrize("seed", range(5))
def test_every_prefix_has_the_labels_that_it_has_alone(
    seed: int, known: float | None, step: int
) -> None:
    results = random_results(seed, 16)
    limits = Thresholds()
    running = RunningLabels(known, limits)
    for end in range(1, len(results) + 1, step):
        check_same(running.of(results[:end]), Labels.of(results[:end], known, limits))


def test_other_results_are_labelled_from_the_start() -> None:
    one, other = random_results(1, 8), random_results(2, 8)
    limits = Thresholds()
    running = RunningLabels(None, limits)
    for results in (one, one[:3], other, [*other[:3], *one[3:]]):
        check_same(running.of(results), Labels.of(results, None, limits))


def test_while_the_scale_stays_only_what_is_new_is_labelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    original = relabelled

    def counted(told: SettingResult, *scale: object) -> SettingResult:
        calls.append(told.setting.number)
        return original(told, *scale)  # type: ignore[arg-type]

    monkeypatch.setattr(running_labels, "relabelled", counted)
    results = [result(number, 0.1, [GOOD, TRAPPED]) for number in range(20)]
    results.append(result(20, 0.1, [replace(GOOD, basin_loss=-1.0), GOOD]))
    running = RunningLabels(None, Thresholds())
    for end in range(1, 21):
        running.of(results[:end])
    assert calls == list(range(20))
    running.of(results)  # J* is lower
    assert calls == [*range(20), *range(21)]
