"""Ranks that cover a quantile, by exact sums; ranks that pass a test, by integrals and luck."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from trainers.errors import InvalidInput
from tuning.statistics.order_statistics import candidate_rank, quantile_ranks
from tuning.statistics.sequential import Outcome, SequentialTest, sequential_test

TEST = sequential_test(512, 0.05, 0.04)


def covered(n: int, p: float, low: int, high: int) -> float:
    """P(t_(low) <= quantile < t_(high)): `low` to high - 1 of n values are below the quantile."""
    return float(stats.binom.pmf(np.arange(low, high), n, p).sum())


@pytest.mark.parametrize(("n", "ranks"), [(10, (2, 9)), (20, (6, 15)), (25, (8, 18))])
def test_of_the_median_they_are_the_published_ones(n: int, ranks: tuple[int, int]) -> None:
    """As in any table of the sign test's intervals at 95 %, such as Conover's (1999)."""
    assert quantile_ranks(n, 0.5, 0.05) == ranks


@pytest.mark.parametrize("p", [0.01, 0.05, 0.5, 0.9])
@pytest.mark.parametrize("error", [0.01, 0.05, 0.2])
def test_they_cover_the_quantile(p: float, error: float) -> None:
    """Of every number of values; and neither end could be moved inwards within its error."""
    for n in (*range(1, 130), 500, 1000, 5000):
        low, high = quantile_ranks(n, p, error)
        assert 0 <= low <= high <= n + 1
        assert covered(n, p, low, high) >= 1 - error - 1e-12  # sums of a thousand terms
        above = stats.binom.cdf(low - 1, n, p) if low else error / 2
        assert above + stats.binom.sf(high - 2, n, p) > error  # u - 1 would not do
        assert stats.binom.cdf(low, n, p) > error / 2  # nor l + 1


def test_the_lowest_value_counts_as_soon_as_it_can() -> None:
    """0.95^n comes under nine tenths of 5 % at 61, where half of 5 % would take 72 values."""
    assert [quantile_ranks(n, 0.05, 0.05)[0] for n in (60, 61, 71)] == [0, 1, 1]


def predictive(n: int, k: int, test: SequentialTest) -> float:
    """By adaptive quadrature over the posterior's quantiles."""
    posterior = stats.beta(k + 0.5, n - k + 0.5)
    value, _ = integrate.quad(
        lambda q: test.pass_probability([posterior.ppf(q)])[0], 0, 1, epsabs=1e-7, limit=200
    )
    return float(value)


@pytest.mark.parametrize("n", [7, 64, 160, 700])
@pytest.mark.parametrize("chance", [0.5, 0.9])
def test_the_rank_is_the_last_that_is_likely_to_pass(n: int, chance: float) -> None:
    k = candidate_rank(n, TEST, chance)
    assert k == -1 or predictive(n, k, TEST) >= chance
    assert predictive(n, k + 1, TEST) < chance


@pytest.mark.parametrize(("n", "k"), [(10, -1), (60, 0), (160, 2), (1000, 21), (5000, 116)])
def test_it_is_that_of_the_design_s_simulation(n: int, k: int) -> None:
    """The same by simulation, which has 400 quantiles and interpolates."""
    assert candidate_rank(n, TEST, 0.9) == k


def test_it_passes_as_often_as_predicted() -> None:
    """The whole chain by luck: a rate from the posterior, 512 trials at it, the test's decision.
    40,000 times, within 4 standard errors; the chances on either side of 0.9 are 6 of them off."""
    n, rng, times = 160, np.random.default_rng(5), 40_000
    k = candidate_rank(n, TEST, 0.9)
    groups = np.diff((0, *TEST.looks))
    for failures, likely in ((k, True), (k + 1, False)):
        p = rng.beta(failures + 0.5, n - failures + 0.5, times)
        made = np.cumsum(rng.binomial(groups, p[:, None]), axis=1).tolist()
        passed = sum(TEST.decide(m).outcome is Outcome.ACCEPTED for m in made) / times
        assert passed == pytest.approx(predictive(n, failures, TEST), abs=4 * 0.5 / times**0.5)
        assert (passed > 0.9) == likely


def test_nothing_is_likely_to_pass_what_never_accepts() -> None:
    assert candidate_rank(1000, sequential_test(60, 0.05, 0.04), 0.5) == -1


def test_impossible_arguments_are_refused() -> None:
    for n, p, error in ((0, 0.5, 0.1), (5, 0.0, 0.1), (5, 0.5, 1.0)):
        with pytest.raises(InvalidInput):
            quantile_ranks(n, p, error)
    for n, chance in ((0, 0.5), (5, 0.0), (5, 1.0)):
        with pytest.raises(InvalidInput):
            candidate_rank(n, TEST, chance)
