"""Intervals, bounds and tests against published figures, closed forms and full enumeration."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trainers.errors import InvalidInput
from tuning.statistics.intervals import (
    Rate,
    clopper_pearson_lower,
    clopper_pearson_upper,
    learning_rate_sensitivity,
    mcnemar,
    restarts_needed,
    unseen_mass,
    wilson,
)

# Newcombe (1998), Statistics in Medicine 17, table I: 95 % limits by method 3 (score) and
# method 5 (Clopper-Pearson), printed to four places.
NEWCOMBE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]
PRINTED = 5.1e-5  # half a unit of the fourth place

counted = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("count", "total", "score", "exact"), NEWCOMBE)
def test_intervals_match_published_examples(
    count: int, total: int, score: tuple[float, float], exact: tuple[float, float]
) -> None:
    rate = wilson(count, total)
    assert (rate.low, rate.high) == pytest.approx(score, abs=PRINTED)
    # Two-sided 95 % is one-sided 97.5 % at either end.
    bounds = clopper_pearson_lower(count, total, 0.975), clopper_pearson_upper(count, total, 0.975)
    assert bounds == pytest.approx(exact, abs=PRINTED)


@given(counted, st.floats(0.5, 0.999))
@settings(deadline=None)
def test_wilson_limits_are_where_the_score_test_turns(
    of: tuple[int, int], confidence: float
) -> None:
    """The defining equation |p^ - p| = z sqrt(p (1 - p) / n) holds at either end."""
    count, total = of
    rate = wilson(count, total, confidence=confidence)
    z = stats.norm.ppf((1 + confidence) / 2)
    for p in (rate.low, rate.high):
        # Squared, so that the root at 0 or 1 is no harder than the others; rounding only.
        assert (count / total - p) ** 2 == pytest.approx(z**2 * p * (1 - p) / total, abs=1e-12)
    assert rate.low <= count / total <= rate.high


@given(counted, st.floats(0.5, 0.999))
@settings(deadline=None)
def test_clopper_pearson_agrees_with_binomtest(of: tuple[int, int], confidence: float) -> None:
    count, total = of
    upper = stats.binomtest(count, total, alternative="less").proportion_ci(confidence)
    lower = stats.binomtest(count, total, alternative="greater").proportion_ci(confidence)
    # scipy finds its limits by root finding to about 1e-12.
    assert clopper_pearson_upper(count, total, confidence) == pytest.approx(upper.high, abs=1e-9)
    assert clopper_pearson_lower(count, total, confidence) == pytest.approx(lower.low, abs=1e-9)


@pytest.mark.parametrize("total", [1, 2, 20, 64, 1000])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_clopper_pearson_closed_forms(total: int, confidence: float) -> None:
    none = 1 - (1 - confidence) ** (1 / total)
    assert clopper_pearson_upper(0, total, confidence) == pytest.approx(none, rel=1e-10)
    assert clopper_pearson_lower(total, total, confidence) == pytest.approx(1 - none, rel=1e-10)
    assert clopper_pearson_lower(0, total, confidence) == 0
    assert clopper_pearson_upper(total, total, confidence) == 1


def test_none_of_64_bounds_the_rate_by_4_57_percent() -> None:
    assert clopper_pearson_upper(0, 64) == pytest.approx(0.0457, abs=PRINTED)


@pytest.mark.parametrize("total", [5, 20, 64])
def test_coverage_by_enumeration(total: int) -> None:
    """Every outcome weighed by its probability: exact coverage, without simulation."""
    truths = np.linspace(0.001, 0.999, 333)
    outcomes = np.arange(total + 1)
    probability = stats.binom.pmf(outcomes, total, truths[:, np.newaxis])
    upper = np.array([clopper_pearson_upper(int(k), total) for k in outcomes])
    lower = np.array([clopper_pearson_lower(int(k), total) for k in outcomes])
    for covers in (truths[:, np.newaxis] <= upper, truths[:, np.newaxis] >= lower):
        coverage = (probability * covers).sum(axis=1)
        assert coverage.min() >= 0.95 - 1e-12  # exact bounds never fall short of their level

    rates = [wilson(int(k), total) for k in outcomes]
    low, high = np.array([r.low for r in rates]), np.array([r.high for r in rates])
    inside = (low <= truths[:, np.newaxis]) & (truths[:, np.newaxis] <= high)
    coverage = (probability * inside).sum(axis=1)
    # Wilson is right on average over p, not at each p (Brown, Cai and DasGupta 2001, section 4.2).
    assert coverage.mean() == pytest.approx(0.95, abs=0.01)
    assert coverage.min() < 0.95


def test_undecided_restarts_widen_both_ways() -> None:
    rate = wilson(2, 64, undecided=5)
    assert rate.low == wilson(2, 64).low
    assert rate.high == wilson(7, 64).high
    assert (rate.count, rate.total, rate.undecided) == (2, 64, 5)
    assert rate.estimate == 2 / 59


def test_a_rate_is_not_given_when_more_than_a_tenth_is_not_judged() -> None:
    assert wilson(2, 60, undecided=6).estimate == 2 / 54
    rate = wilson(0, 60, undecided=7)
    assert rate.estimate is None
    assert str(rate) == "not judged (7 of 60)"
    assert (rate.low, rate.high) == (0.0, wilson(7, 60).high)


def test_nothing_tried_is_unknown() -> None:
    rate = wilson(0, 0)
    assert rate == Rate(0, 0, 0.0, 1.0)
    assert rate.estimate is None
    assert str(rate) == "unknown [0.0, 100.0] (0/0)"
    assert (clopper_pearson_lower(0, 0), clopper_pearson_upper(0, 0)) == (0, 1)


def test_rate_prints_with_interval_and_count() -> None:
    assert str(wilson(2, 64)) == "3.1 % [0.9, 10.7] (2/64)"
    assert str(wilson(0, 20, undecided=1)) == "0.0 % [0.0, 23.6] (0/20, 1 not judged)"


def test_rate_as_json() -> None:
    rate = wilson(1, 29, undecided=2)
    expected = {"count": 1, "total": 29, "undecided": 2, "absent": 0, "estimate": 1 / 27}
    assert json.loads(json.dumps(rate.to_dict())) == expected | {"low": rate.low, "high": rate.high}


@pytest.mark.parametrize(
    ("max_rate", "confidence", "expected"),
    # 59 and 299 are the textbook numbers (Wilks 1941; "59 samples for 95/95"); the next two lie
    # exactly on a boundary, where (1/2)^2 = 1/4.
    [(0.05, 0.95, 59), (0.01, 0.95, 299), (0.5, 0.75, 2), (0.5, 0.76, 3), (0.99, 0.5, 1)],
)
def test_restarts_needed(max_rate: float, confidence: float, expected: int) -> None:
    assert restarts_needed(max_rate, confidence) == expected


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
@settings(deadline=None)
def test_restarts_needed_is_the_least(max_rate: float, confidence: float) -> None:
    needed = restarts_needed(max_rate, confidence)
    assert clopper_pearson_upper(0, needed, confidence) <= max_rate
    assert needed == 1 or clopper_pearson_upper(0, needed - 1, confidence) > max_rate


def test_mcnemar_published_example() -> None:
    # Fay (2010), "Two-sided exact tests and matching confidence intervals for discrete data",
    # exact2x2: 21 and 12 concordant pairs, 9 and 2 discordant: p = 0.06543.
    a = np.repeat([True, True, False, False], [21, 9, 2, 12])
    b = np.repeat([True, False, True, False], [21, 9, 2, 12])
    comparison = mcnemar(a, b)
    assert (comparison.first_only, comparison.second_only) == (9, 2)
    assert comparison.p_value == pytest.approx(0.06543, abs=5.1e-6)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=10))
@settings(deadline=None, max_examples=50)
def test_mcnemar_is_the_exact_permutation_test(pairs: list[tuple[bool, bool]]) -> None:
    """Swap the two verdicts of each start in all 2^R ways; count swaps at least as uneven."""
    a, b = (np.array([pair[i] for pair in pairs], dtype=bool) for i in range(2))
    difference = [int(x) - int(y) for x, y in pairs]
    swapped = [
        abs(sum(s * d for s, d in zip(signs, difference, strict=True)))
        for signs in itertools.product([1, -1], repeat=len(pairs))
    ]
    expected = np.mean([s >= abs(sum(difference)) for s in swapped])
    assert mcnemar(a, b).p_value == pytest.approx(expected, abs=1e-12)
    assert mcnemar(b, a).p_value == mcnemar(a, b).p_value


def test_mcnemar_without_disagreement_finds_no_difference() -> None:
    same = np.array([True, False, True])
    assert mcnemar(same, same).p_value == 1


def test_turing_estimate_is_unbiased() -> None:
    """E[singletons / N] = sum of p (1 - p)^(N - 1), by enumerating every sequence of outcomes."""
    p, restarts = [0.6, 0.3, 0.1], 5
    expectation = 0.0
    for sequence in itertools.product(range(3), repeat=restarts):
        estimate = unseen_mass([sequence.count(i) for i in range(3)]).estimate
        assert estimate is not None
        expectation += math.prod(p[i] for i in sequence) * estimate
    assert expectation == pytest.approx(sum(q * (1 - q) ** (restarts - 1) for q in p), abs=1e-12)


def test_unseen_mass_counts() -> None:
    mass = unseen_mass([40, 20, 0, 1, 1, 2])
    assert (mass.total, mass.distinct, mass.singletons) == (64, 5, 2)
    assert mass.estimate == 2 / 64
    # outcomes.md: 1 - 0.05^(1/N), the mass that stays unseen N times with probability 5 %.
    assert mass.better_high == pytest.approx(1 - 0.05 ** (1 / 64), rel=1e-10)


def test_unseen_mass_of_nothing_is_unknown() -> None:
    mass = unseen_mass([])
    assert mass.estimate is None
    assert mass.better_high == 1


def test_sensitivity_of_a_straight_line_is_its_middle() -> None:
    # The trapezoid is exact for a loss linear in log rate, wherever the rates lie.
    rates = np.array([1e-4, 2e-4, 3e-2, 1.0])
    losses = 2 + 0.5 * np.log10(rates)  # from 0 to 2
    assert learning_rate_sensitivity(rates, losses, 10.0, 0.0) == pytest.approx(1.0, rel=1e-12)


def test_sensitivity_caps_at_the_start_and_hides_no_divergence() -> None:
    rates = [0.01, 0.1, 1.0, 10.0]
    capped = learning_rate_sensitivity(rates, [0.5, 0.5, 2.0, 2.0], 2.0, 0.5)
    assert capped == pytest.approx(0.75)  # 0, 0, 1.5, 1.5 over three decades
    for bad in (math.nan, math.inf, -math.inf, 1e300):
        assert learning_rate_sensitivity(rates, [0.5, 0.5, bad, bad], 2.0, 0.5) == capped


def test_sensitivity_does_not_depend_on_how_densely_a_plateau_is_sampled() -> None:
    sparse = learning_rate_sensitivity([0.01, 0.1, 1.0], [1.0, 1.0, 3.0], 9.0, 0.0)
    rates, losses = [1.0, 0.02, 0.01, 0.1, 0.05, 0.1], [3.0, 1.0, 1.0, 0.5, 1.0, 1.5]
    # Also shuffled, and 0.1 tried twice with mean 1.
    assert learning_rate_sensitivity(rates, losses, 9.0, 0.0) == pytest.approx(sparse, rel=1e-12)
    assert sparse == pytest.approx(1.5)


def test_sensitivity_at_one_rate_is_its_loss() -> None:
    assert learning_rate_sensitivity([0.1, 0.1], [2.0, 4.0], 9.0, 1.0) == 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson(3, 2), "3 in 2"),
        (lambda: wilson(1, 2, undecided=2), "2 undecided"),
        (lambda: wilson(-1, 2), "at least 0"),
        (lambda: wilson(1, 2, confidence=1.0), "confidence is 1.0"),
        (lambda: clopper_pearson_upper(3, 2), "3 in 2"),
        (lambda: clopper_pearson_upper(1, 2, 95), "confidence is 95"),
        (lambda: clopper_pearson_lower(-1, 2), "at least 0"),
        (lambda: clopper_pearson_lower(1, 2, 0.0), "confidence is 0.0"),
        (lambda: restarts_needed(0.0, 0.95), "max_rate is 0.0"),
        (lambda: restarts_needed(0.05, math.nan), "confidence is nan"),
        (lambda: mcnemar([0, 1], [1, 0]), "boolean"),
        (lambda: mcnemar([True], [True, False]), "same shape"),
        (lambda: unseen_mass([1, -2]), "counts has -2"),
        (lambda: learning_rate_sensitivity([], [], 1.0, 0.0), "at least one"),
        (lambda: learning_rate_sensitivity([0.1], [1.0, 2.0], 1.0, 0.0), "same shape"),
        (lambda: learning_rate_sensitivity([0.0], [1.0], 1.0, 0.0), "positive and finite"),
        (lambda: learning_rate_sensitivity([0.1], [1.0], math.inf, 0.0), "start_loss inf"),
    ],
)
def test_bad_input_is_named_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as error:
        call()
    assert "\n" not in str(error.value)
