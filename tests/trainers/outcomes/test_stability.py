"""How high restarts hover, and which of them have fallen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainers import Fall, Outcomes, Problem, Thresholds, classify, get_optimizer, train
from trainers.outcomes.stability import TailFacts, find_falls, hover, settled
from trainers.problem import FloatArray
from trainers.problems.landscapes import DoubleWell, SingleWeight
from trainers.problems.mlp import MLP
from trainers.randomness import starts


def tail(**changes: Any) -> TailFacts:
    """Of one restart that started at 1, is at 0.2 and hovers 0.2 above its bottom, held there."""
    facts = {
        "diverged": False,
        "start": 1.0,
        "level": 0.2,
        "gap": 0.2,
        "still": True,
        "held": True,
        "excess": 0.0,
    }
    return TailFacts(**{name: np.array([value]) for name, value in (facts | changes).items()})


@pytest.mark.parametrize(
    ("facts", "fall"),
    [
        (tail(), Fall.SWINGS),
        (tail(gap=0.05), None),  # not above 0.05 of the descent of 1
        (tail(gap=0.0501), Fall.SWINGS),
        (tail(still=False), None),  # it makes progress
        (tail(held=False), None),  # slow, noisy training is no fall
        (tail(held=False, excess=0.0501), Fall.SWINGS),  # lower in the middle of the swing
        (tail(held=False, excess=0.05), None),
        (tail(level=1.05, still=False, held=False), None),
        (tail(level=1.0501, still=False, held=False), Fall.ABOVE_START),
        (tail(level=1.2), Fall.ABOVE_START),  # the plainer reason
        (tail(diverged=True, level=np.nan, gap=np.nan), Fall.DIVERGED),
        (tail(level=np.nan, gap=np.nan), None),  # fewer than 8 losses say nothing
    ],
)
def test_what_is_a_fall(facts: TailFacts, fall: Fall | None) -> None:
    assert list(find_falls(facts, 1.0, 0.05)) == [fall]


def test_without_a_descent_only_divergence_tells() -> None:
    assert list(find_falls(tail(level=9.0), 0.0, 0.05)) == [None]
    assert list(find_falls(tail(diverged=True), 0.0, 0.05)) == [Fall.DIVERGED]
    assert np.isnan(hover(tail(), 0.0)).all()


def test_hover_is_a_part_of_the_descent() -> None:
    assert hover(tail(), 4.0)[0] == 0.05
    assert hover(tail(gap=-1e-18), 4.0)[0] == 0.0
    assert np.isnan(hover(tail(diverged=True), 4.0)).all()
    assert settled(tail(gap=4e-3), 4.0, 1e-3).tolist() == [True]
    assert settled(tail(gap=4.1e-3), 4.0, 1e-3).tolist() == [False]
    assert settled(tail(diverged=True, gap=0.0), 4.0, 1e-3).tolist() == [False]


def outcomes(
    problem: Problem, name: str, rate: float, *, steps: int, w0: FloatArray, **more: Any
) -> Outcomes:
    run = train(problem, get_optimizer(name), learning_rate=rate, starts=w0, steps=steps, **more)
    return classify(problem, run)


def test_the_hover_of_period_two_is_known() -> None:
    # At rate x curvature = 2 gradient descent swings between w0 and -w0: J90 is J0, the bottom 0.
    w0 = np.array([[1.0], [2.0], [0.5]])
    found = outcomes(SingleWeight(curvature=2.0), "gd", 1.0, steps=400, w0=w0)
    np.testing.assert_allclose(found.hover, found.start_loss / 1.0, rtol=1e-9)
    assert set(found.fall) == {Fall.SWINGS}
    np.testing.assert_allclose(found.tail_loss, found.start_loss)


def test_j90_is_the_percentile_of_the_tail() -> None:
    # Period two in the double well, at a rate above 2 / J''(1) = 0.25: two levels, half of each.
    problem = DoubleWell(tilt=0.0)
    run = train(
        problem, get_optimizer("gd"), learning_rate=0.27, starts=np.array([[1.1]]), steps=3000
    )
    found = classify(problem, run)
    last = run.losses[-301:, 0]
    assert found.tail_loss[0] == pytest.approx(np.quantile(last, 0.9, method="higher"))
    assert found.tail_loss[0] == pytest.approx(last.max(), rel=1e-9)
    # Starts at 1.1: J0 is that of the wells and 0.0441; the descent is of this one start.
    descent = found.start_loss[0] - problem.known_minimum
    assert found.hover[0] == pytest.approx((last.max() - problem.known_minimum) / descent)


@pytest.mark.parametrize(("rate", "steps"), [(10.0, 20), (100.0, 50), (100.0, 6000)])
def test_adam_at_a_huge_rate_falls_on_a_bowl(rate: float, steps: int) -> None:
    """In between it forgets nothing of its first gradients, and comes to rest: 300 steps are
    stable. The first version went by the last step, which is low now and then."""
    problem = SingleWeight(curvature=2.0)
    found = outcomes(problem, "adam", rate, steps=steps, w0=starts(problem, restarts=46))
    assert found.unstable.all()
    assert "settled" not in set(found.dynamics)


def test_what_is_rare_is_no_level_but_a_spike() -> None:
    # Adam forgets its large gradients in 1,000 steps, and swings through its first loss again.
    problem, w0 = SingleWeight(curvature=2.0), starts(SingleWeight(curvature=2.0), restarts=46)
    run = train(problem, get_optimizer("adam"), learning_rate=10.0, starts=w0, steps=5000)
    found = classify(problem, run)
    swings = run.losses[-501:].max(axis=0) > run.losses[0]
    assert swings.sum() > 20
    assert (found.hover < 0.05).all()
    assert (found.spikes[swings] > 0).all()


def test_adam_at_a_rate_of_ten_with_batches_of_one_falls() -> None:
    problem = MLP(data="wine", hidden=[4])
    w0 = starts(problem, restarts=32)
    found = outcomes(problem, "adam", 10.0, steps=1000, w0=w0, batch_size=1)
    assert found.unstable.all()
    assert (np.median(found.tail_loss) / np.median(found.start_loss)) > 10.0


@pytest.mark.science
@pytest.mark.parametrize(("name", "rate"), [("rmsprop", 0.003), ("rmsprop", 0.01), ("adam", 0.03)])
@pytest.mark.parametrize("steps", [1000, 4000])
def test_small_limit_cycles_are_no_fall(name: str, rate: float, steps: int) -> None:
    """They are how Adam and RMSProp end at a constant rate, however long one trains."""
    problem = MLP(data="breast-cancer", hidden=[8], weight_decay=1e-3)
    w0 = starts(problem, restarts=32)
    found = outcomes(problem, name, rate, steps=steps, w0=w0)
    assert found.unstable.mean() <= 0.05
    assert np.median(found.hover) < 0.05


def test_the_verdict_does_not_depend_on_how_long_one_trains() -> None:
    problem = DoubleWell(tilt=0.3)
    w0 = starts(problem, restarts=64, seed=3)
    for rate in (0.05, 0.15, 0.2, 0.3, 0.35):
        short, long = (outcomes(problem, "gd", rate, steps=t, w0=w0) for t in (1000, 4000))
        np.testing.assert_array_equal(short.unstable, long.unstable)


@pytest.mark.science
def test_on_the_edge_of_stability_neither() -> None:
    """Steps oppose each other all the way down, so that all would hang on the test of progress: 26
    of 32 had fallen after 1,500 steps, and 3 after 3,000, before the swing itself counted."""
    problem = MLP(data="diabetes", hidden=[16], weight_decay=1e-3)
    w0 = starts(problem, restarts=32)
    short, long = (outcomes(problem, "gd", 0.5, steps=t, w0=w0) for t in (1500, 3000))
    assert short.still.sum() > 16  # it is there that the swing decides
    assert (short.cosine < -0.5).all()
    assert max(short.unstable.sum(), long.unstable.sum()) <= 3  # upper bounds of 95 %: 0.25


def test_spikes_are_counted() -> None:
    problem = SingleWeight(curvature=2.0)
    run = train(problem, get_optimizer("gd"), learning_rate=0.4, starts=np.ones((1, 1)), steps=1000)
    losses = run.losses.copy()
    losses[-100:] = 1e-4
    losses[-50], losses[-20] = 0.5, 1e-3  # one far above, the other not by ten times
    object.__setattr__(run, "losses", losses)
    found = classify(problem, run, Thresholds())
    assert found.tail_loss[0] == 1e-4
    assert found.spikes[0] == 1


def test_fewer_than_eight_losses_say_nothing() -> None:
    problem, w0 = SingleWeight(curvature=2.0), np.ones((1, 1))
    for steps, silent in ((6, True), (7, False)):  # steps + 1 losses
        (found,) = outcomes(problem, "gd", 1.03, steps=steps, w0=w0)
        assert np.isnan(found.hover) == silent
        assert found.unstable != silent
        assert (found.dynamics == "descending") == silent
