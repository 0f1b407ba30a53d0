from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from trainers.optimizers import Adam, GradientDescent, Momentum, Nesterov, Optimizer, RMSProp
from trainers.outcomes.classify import Outcomes, classify
from trainers.outcomes.dynamics import Dynamics, progress
from trainers.problem import FloatArray, IntArray, Problem
from trainers.problems.landscapes import DoubleWell, Quadratic, Rosenbrock, SingleWeight
from trainers.problems.mlp import MLP
from trainers.randomness import starts
from trainers.training.engine import train


def outcomes(
    problem: Problem,
    optimizer: Optimizer,
    rate: float,
    *,
    steps: int,
    restarts: int = 24,
    batch_size: int | None = None,
) -> Outcomes:
    w0 = starts(problem, restarts=restarts)
    run = train(
        problem, optimizer, learning_rate=rate, starts=w0, steps=steps, batch_size=batch_size
    )
    return classify(problem, run)


def labels(found: Outcomes) -> set[str]:
    return {str(label) for label in found.dynamics}


# The largest stable lr * curvature, as the literature has it: Goh 2017 (gd 2, heavy ball 2 + 2
# beta).
LIMITS = [
    (GradientDescent(), 2.0),
    (Momentum(beta=0.5), 3.0),
    (Momentum(beta=0.9), 3.8),
    (Nesterov(beta=0.5), 1.5),
    (Nesterov(beta=0.9), 3.8 / 2.8),
]


@pytest.mark.parametrize("curvature", [1e-3, 0.3, 2.0, 50.0, 1e3])
@pytest.mark.parametrize(("optimizer", "limit"), LIMITS, ids=lambda value: str(value))
def test_a_bowl_settles_below_the_limit_and_diverges_above(
    optimizer: Optimizer, limit: float, curvature: float
) -> None:
    # The slowest is gradient descent: the distance shrinks or grows by 2 % a step. To settle takes
    # ln(1e6) / (2 ln(1 / 0.98)) = 340 steps; to reach 1e8 from the least J0 here (a start 0.001
    # away at curvature 0.001: 5e-10) ln(2e17) / (2 ln 1.02) = 1000. 2,000 steps are enough for
    # both.
    problem = SingleWeight(curvature=curvature)
    below = outcomes(problem, optimizer, 0.99 * limit / curvature, steps=2000)
    assert labels(below) == {"settled"}
    assert {str(b) for b in below.basin} == {"global-minimum"}
    above = outcomes(problem, optimizer, 1.01 * limit / curvature, steps=2000)
    assert labels(above) == {"diverged"}
    assert set(above.basin) == {None}
    assert np.isnan(above.basin_loss).all()
    assert (above.diverged_at > 0).all()
    assert np.isfinite(above.loss).all()
    assert above[0].reason.startswith(f"diverged at step {above.diverged_at[0]}")


@pytest.mark.parametrize("curvature", [0.7, 2.0, 30.0])
def test_at_the_limit_itself_a_bowl_is_period_two(curvature: float) -> None:
    found = outcomes(
        SingleWeight(curvature=curvature), GradientDescent(), 2.0 / curvature, steps=500
    )
    assert labels(found) == {"oscillating"}
    assert {str(b) for b in found.basin} == {"global-minimum"}  # where it would go, let go
    np.testing.assert_allclose(found.loss, found.start_loss, rtol=1e-9)


def test_bouncing_that_still_falls_is_descending_along_the_edge() -> None:
    # w_{t+1} = -0.998 w_t: each step turns back, and J falls by 0.998^1000 = 0.13 in 500 steps.
    problem = SingleWeight(curvature=2.0)
    found = outcomes(problem, GradientDescent(), 0.999, steps=500)
    assert labels(found) == {"descending"}
    assert all("edge of stability" in reason for reason in found.reason)


@pytest.mark.parametrize(
    ("cosine", "displacement", "label"),
    [(-1.0, 0.5, "oscillating"), (0.0, 0.05, "oscillating"), (0.0, 0.5, "descending")],
)
def test_without_progress_either_sign_of_bouncing_is_enough(
    cosine: float, displacement: float, label: str
) -> None:
    problem = SingleWeight(curvature=2.0)
    run = train(problem, GradientDescent(), learning_rate=1.0, starts=np.ones((1, 1)), steps=300)
    run = replace(run, cosine=np.array([cosine]), displacement=np.array([displacement]))
    assert labels(classify(problem, run)) == {label}


