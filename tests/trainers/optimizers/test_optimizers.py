from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainers.errors import InvalidInput
from trainers.optimizers import (
    Adam,
    GradientDescent,
    Momentum,
    Nesterov,
    Optimizer,
    RMSProp,
    get_optimizer,
)
from trainers.optimizers.adam import AdamState
from trainers.optimizers.rmsprop import RMSPropState
from trainers.optimizers.sgd import VelocityState
from trainers.problem import FloatArray

# Each reference takes gradients one by one and yields the steps w_t - w_{t-1}, in plain floats.
Reference = Callable[[Iterator[float], float], Iterator[float]]


def gradient_descent() -> Reference:
    def steps(gradients: Iterator[float], rate: float) -> Iterator[float]:
        for g in gradients:
            yield -rate * g

    return steps


def heavy_ball(beta: float) -> Reference:
    """Polyak 1964 with its own variables: w_{t+1} = w_t - lr g_t + beta (w_t - w_{t-1})."""

    def steps(gradients: Iterator[float], rate: float) -> Iterator[float]:
        last = 0.0
        for g in gradients:
            last = -rate * g + beta * last
            yield last

    return steps


def nesterov(beta: float) -> Reference:
    """torch.optim.SGD(momentum=beta, nesterov=True), as its documentation writes it."""

    def steps(gradients: Iterator[float], rate: float) -> Iterator[float]:
        b = 0.0
        for g in gradients:
            b = beta * b + g
            yield -rate * (g + beta * b)

    return steps


def rmsprop(alpha: float, epsilon: float) -> Reference:
    """torch.optim.RMSprop, as its documentation writes it."""

    def steps(gradients: Iterator[float], rate: float) -> Iterator[float]:
        v = 0.0
        for g in gradients:
            v = alpha * v + (1.0 - alpha) * g**2
            yield -rate * g / (math.sqrt(v) + epsilon)

    return steps


def adam(beta1: float, beta2: float, epsilon: float) -> Reference:
    """Kingma & Ba 2015, algorithm 1, line by line."""

    def steps(gradients: Iterator[float], rate: float) -> Iterator[float]:
        m = v = 0.0
        for t, g in enumerate(gradients, 1):
            m = beta1 * m + (1.0 - beta1) * g
            v = beta2 * v + (1.0 - beta2) * g**2
            m_hat = m / (1.0 - beta1**t)
            v_hat = v / (1.0 - beta2**t)
            yield -rate * m_hat / (math.sqrt(v_hat) + epsilon)

    return steps


def slope(w: float) -> float:
    """Of J(w) = sqrt(1 + w^2) + sin(3 w) / 5: bounded, not convex, not quadratic."""
    return w / math.sqrt(1.0 + w * w) + 0.6 * math.cos(3.0 * w)


beta = st.floats(0.0, 0.999)
epsilon = st.floats(1e-12, 1e-2)
PAIRS = st.one_of(
    st.just((GradientDescent(), gradient_descent())),
    beta.map(lambda b: (Momentum(beta=b), heavy_ball(b))),
    beta.map(lambda b: (Nesterov(beta=b), nesterov(b))),
    st.tuples(beta, epsilon).map(lambda h: (RMSProp(*h), rmsprop(*h))),
    st.tuples(beta, beta, epsilon).map(lambda h: (Adam(*h), adam(*h))),
)


@settings(max_examples=150, deadline=None)
@given(
    pair=PAIRS,
    rates=st.lists(st.floats(1e-4, 3.0), min_size=3, max_size=3),
    same=st.booleans(),
    first=st.floats(-3.0, 3.0),
)
def test_steps_are_those_of_the_published_equations(
    pair: tuple[Optimizer, Reference], rates: list[float], same: bool, first: float
) -> None:
    # Both take the gradients at the reference's w, so that no chaos can magnify rounding: each of
    # the 60 steps rounds a few times, relative to |w| and to the step: 1e-12 covers 60 * 10 eps.
    optimizer, reference = pair
    if same:
        rates = [rates[0]] * 3
    starts = [first, -first, first / 2.0]
    w = np.array(starts)[:, None]
    rate = np.array([[rates[0]]]) if same else np.array(rates)[:, None]
    state = optimizer.init(w)
    state.scratch.fill(np.nan)

    here, latest = list(starts), [0.0, 0.0, 0.0]

    def gradients(i: int) -> Iterator[float]:
        while True:
            yield latest[i]

    steps = [reference(gradients(i), rates[i]) for i in range(3)]
    for _ in range(60):
        latest[:] = [slope(x) for x in here]
        gradient = np.array(latest)[:, None]
        gradient.flags.writeable = False
        optimizer.step(w, gradient, rate, state)
        largest = 0.0
        for i in range(3):
            step = next(steps[i])
            here[i] += step
            largest = max(largest, abs(step), abs(here[i]))
        assert np.abs(w[:, 0] - here).max() <= 1e-12 * max(largest, 1.0)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("rate", [0.01, 0.5])
