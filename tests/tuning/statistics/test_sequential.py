"""Group-sequential tests against enumeration of every course, published figures, Monte Carlo."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from trainers.errors import InvalidInput
from tuning.statistics.intervals import clopper_pearson_upper, restarts_needed
from tuning.statistics.sequential import Decision, Outcome, SequentialTest, sequential_test

# Sums of at most some thousand products in double precision.
ROUNDING = 1e-12

#: Small enough that all courses of single trials can be tried, 4,096 of them.
BY_HAND = SequentialTest(0.5, 0.2, (3, 6, 9, 12), (0, 1, 1, 3), 0.0)


def ends(test: SequentialTest) -> Iterator[tuple[tuple[int, ...], bool, int]]:
    """Every course until it stops: failures at the looks, whether accepted, and how many courses of
    single trials they stand for, in all 2^n of them."""
    courses = np.array(list(itertools.product((0, 1), repeat=test.looks[-1])))
    seen: dict[tuple[int, ...], int] = {}
    for row in np.cumsum(courses, axis=1)[:, np.array(test.looks) - 1].tolist():
        for look, (count, allowed) in enumerate(zip(row, test.accept, strict=True), 1):
            if count <= allowed or count > test.accept[-1]:
                key = tuple(row[:look])
                seen[key] = seen.get(key, 0) + 1
                break
        else:
            raise AssertionError("every course is decided at the last look")
    for made, number in seen.items():
        yield made, made[-1] <= test.accept[len(made) - 1], number


def probability(test: SequentialTest, made: Sequence[int], number: int, p: float) -> float:
    """Of one end. All courses to it have the same probability until there, and the trials after it
    are free: 2^(n - look) courses stand for each."""
    look = test.looks[len(made) - 1]
    courses = number / 2 ** (test.looks[-1] - look)
    return float(courses * p ** made[-1] * (1 - p) ** (look - made[-1]))


def test_the_test_of_512_trials_is_the_published_one() -> None:
    """Looks and acceptance numbers for 5 % with an error of 4 %, found there by
    a program of its own."""
    test = sequential_test(512, 0.05, 0.04)
    assert test.looks == (128, 256, 384, 512)
    assert test.accept == (0, 5, 10, 16)
    assert test.size == pytest.approx(0.0372, abs=5e-5)


@pytest.mark.parametrize("p", [0.0, 0.05, 0.3, 0.5, 0.9, 1.0])
def test_the_chance_to_pass_is_that_of_all_courses(p: float) -> None:
    wanted = sum(probability(BY_HAND, m, n, p) for m, passed, n in ends(BY_HAND) if passed)
    assert BY_HAND.pass_probability([p])[0] == pytest.approx(wanted, abs=ROUNDING)


def test_it_decides_as_each_course_does() -> None:
    for made, passed, _ in ends(BY_HAND):
        outcome = Outcome.ACCEPTED if passed else Outcome.REFUSED
        assert BY_HAND.decide(made) == Decision(outcome, len(made), 0)
        for earlier in range(len(made)):
            assert BY_HAND.decide(made[:earlier]) == Decision(Outcome.OPEN, earlier, 3)
        # What is known beyond the look that decided changes nothing.
        more = made + made[-1:] * (4 - len(made))
        assert BY_HAND.decide(more) == Decision(outcome, len(made), 0)


@pytest.mark.parametrize(
    ("most", "rate", "alpha"), [(64, 0.05, 0.04), (64, 0.3, 0.05), (48, 0.2, 0.01)]
)
def test_each_look_accepts_as_many_as_its_spending_allows(
    most: int, rate: float, alpha: float
) -> None:
    """By all courses of groups, 17^4 of them: the next number would spend too much."""
    test = sequential_test(most, rate, alpha)
    groups = np.diff((0, *test.looks))
    counts = np.stack(np.meshgrid(*(np.arange(n + 1) for n in groups), indexing="ij"))
    chance = np.prod([stats.binom.pmf(c, n, rate) for c, n in zip(counts, groups, strict=True)], 0)
    failures = np.cumsum(counts, axis=0)
    gone = np.zeros(chance.shape, dtype=bool)
    for look, allowed, here in zip(test.looks, test.accept, failures, strict=True):
        may = alpha * look / most
        assert chance[gone | (here <= allowed)].sum() <= may + ROUNDING
        assert chance[gone | (here <= allowed + 1)].sum() > may
        gone |= here <= allowed
    assert test.size == pytest.approx(chance[gone].sum(), abs=ROUNDING)


@given(
    st.integers(1, 2000),
    st.sampled_from([0.001, 0.02, 0.05, 0.2, 0.5, 0.9]),
    st.sampled_from([1e-4, 0.0128, 0.04, 0.2]),
)
@settings(deadline=None, max_examples=60)
def test_it_is_no_larger_than_alpha_and_as_large_as_it_says(
    most: int, rate: float, alpha: float
) -> None:
    test = sequential_test(most, rate, alpha)
    assert test.looks[-1] == most
    assert list(test.accept) == sorted(test.accept)
    assert 0 <= test.size <= alpha
    assert test.pass_probability([rate])[0] == pytest.approx(test.size, abs=ROUNDING)
    assert test.can_accept == (most >= restarts_needed(rate, 1 - alpha))
    assert test.pass_probability([0.0, 1.0]).tolist() == [float(test.can_accept), 0.0]
    passed = test.pass_probability(np.linspace(0, 1, 50))
    assert (np.diff(passed) <= ROUNDING).all()


@pytest.mark.parametrize(("most", "rate"), [(1, 0.01), (20, 0.3), (31, 0.2)])
def test_with_one_look_it_is_the_binomial_test(most: int, rate: float) -> None:
    """Below 32 trials there is one; its bound is that of Clopper and Pearson."""
    test = sequential_test(most, rate, 0.04)
    (allowed,) = test.accept
    assert test.looks == (most,)
    assert stats.binom.cdf(allowed, most, rate) <= 0.04 < stats.binom.cdf(allowed + 1, most, rate)
    assert test.size == pytest.approx(stats.binom.cdf(allowed, most, rate), abs=ROUNDING)
    for count in range(most + 1):
        # brentq's default tolerance is 2e-12.
        wanted = clopper_pearson_upper(count, most, 0.96)
        assert test.upper_bound([count]) == pytest.approx(wanted, abs=1e-10)


def test_half_of_many_trials_is_followed_without_its_far_tails() -> None:
    """Reference: whole convolutions. 20,000 trials at 1/2, whose pmf is cut at 9 sigma."""
    test = sequential_test(20_000, 0.5, 0.04)
    whole, passed = np.ones(1), 0.0
    for allowed in test.accept:
        whole = np.convolve(whole, stats.binom.pmf(np.arange(5001), 5000, 0.498))
        passed += whole[: allowed + 1].sum()
        whole[: allowed + 1] = 0.0
    assert test.pass_probability([0.498])[0] == pytest.approx(passed, abs=ROUNDING)


@pytest.mark.parametrize("p", [0.01, 0.03, 0.05])
def test_simulated_trials_pass_as_often(p: float) -> None:
    """20,000 tests trial by trial: within 4 standard errors, which fails once in 16,000."""
    test, rng = sequential_test(512, 0.05, 0.04), np.random.default_rng(20260101)
    passed = 0
    for _ in range(20):
        failures = np.cumsum(rng.random((1000, 512), dtype=np.float32) < p, axis=1)
        at_looks = failures[:, np.array(test.looks) - 1].tolist()
        passed += sum(test.decide(made).outcome is Outcome.ACCEPTED for made in at_looks)
    wanted = test.pass_probability([p])[0]
    assert passed / 20_000 == pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / 20_000))


# ------------------------------------------------------------------------------------------- bound


def test_the_bound_is_within_the_limit_whenever_it_accepts() -> None:
    test = sequential_test(512, 0.05, 0.04)
    accepted: list[float] = []
    for look, allowed in enumerate(test.accept):
        least = test.accept[look - 1] + 1 if look else 0  # fewer were accepted before
        going_on = [most + 1 for most in test.accept[:look]]
        accepted += [test.upper_bound([*going_on, k]) for k in range(least, allowed + 1)]
    assert len(accepted) == 17
    assert accepted == sorted(accepted)  # the earlier, and the fewer, the better
    assert accepted[-1] <= 0.05
    # Once it did not accept, more than the limit is possible.
    assert test.upper_bound([1, 6, 11, 17]) > 0.05


@pytest.mark.parametrize("p", np.linspace(0.02, 0.98, 25))
def test_the_bound_covers_whatever_the_test_says(p: float) -> None:
    """Over all courses to an end, accepted or refused: below the truth with at most alpha."""
    below = sum(
        probability(BY_HAND, made, number, p)
        for made, _, number in ends(BY_HAND)
        if BY_HAND.upper_bound(made) < p
    )
    assert below <= BY_HAND.alpha + ROUNDING


def test_the_bound_of_an_end_by_all_courses() -> None:
    """At the bound, ends that are as good have probability alpha: accepted earlier, or at this look
    with no more failures."""
    for made, _, _ in ends(BY_HAND):
        bound = BY_HAND.upper_bound(made)
        if bound == 1.0:
            assert made[-1] == BY_HAND.looks[len(made) - 1]  # nothing is worse than all failed
            continue
        look = len(made)
        as_good = sum(
            probability(BY_HAND, other, number, bound)
            for other, passed, number in ends(BY_HAND)
            if (len(other) < look and passed)
            or (len(other) >= look and other[look - 1] <= made[-1])
        )
        assert as_good == pytest.approx(BY_HAND.alpha, abs=1e-9)


def test_while_it_is_open_the_bound_is_that_of_a_test_which_ends_there() -> None:
    shorter = SequentialTest(0.5, 0.2, (3, 6), (0, 3), 0.0)
    assert BY_HAND.upper_bound([2, 3]) == pytest.approx(shorter.upper_bound([2, 3]), abs=1e-10)


# ----------------------------------------------------------------------------------------- refusals


def test_one_that_can_never_accept_refuses_at_once() -> None:
    test = sequential_test(62, 0.05, 0.04)
    assert not test.can_accept
    assert test.size == 0
    assert test.decide([]) == Decision(Outcome.REFUSED, 0, 0)


@pytest.mark.parametrize("failures", [[2, 1], [4], [-1], [1, 5], [0, 0, 0, 0, 0]])
def test_impossible_failures_are_refused(failures: list[int]) -> None:
    with pytest.raises(InvalidInput, match="never descend"):
        BY_HAND.decide(failures)
    with pytest.raises(InvalidInput, match="never descend"):
        BY_HAND.upper_bound(failures)


def test_no_look_has_no_bound() -> None:
    with pytest.raises(InvalidInput, match="no look"):
        BY_HAND.upper_bound([])


@pytest.mark.parametrize(
    ("most", "rate", "alpha"),
    [(0, 0.1, 0.1), (9, 0.0, 0.1), (9, 1.0, 0.1), (9, 0.1, 0.0), (9, 0.1, 1.0)],
)
def test_impossible_tests_are_refused(most: int, rate: float, alpha: float) -> None:
    with pytest.raises(InvalidInput, match="at least 1 trial"):
        sequential_test(most, rate, alpha)