def test_a_bowl_of_unequal_curvatures_diverges_by_the_largest() -> None:
    problem = Quadratic(curvatures=[1.0, 10.0, 100.0])
    assert labels(outcomes(problem, GradientDescent(), 0.99 * 0.02, steps=2000)) == {"settled"}
    assert labels(outcomes(problem, GradientDescent(), 1.01 * 0.02, steps=2000)) == {"diverged"}


@pytest.mark.parametrize(
    ("rate", "chance"),
    # Above 2 / J''(1) = 0.25 there is no rest: periods two and four, then (0.33 on) chaos. Chaos is
    # like noise, which an interval of 99.9 % takes for a fall in 0.05 % of the restarts.
    [(0.26, 0.0), (0.28, 0.0), (0.31, 0.0), (0.35, 0.0005), (0.36, 0.0005), (0.37, 0.0005)],
)
def test_periodic_and_chaotic_motion_in_and_between_wells_oscillates(
    rate: float, chance: float
) -> None:
    problem = DoubleWell(tilt=0.0)
    w0 = np.linspace(-1.1, 1.1, 400)[:, None]
    run = train(problem, GradientDescent(), learning_rate=rate, starts=w0, steps=2000)
    assert not run.diverged.any()
    found = classify(problem, run)
    assert labels(found) <= {"oscillating", "descending"}
    falling = int((found.dynamics == Dynamics.DESCENDING).sum())
    assert falling <= stats.binom(400, chance).ppf(0.9999)


def test_a_budget_that_ends_first_is_descending() -> None:
    # Rosenbrock's valley is flat beside the way down into it: J0 is in the hundreds.
    assert labels(outcomes(Rosenbrock(), GradientDescent(), 1e-5, steps=200)) == {"descending"}
    assert labels(outcomes(SingleWeight(), GradientDescent(), 1e-4, steps=50)) == {"descending"}
    assert labels(outcomes(SingleWeight(), GradientDescent(), 0.01, steps=1)) == {"descending"}