def test_nesterov_is_the_classical_pair_of_sequences(beta: float, rate: float) -> None:
    """Nesterov 1983 as x_{t+1} = y_t - lr g(y_t), y_{t+1} = x_{t+1} + beta (x_{t+1} - x_t)."""

    def convex(w: float) -> float:
        return w / math.sqrt(1.0 + w * w)  # curvature at most 1, so both rates are stable

    optimizer, x, y = Nesterov(beta=beta), 3.0, 3.0
    w = np.array([[3.0]])
    state = optimizer.init(w)
    for _ in range(200):
        optimizer.step(w, np.array([[convex(w[0, 0])]]), np.array([[rate]]), state)
        x, last = y - rate * convex(y), x
        y = x + beta * (x - last)
        # Rounding: 200 stable steps of a few eps, magnified at most 1 / (1 - beta) = 100 times.
        assert w[0, 0] == pytest.approx(y, abs=200 * 100 * 4e-16)


def transition(optimizer: Optimizer, sharpness: float) -> FloatArray:
    """The linear map of (w, v) by one step on J = sharpness w^2 / 2 at rate 1, column by column."""
    columns = []
    for unit in np.eye(1 if isinstance(optimizer, GradientDescent) else 2):
        w = unit[None, :1].copy()
        state = optimizer.init(w)
        if isinstance(state, VelocityState):
            state.velocity[:] = unit[1]
        optimizer.step(w, sharpness * w, np.ones((1, 1)), state)
        after = [w[0], state.velocity[0]] if isinstance(state, VelocityState) else [w[0]]
        columns.append(np.concatenate(after))
    return np.array(columns).T


def radius(matrix: FloatArray) -> float:
    return float(np.abs(np.linalg.eigvals(matrix)).max())


LINEAR = [
    GradientDescent(),
    *(kind(beta=b) for kind in (Momentum, Nesterov) for b in (0.0, 0.3, 0.5, 0.9, 0.99)),
]


@pytest.mark.parametrize("optimizer", LINEAR, ids=str)
def test_a_quadratic_is_stable_up_to_the_limit_and_not_above(optimizer: Optimizer) -> None:
    limit = optimizer.stability_limit
    # An eigenvalue is -1 exactly at the limit; elsewhere it is simple, so eigvals errs by a few
    # eps.
    assert radius(transition(optimizer, limit)) == pytest.approx(1.0, abs=1e-12)
    assert radius(transition(optimizer, limit * 1.001)) > 1.0
    for share in np.linspace(0.001, 0.999, 100):
        assert radius(transition(optimizer, limit * share)) < 1.0


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
def test_adam_is_stable_up_to_the_limit_on_the_preconditioned_hessian(beta1: float) -> None:
    # beta2 so near 1 that the squares stand still, t so late that both corrections are 1.
    optimizer, t = Adam(beta1=beta1, beta2=1.0 - 1e-12, epsilon=0.25), 10**15
    square = np.array([[4.0]])

    def matrix(sharpness: float) -> FloatArray:
        columns = []
        for unit in 1e-6 * np.eye(2):
            w, mean = unit[None, :1].copy(), unit[None, 1:].copy()
            state = AdamState(scratch=w * 0.0, mean=mean, square=square.copy(), steps=t - 1)
            optimizer.step(w, sharpness * w, np.ones((1, 1)), state)
            columns.append(np.concatenate([w[0], mean[0]]) / 1e-6)
        return np.array(columns).T

    nothing = np.zeros((1, 1))
    scale = optimizer.preconditioner(
        AdamState(scratch=nothing, mean=nothing, square=square, steps=t)
    )
    assert scale[0, 0] == pytest.approx(2.25, rel=1e-12)  # sqrt(4) + 0.25
    limit = optimizer.stability_limit * 2.25
    assert radius(matrix(limit)) == pytest.approx(1.0, abs=1e-9)
    assert radius(matrix(limit * 0.999)) < 1.0 < radius(matrix(limit * 1.001))


