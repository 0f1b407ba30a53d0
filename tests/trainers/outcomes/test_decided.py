"""Networks whose minimum is known by theory: nearly all are decided, and nobody is said trapped
where nothing traps."""

from __future__ import annotations

import numpy as np
import pytest

from trainers import Basin, Dynamics, Outcomes, Problem, classify, get_optimizer, train
from trainers.problem import FloatArray
from trainers.problems.mlp import MLP, XOR
from trainers.problems.teachers import DeepLinear, TeacherStudent
from trainers.randomness import starts

pytestmark = pytest.mark.science


def outcomes(problem: Problem, name: str, rate: float, *, restarts: int, steps: int) -> Outcomes:
    w0 = starts(problem, restarts=restarts)
    run = train(problem, get_optimizer(name), learning_rate=rate, starts=w0, steps=steps)
    return classify(problem, run)


# activation, units, inputs, examples, optimizer, rate, steps: up to 494 parameters, units * inputs
# and units. The teacher has three units.
STUDENTS = [
    ("tanh", 3, 3, 60, "adam", 0.02, 6000),
    ("relu", 3, 3, 60, "momentum", 0.05, 4000),
    ("relu", 3, 3, 60, "adam", 0.01, 4000),
    ("tanh", 8, 9, 100, "adam", 0.02, 4000),
    ("relu", 8, 9, 100, "momentum", 0.05, 4000),
    ("tanh", 30, 12, 60, "momentum", 0.2, 2500),
    ("erf", 30, 12, 60, "momentum", 0.2, 2500),
    ("relu", 30, 12, 60, "adam", 0.005, 2500),
    ("tanh", 38, 12, 80, "adam", 0.01, 1500),
]