def test_slow_but_settled_is_not_descending() -> None:
    # J falls by (1 - 2e-3 * 2)^2 a step: to 1e-3 in 862 steps. J90 is that of a tenth of the tail.
    problem, w0 = SingleWeight(), np.ones((1, 1))

    def after(steps: int) -> Outcomes:
        run = train(problem, GradientDescent(), learning_rate=2e-3, starts=w0, steps=steps)
        return classify(problem, run)

    early, late = after(920), after(980)
    assert labels(early) == {"descending"}
    assert labels(late) == {"settled"}
    for steps, found in ((920, early), (980, late)):
        tail = steps // 10
        first = 0.996 ** (2 * (steps - tail))  # J of the tail's first step, in descents
        assert found.hover[0] == pytest.approx(first * 0.996 ** (2 * (tail // 10)), rel=1e-6)


@pytest.mark.parametrize("optimizer", [Adam(), RMSProp()], ids=str)
def test_adaptive_rules_oscillate_at_a_large_rate_and_do_not_diverge(optimizer: Optimizer) -> None:
    # The squares grow with the gradient, so the step stays near lr: it never blows up.
    found = outcomes(SingleWeight(curvature=2.0), optimizer, 50.0, steps=3000)
    assert "diverged" not in labels(found)
    if isinstance(optimizer, RMSProp):
        assert labels(found) == {"oscillating"}
    assert labels(outcomes(SingleWeight(curvature=2.0), optimizer, 0.01, steps=6000)) <= {
        "settled",
        "oscillating",
    }


class Line(Problem):
    """Least squares through forty noisy points: no weights fit every batch, so noise remains."""

    parameters = 2
    examples = 40

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.x = np.column_stack([rng.standard_normal(40), np.ones(40)])
        self.y = self.x @ np.array([2.0, -1.0]) + rng.standard_normal(40)
        sharpness = np.linalg.eigvalsh(self.x.T @ self.x / 40.0)
        self.limit = 2.0 / float(sharpness[-1])
        best, *_ = np.linalg.lstsq(self.x, self.y)
        self.known_minimum: float = 0.5 * float(((self.x @ best - self.y) ** 2).mean())

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return 5.0 * rng.standard_normal(2)

    def loss_and_gradient(
        self, w: FloatArray, /, batch: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        x, y = (self.x, self.y) if batch is None else (self.x[batch], self.y[batch])
        off = w @ x.T - y
        return 0.5 * (off**2).mean(axis=1), off @ x / len(x)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_the_noise_of_mini_batches_is_no_oscillation(share: float) -> None:
    problem = Line()
    found = outcomes(problem, GradientDescent(), share * problem.limit, steps=1500, batch_size=4)
    assert labels(found) <= {"settled", "descending", "hovering"}
    assert (found.dynamics != Dynamics.DESCENDING).mean() > 0.8
    assert not found.unstable.any()
    assert {str(b) for b in found.basin} == {"global-minimum"}
    np.testing.assert_allclose(found.basin_loss, problem.known_minimum, rtol=1e-9)


def test_full_batch_on_the_same_data_knows_the_same_limit() -> None:
    problem = Line()
    assert labels(outcomes(problem, GradientDescent(), 0.98 * problem.limit, steps=2000)) == {
        "settled"
    }
    assert labels(outcomes(problem, GradientDescent(), 1.02 * problem.limit, steps=2000)) == {
        "diverged"
    }


def test_along_the_edge_of_stability_is_descending() -> None:
    # Cohen et al. 2021: at a rate above 2 / lambda_max of the flow's path, the loss of a tanh
    # network goes up and down, yet falls; nothing of it is unstable in the sense that counts.
    problem = MLP(data="wine", hidden=[8], weight_decay=0.0)
    found = outcomes(problem, GradientDescent(), 1.5, steps=300, restarts=12)
    assert "diverged" not in labels(found)
    assert (found.dynamics == Dynamics.DESCENDING).sum() >= 10
    assert (found.loss < 0.1 * found.start_loss).all()


def columns(*series: FloatArray) -> FloatArray:
    return np.array(series).T


def test_progress_is_theil_and_sen_s() -> None:
    """Sen 1968: of the N slopes the interval leaves out (N - z sigma) / 2 at each end."""
    rng = np.random.default_rng(0)
    series = rng.standard_normal((10, 40)) + np.linspace(-1.0, 1.0, 40) * np.arange(10)[:, None]
    low, high = progress(series)
    # N = 45, sigma^2 = 10 * 9 * 25 / 18 = 125, z = 3.29: (45 - 36.8) / 2 = 4.1.
    for i in range(40):
        slopes = [
            (series[k, i] - series[j, i]) / (k - j) for j in range(10) for k in range(j + 1, 10)
        ]
        assert sum(slope < low[i] for slope in slopes) == 4
        assert sum(slope > high[i] for slope in slopes) == 4
        assert low[i] < stats.theilslopes(series[:, i]).slope < high[i]


def test_the_interval_of_progress_holds_the_slope_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    low, high = progress(rng.standard_normal((200, 4000)) - 0.003 * np.arange(200)[:, None])
    missed = int(((low > -0.06) | (high < -0.06)).sum())  # 20 steps a block
    # For ten points the normal approximation of Kendall's tau is on the safe side of 0.1 %.
    assert missed <= stats.binom(4000, 0.001).ppf(0.9999)
    assert (high - low).mean() < 0.5  # medians of 20 have a deviation of 0.27, over nine blocks


def test_progress_of_series_that_are_plain() -> None:
    t = np.arange(200.0)
    falling, rising, flat = -0.01 * t, 0.01 * t, np.zeros(200)
    bounce = np.where(t % 2, 1.0, -1.0)
    spike = falling + 1e6 * (t == 77)
    low, high = progress(columns(falling, rising, flat, falling + 3.0 * bounce, spike))
    np.testing.assert_allclose(low[:2], [-0.2, 0.2], atol=1e-12)
    np.testing.assert_allclose(high[:2], [-0.2, 0.2], atol=1e-12)
    assert low[2] == high[2] == 0.0
    assert high[3] < 0.0  # an oscillation faster than a block hides nothing
    assert high[4] == pytest.approx(-0.2, abs=0.01)  # nor does an outlier


def test_progress_of_nearly_nothing() -> None:
    low, high = progress(np.array([[1.0, 2.0]]))
    assert (low == -np.inf).all()
    assert (high == np.inf).all()
