"""Whom a search for the cliff nominates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.inline_jobs import RUN
from tests.support.thresholds import Starts, carry_out
from tuning.analysis.build import build_report
from tuning.analysis.cliff_goal import nominee
from tuning.search.plan import is_searching
from tuning.spec.job import JobSpec, read_spec
from tuning.spec.search_space import LEARNING_RATE
from tuning.trial.result import SettingResult
from tuning.trial.setting import Block, Role

PROBLEM = {"known_minimum": 0.0, "parameters": 2, "name": "made"}


@pytest.fixture(scope="module")
def spec() -> JobSpec:
    return read_spec(
        {
            "problem": {"name": "single-weight"},
            "search": {"sampler": "cliff", "learning_rate": {"low": 1e-3, "high": 10.0}},
            "stability": {"margin": 1.0},
        }
    )


@pytest.fixture(scope="module")
def results(spec: JobSpec) -> list[SettingResult]:
    return carry_out(spec, Starts("logistic", 1))


def test_a_refused_rate_gives_way_to_the_cheapest_below_it(
    spec: JobSpec, results: list[SettingResult]
) -> None:
    """Costs fall with the rate here, so the highest of those that are safe is the cheapest."""
    search = [r for r in results if r.setting.role.is_search]
    tried = {r.setting.learning_rate for r in search if r.setting.role is Role.SEARCH}
    below, nominated = math.inf, []
    while (rate := nominee(search, 0.001, spec, below)) is not None:
        nominated.append(rate)
        below = rate
    assert nominated == sorted((r for r in tried if r <= nominated[0]), reverse=True)
    assert len(nominated) > 3


def test_so_does_a_job(spec: JobSpec) -> None:
    """Fresh starts fall at a quarter of the rate that the search was told."""

    class Worse(Starts):
        def fall(self, block: Block) -> NDArray[np.bool_]:
            rates = np.where(np.array(block.starts) < self.searched, 1.0, 4.0)
            fell = [
                super(Worse, self).fall(
                    replace(
                        block,
                        hyperparameters={LEARNING_RATE: factor * block.learning_rate},
                        starts=(start, start + 1),
                    )
                )[0]
                for start, factor in zip(block.starts, rates, strict=True)
            ]
            return np.array(fell)

    starts = Worse("narrow", 1)
    starts.searched = 10**6
    searched = [r for r in carry_out(spec, starts) if r.setting.role.is_search]
    starts.searched = 1 + max(max(r.setting.starts) for r in searched)
    results = carry_out(spec, starts)
    rates = [r.setting.learning_rate for r in results if r.setting.role is Role.CONFIRMATION]
    assert len(set(rates)) == 2
    assert rates == sorted(rates, reverse=True)
    report = build_report(spec, PROBLEM, results, RUN)
    assert report.best_stable is not None
    assert report.best_stable.learning_rate <= min(rates)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_of_a_search_that_goes_on_there_is_no_best_and_no_end(
    spec: JobSpec, results: list[SettingResult], part: float
) -> None:
    search = [r for r in results if r.setting.role.is_search]
    some = search[: round(part * len(search))]
    assert is_searching(spec, 0.0, some)
    report = build_report(spec, PROBLEM, some, RUN, searching=True)
    assert report.best_stable is None
    assert report.stopped == {}
    assert report.explanation == (
        "Not finished: the search for the cliff goes on, and no winner is confirmed."
    )
    assert not is_searching(spec, 0.0, search)
    assert not is_searching(spec, 0.0, results)
    done = build_report(spec, PROBLEM, results, RUN)
    assert done.stopped == {"gd": "the budget is spent"}