def test_rmsprop_is_stable_up_to_the_limit_on_the_preconditioned_hessian() -> None:
    optimizer = RMSProp(alpha=1.0 - 1e-12, epsilon=0.25)

    def standing() -> RMSPropState:
        return RMSPropState(scratch=np.empty((1, 1)), square=np.array([[4.0]]))

    scale = optimizer.preconditioner(standing())
    assert scale[0, 0] == 2.25
    for share, factor in ((1.0, -1.0), (0.5, 0.0), (0.999, -0.998), (1.001, -1.002)):
        w = np.array([[1e-6]])
        sharpness = share * optimizer.stability_limit * 2.25
        optimizer.step(w, sharpness * w, np.ones((1, 1)), standing())
        assert w[0, 0] / 1e-6 == pytest.approx(factor, abs=1e-9)


@pytest.mark.parametrize("optimizer", [RMSProp(), Adam(), Adam(beta1=0.5, beta2=0.9)], ids=str)
def test_the_preconditioner_is_what_the_step_divides_by(optimizer: Optimizer) -> None:
    # Cohen et al. 2022, section 2: w_{t+1} = w_t - lr P_t^-1 m_t, for Adam with m_t uncorrected.
    rng = np.random.default_rng(0)
    w = rng.standard_normal((4, 3))
    state = optimizer.init(w)
    for _ in range(7):
        before, gradient = w.copy(), rng.standard_normal((4, 3))
        optimizer.step(w, gradient, np.full((4, 1), 0.1), state)
        scale = optimizer.preconditioner(state)
        assert scale is not None
        top = state.mean if isinstance(state, AdamState) else gradient
        np.testing.assert_allclose(w, before - 0.1 * top / scale, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["gd", "momentum", "nesterov"])
def test_the_rest_divide_by_nothing(name: str) -> None:
    optimizer = get_optimizer(name)
    assert optimizer.preconditioner(optimizer.init(np.ones((2, 2)))) is None


@pytest.mark.parametrize(
    ("name", "hyperparameters", "words"),
    [
        ("momentun", {}, "unknown optimizer 'momentun'; did you mean 'momentum'? valid: gd, "),
        (
            "momentum",
            {"bta": 0.9},
            "unknown hyperparameter 'bta'; did you mean 'beta'? valid: beta",
        ),
        ("gd", {"beta": 0.9}, "gd: unknown hyperparameter 'beta'; valid: none"),
        ("momentum", {"beta": 1.0}, "momentum: beta = 1.0 is not valid; it must be in [0, 1)"),
        ("nesterov", {"beta": -0.1}, "nesterov: beta = -0.1 is not valid; it must be in [0, 1)"),
        ("rmsprop", {"alpha": math.nan}, "rmsprop: alpha = nan is not valid"),
        ("rmsprop", {"epsilon": 0.0}, "rmsprop: epsilon = 0.0 is not valid; it must be above 0"),
        ("adam", {"beta2": 1.5}, "adam: beta2 = 1.5 is not valid"),
        ("adam", {"epsilon": math.inf}, "adam: epsilon = inf is not valid"),
        ("adam", {"beta1": True}, "adam: beta1 = True is not a number"),
        ("adam", {"beta1": "0.9"}, "adam: beta1 = '0.9' is not a number"),
    ],
)
def test_wrong_hyperparameters(name: str, hyperparameters: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        get_optimizer(name, **hyperparameters)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_hyperparameters_and_names_are_readable() -> None:
    expected = {"beta1": 0.8, "beta2": 0.999, "epsilon": 1e-8}
    assert get_optimizer("adam", beta1=0.8).hyperparameters == expected
    assert str(get_optimizer("momentum")) == "momentum(beta=0.9)"
    assert str(get_optimizer("gd")) == "gd"