@pytest.mark.parametrize("case", STUDENTS, ids=str)
def test_students_that_have_settled_are_decided(
    case: tuple[str, int, int, int, str, float, int],
) -> None:
    activation, units, inputs, examples, name, rate, steps = case
    problem = TeacherStudent(
        hidden=units,
        teacher_hidden=3,
        inputs=inputs,
        examples=examples,
        activation=activation,
    )
    assert problem.parameters <= 500
    w0 = starts(problem, restarts=64 if units < 10 else 24)
    run = train(problem, get_optimizer(name), learning_rate=rate, starts=w0, steps=steps)
    found = classify(problem, run)
    # `settled` asks for a bottom, so who has none is never settled: decided by definition. What
    # "the training has settled" means must not ask the classifier: the last tenth of the steps
    # gained less than 1e-5 of the descent, ups and downs included, or (Adam keeps shaking) they
    # were a millionth from the minimum, 0.
    tail = run.losses[-steps // 10 :]
    calm = np.ptp(tail, axis=0) <= 1e-5 * (run.losses[0] - tail[-1])
    calm |= np.median(tail, axis=0) <= 1e-6 * run.losses[0]
    assert calm.sum() >= 10
    decided = found.basin != Basin.UNDETERMINED
    assert decided[calm].mean() >= 0.99
    assert decided.mean() >= 0.9
    # The minimum is 0: 1e-3 of the median descent from it is at it, and nothing else is.
    below = found.basin_loss <= 1e-3 * np.median(found.start_loss)
    np.testing.assert_array_equal((found.basin == Basin.GLOBAL_MINIMUM)[decided], below[decided])
    assert (found.basin_loss >= -1e-15).all()


@pytest.mark.parametrize(("name", "rate"), [("gd", 0.1), ("momentum", 0.02), ("adam", 0.02)])
@pytest.mark.parametrize("hidden", [[3], [4, 2], [3, 3, 3], [5, 2, 5], [2, 2, 2, 2]], ids=str)
def test_nothing_traps_in_a_deep_linear_network(hidden: list[int], name: str, rate: float) -> None:
    problem = DeepLinear(inputs=4, outputs=3, hidden=hidden)
    found = outcomes(problem, name, rate, restarts=60, steps=2000)
    assert Basin.LOCAL_MINIMUM not in set(found.basin)
    assert (found.basin == Basin.GLOBAL_MINIMUM).mean() >= 0.9
    settled = found.dynamics == Dynamics.SETTLED
    assert settled.mean() >= 0.9
    # The others creep past a saddle when the steps end.
    assert (found.basin == Basin.UNDETERMINED).mean() <= 0.05


@pytest.mark.parametrize(("name", "rate"), [("gd", 0.5), ("momentum", 0.3), ("adam", 0.02)])
def test_cross_entropy_without_weight_decay_has_no_minimum(name: str, rate: float) -> None:
    # Wine can be separated: the loss falls for ever as the weights grow (Soudry et al. 2018).
    problem = MLP(data="wine", hidden=[3])
    found = outcomes(problem, name, rate, restarts=30, steps=1500)
    assert set(found.basin) <= {Basin.PLATEAU, Basin.UNDETERMINED}
    assert (found.basin == Basin.PLATEAU).mean() >= 0.9
    assert set(found.dynamics) <= {Dynamics.DESCENDING, Dynamics.SETTLED}
    plateau = found.basin == Basin.PLATEAU
    assert all("no minimum is there" in reason for reason in found.reason[plateau])


@pytest.mark.parametrize("hidden", [2, 3])
@pytest.mark.parametrize(("name", "rate"), [("gd", 0.5), ("momentum", 0.3), ("adam", 0.02)])
def test_sigmoid_xor_has_no_local_minimum(name: str, rate: float, hidden: int) -> None:
    # The error surface of XOR with two sigmoid units has no local minima at finite weights
    # (Hamey 1998, "XOR has no local minima"): what looks like one leads to infinity.
    problem = XOR(hidden=[hidden], activation="sigmoid")
    found = outcomes(problem, name, rate, restarts=60, steps=3000)
    allowed = {Basin.GLOBAL_MINIMUM, Basin.PLATEAU, Basin.SADDLE, Basin.UNDETERMINED}
    assert set(found.basin) <= allowed
    assert (found.basin == Basin.UNDETERMINED).mean() <= 0.02
    for row in np.flatnonzero(found.basin == Basin.PLATEAU):
        assert "no minimum is there" in found.reason[row] or "way down" in found.reason[row]


class Catapult(Problem):
    """f = u . v / sqrt(n) on one example x = 1 with target 0: J = f^2 / 2 (Lewkowycz et al. 2020,
    arXiv 2003.02218, section 2). The curvature is lambda = (|u|^2 + |v|^2) / n, and lambda0, at the
    start, is 2 but for fluctuations of the order 1 / sqrt(n)."""

    known_minimum = 0.0

    def __init__(self, n: int = 200) -> None:
        self.n, self.parameters = n, 2 * n

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.standard_normal(self.parameters)

    def loss_and_gradient(self, w: FloatArray) -> tuple[FloatArray, FloatArray]:
        u, v = w[:, : self.n], w[:, self.n :]
        f = (u * v).sum(axis=1) / np.sqrt(self.n)
        slope = np.concatenate([v, u], axis=1) * (f / np.sqrt(self.n))[:, None]
        return 0.5 * f * f, slope


@pytest.mark.parametrize("share", [2.5, 3.0, 3.5])
def test_a_catapult_rises_and_settles(share: float) -> None:
    problem = Catapult()
    w0 = starts(problem, restarts=60)
    sharpness = (w0 * w0).sum(axis=1) / problem.n
    run = train(
        problem, get_optimizer("gd"), learning_rate=share / sharpness, starts=w0, steps=1000
    )
    rise = run.losses.max(axis=0) / run.losses[0]
    assert np.median(rise) > 10.0
    found = classify(problem, run)
    assert set(found.dynamics) == {Dynamics.SETTLED}
    assert set(found.basin) == {Basin.GLOBAL_MINIMUM}
    # It ends where the curvature is below 2 / lr, which it was not at the start.
    after = (run.weights**2).sum(axis=1) / problem.n
    assert (after < 2.0 * sharpness / share).all()
    np.testing.assert_allclose(found.lr_sharpness, share / sharpness * after, rtol=1e-3)


def test_above_four_over_the_curvature_it_diverges() -> None:
    # 4.5 rather than 4: the bound is for infinite width, and off by 1 / sqrt(n) of itself.
    problem = Catapult()
    w0 = starts(problem, restarts=60)
    rates = 4.5 / ((w0 * w0).sum(axis=1) / problem.n)
    run = train(problem, get_optimizer("gd"), learning_rate=rates, starts=w0, steps=1000)
    found = classify(problem, run)
    assert set(found.dynamics) == {Dynamics.DIVERGED}
    assert set(found.basin) == {None}
