"""Shares of an error: what they add up to, what each can show, and who gets how much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trainers.errors import InvalidInput
from tuning.statistics.intervals import clopper_pearson_upper, restarts_needed
from tuning.statistics.spending import Share, spend


def size(share: Share, limit: float) -> float:
    """The chance to accept a rate at the limit, count by count."""
    accepted = [
        count
        for count in range(share.trials)
        if clopper_pearson_upper(count, share.trials, share.confidence) <= limit
    ]
    assert accepted == list(range(len(accepted)))
    return float(np.sum(stats.binom.pmf(accepted, share.trials, limit)))


@given(
    tests=st.integers(0, 20),
    limit=st.sampled_from([0.01, 0.05, 0.2, 0.5]),
    confidence=st.sampled_from([0.8, 0.95, 0.99]),
    at_least=st.sampled_from([1, 64, 300]),
)
@settings(deadline=None, max_examples=30)
def test_together_they_make_no_more_error_than_one_may(
    tests: int, limit: float, confidence: float, at_least: int
) -> None:
    shares = spend(tests, limit, confidence, at_least)
    assert len(shares) == tests
    assert all(share.trials >= at_least for share in shares)
    sizes = [size(share, limit) for share in shares]
    assert all(s > 0 for s in sizes)  # each can accept
    assert sum(sizes) <= (1 - confidence) * (1 + 1e-9)


def test_one_test_has_it_all() -> None:
    assert spend(1, 0.05, 0.95, 8) == [Share(0.95, restarts_needed(0.05, 0.95))]


def test_the_first_has_four_fifths_and_the_others_equal_parts_of_what_it_leaves() -> None:
    """0 of 64 happens at 5 % with probability 0.0375: 0.0125 of 0.05 are left for four others."""
    first, second, *rest = spend(5, 0.05, 0.95, 64)
    assert first.confidence == pytest.approx(0.96)
    assert first.trials == 64
    assert second.confidence == pytest.approx(1 - (0.05 - 0.95**64) / 4)
    # ln(0.0031) / ln(0.95) = 112.6; what whole counts leave over saves a later one a start.
    assert [second.trials, *(share.trials for share in rest)] == [113, 113, 113, 112]


def test_more_trials_than_are_needed_may_have_failures() -> None:
    """Of 100 one may fail: P(X <= 1 | 100, 0.05) = 0.037 is within 0.04."""
    (first, _) = spend(2, 0.05, 0.95, 100)
    assert size(first, 0.05) == pytest.approx(stats.binom.cdf(1, 100, 0.05))


def test_a_level_must_be_one() -> None:
    with pytest.raises(InvalidInput, match="max_rate is 0"):
        spend(2, 0.0, 0.95, 64)
