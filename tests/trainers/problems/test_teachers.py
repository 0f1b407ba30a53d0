from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from tests.support.derivatives import hessian, slope
from trainers import classify, get_optimizer, get_problem, train
from trainers.errors import InvalidInput
from trainers.problem import FloatArray
from trainers.problems.activations import ACTIVATIONS
from trainers.problems.teachers import DeepLinear, ReLUTeacher, TeacherStudent
from trainers.randomness import starts

Extended = NDArray[np.longdouble]

SHAPES = [(1, 1, 1), (3, 3, 3), (2, 3, 4), (4, 2, 2), (5, 3, 6)]  # units, teacher_units, inputs


def make(units: int, teacher_units: int, inputs: int) -> ReLUTeacher:
    return ReLUTeacher(units=units, teacher_units=teacher_units, inputs=inputs)


def reference(problem: ReLUTeacher, w: FloatArray) -> tuple[float, FloatArray]:
    """Loss and gradient (P,) at w (P,), pair by pair, in extended precision."""
    W = w.reshape(problem.units, problem.inputs).astype(np.longdouble)
    V = np.eye(problem.teacher_units, problem.inputs, dtype=np.longdouble)
    one, pi = np.longdouble(1), np.longdouble("3.14159265358979323846264338327950288")

    def pair(a: Extended, b: Extended) -> tuple[np.longdouble, Extended]:
        size_a, size_b = np.sqrt((a * a).sum()), np.sqrt((b * b).sum())
        cosine = min(max((a * b).sum() / (size_a * size_b), -one), one)
        t, sine = np.arccos(cosine), np.sqrt((1 - cosine) * (1 + cosine))
        value = size_a * size_b * (sine + (pi - t) * cosine) / (2 * pi)
        return value, (size_b * sine * a / size_a + (pi - t) * b) / (2 * pi)

    loss, gradient = np.longdouble(0), np.zeros_like(W)
    for i, a in enumerate(W):
        for b in W:
            value, along = pair(a, b)
            loss += value / 2
            gradient[i] += along
        for v in V:
            value, along = pair(a, v)
            loss -= value
            gradient[i] -= along
    for u, v in itertools.product(V, V):
        loss += pair(u, v)[0] / 2
    return float(loss), gradient.ravel().astype(np.float64)


@pytest.mark.parametrize("shape", SHAPES)
def test_relu_teacher_against_pairs_one_by_one(shape: tuple[int, int, int]) -> None:
    problem = make(*shape)
    w = np.random.default_rng(0).standard_normal((20, problem.parameters))
    loss, gradient = problem.loss_and_gradient(w)
    for r in range(len(w)):
        expected, along = reference(problem, w[r])
        # A few dozen terms of order 1, each rounded.
        assert loss[r] == pytest.approx(expected, rel=1e-13, abs=1e-14)
        np.testing.assert_allclose(gradient[r], along, rtol=0, atol=1e-14)
        # Differences: eps J / h = 1e-10, and h^2 / 6 times a third derivative of order 1 / |w|^2.
        np.testing.assert_allclose(gradient[r], slope(problem, w[r]), rtol=0, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_relu_teacher_is_the_mean_over_gaussian_inputs(shape: tuple[int, int, int]) -> None:
    problem = make(*shape)
    rng = np.random.default_rng(1)
    w = rng.standard_normal(problem.parameters)
    W = w.reshape(problem.units, problem.inputs)
    x = rng.standard_normal((200_000, problem.inputs))
    z = x @ W.T
    error = np.maximum(z, 0.0).sum(axis=1)
    error -= np.maximum(x[:, : problem.teacher_units], 0.0).sum(axis=1)
    loss, gradient = problem.loss_and_gradient(w[None])
    draws = np.column_stack(
        [0.5 * error**2, *((error * (z[:, i] > 0.0))[:, None] * x for i in range(problem.units))]
    )
    away = draws.mean(axis=0) - np.concatenate([loss, gradient[0]])
    # 31 numbers at most, each within 4.5 standard errors: 2e-4 by chance, and the seed is fixed.
    assert (np.abs(away) < 4.5 * draws.std(axis=0) / np.sqrt(len(x))).all()


def test_relu_teacher_is_exact_beside_the_teacher() -> None:
    """Where angles are nearly 0, arc cosines lose half their digits; the gradient must not."""
    problem = ReLUTeacher(units=5, teacher_units=4, inputs=4)
    # Two students in the same direction as the last teacher.
    teacher = np.vstack([np.eye(4), [0, 0, 0, 0.25]])
    teacher[3, 3] = 0.75
    noise = np.random.default_rng(2).standard_normal((5, 4))
    loss, gradient = problem.loss_and_gradient(teacher.reshape(1, -1))
    assert loss[0] < 1e-15
    assert np.abs(gradient).max() < 1e-15
    for size in (1e-3, 1e-6, 1e-9, 1e-12):
        w = (teacher + size * noise).ravel()
        loss, gradient = problem.loss_and_gradient(w[None])
        expected, along = reference(problem, w)
        assert 0.0 <= loss[0] == pytest.approx(expected, abs=1e-15)
        np.testing.assert_allclose(gradient[0], along, rtol=0, atol=1e-15)


def test_relu_teacher_is_finite_where_angles_are_0_or_pi_and_where_units_are_0() -> None:
    problem = make(3, 3, 3)
    special = [
        *(-np.eye(3), 2.0 * np.eye(3), np.zeros((3, 3)), np.ones((3, 3)), 1e-200 * np.eye(3)),
        np.diag([1.0, -1.0, 0.0]),
        np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]),
    ]
    for W in special:
        w = W.reshape(1, 9)
        loss, gradient = problem.loss_and_gradient(w)
        assert np.isfinite(loss).all()
        assert np.isfinite(gradient).all()
        assert loss[0] >= 0.0
    # Nothing is learned yet: 1/2 E (sum of the teacher)^2 = (3 pi + 6) / (4 pi).
    loss, _ = problem.loss_and_gradient(np.zeros((1, 9)))
    assert loss[0] == pytest.approx((3 * np.pi + 6) / (4 * np.pi), rel=1e-14)


def test_relu_teacher_at_a_silent_unit_takes_the_mean_over_directions() -> None:
    problem = make(3, 3, 3)
    rng = np.random.default_rng(3)
    w = np.tile(rng.standard_normal(9), (3, 1))
    tiny = 1e-9 * rng.standard_normal(3)
    w[:, :3] = np.array([np.zeros(3), tiny, -tiny])
    _, gradient = problem.loss_and_gradient(w)
    # 1e-8: |tiny|.
    np.testing.assert_allclose(gradient[0], gradient[1:].mean(axis=0), rtol=0, atol=1e-8)


def test_relu_teacher_overflow_is_not_hidden() -> None:
    problem = make(3, 3, 3)
    for size in (1e200, np.inf, np.nan):
        w = np.vstack([np.full(9, size), np.eye(3).ravel()])
        with np.errstate(all="ignore"):
            loss, _ = problem.loss_and_gradient(w)
        assert not np.isfinite(loss[0])
        assert loss[1] < 1e-15


def test_relu_teacher_at_a_published_spurious_minimum() -> None:
    """Seven units: the minimum and its smallest curvature, from the README and the data of
    github.com/ItaySafran/Overparameterization (Safran, Yehudai & Shamir 2021); its J from those of
    github.com/ItaySafran/OneLayerGDconvergence (Safran & Shamir 2018)."""
    W = np.full((7, 7), -0.0350801559)
    np.fill_diagonal(W, 0.9969227988)
    W[0], W[:, 0], W[0, 0] = 0.2616910758, 0.1859910463, -0.6327039049
    problem = ReLUTeacher(units=7)
    # Units are columns there.
    for w in (W.ravel(), W.T.ravel()):
        loss, gradient = problem.loss_and_gradient(w[None])
        if np.abs(gradient).max() < 1e-9:  # ten digits were given
            assert loss[0] == pytest.approx(0.02320, abs=5e-6)
            assert np.linalg.eigvalsh(hessian(problem, w))[0] == pytest.approx(0.014059, abs=1e-6)
            break
    else:
        pytest.fail("neither the matrix nor its transpose is a stationary point")


def test_relu_teacher_starts_as_published() -> None:
    problem = ReLUTeacher(units=6, teacher_units=4, inputs=5)
    w = starts(problem, restarts=2000)
    # 60,000 draws: five standard errors of the mean and of the variance.
    assert abs(w.mean()) < 5 * math.sqrt(0.2 / w.size)
    assert w.var() == pytest.approx(0.2, rel=5 * math.sqrt(2 / w.size))


def test_relu_teacher_knows_its_minimum_where_it_can() -> None:
    assert ReLUTeacher().known_minimum == 0.0
    assert ReLUTeacher().parameters == 100
    assert ReLUTeacher(units=3, teacher_units=4).known_minimum is None
    assert ReLUTeacher(units=5, teacher_units=4).parameters == 20


@pytest.mark.parametrize("name", ["relu-teacher", "teacher-student", "deep-linear"])
def test_a_row_does_not_depend_on_the_others(name: str) -> None:
    problem = get_problem(name)
    w = starts(problem, restarts=150)
    loss, gradient = (np.array(part) for part in problem.loss_and_gradient(w))
    for r in (0, 70, 149):
        alone, along = problem.loss_and_gradient(w[r : r + 1])
        if name == "relu-teacher":
            assert alone[0] == loss[r]
            assert (along[0] == gradient[r]).all()
        # BLAS may add in another order.
        np.testing.assert_allclose(alone[0], loss[r], rtol=1e-13)
        np.testing.assert_allclose(along[0], gradient[r], rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["relu-teacher", "teacher-student", "deep-linear"])
def test_a_copy_by_pickle_computes_the_same(name: str) -> None:
    problem = get_problem(name)
    w = starts(problem, restarts=3)
    copy = pickle.loads(pickle.dumps(problem))
    for one, other in zip(
        problem.loss_and_gradient(w), copy.loss_and_gradient(w.copy()), strict=True
    ):
        np.testing.assert_array_equal(one, other)


# ------------------------------------------------------------------------------ teacher-student


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("biases", [False, True])
def test_the_teacher_has_loss_0(activation: str, biases: bool) -> None:
    problem = TeacherStudent(activation=activation, biases=biases)
    assert problem.known_minimum == 0.0
    assert problem.parameters == len(problem.teacher) == (29 if biases else 24)
    loss, gradient = (array.copy() for array in problem.loss_and_gradient(problem.teacher[None]))
    assert loss[0] < 1e-30  # squares of rounding errors
    assert np.abs(gradient).max() < 1e-15
    w = starts(problem, restarts=1)[0] + 0.1
    gradient = np.array(problem.loss_and_gradient(w[None])[1])
    # h^2 J''' / 6 = 2e-11 J''', eps J / h = 2e-11 J.
    np.testing.assert_allclose(gradient[0], slope(problem, w), rtol=0, atol=2e-9)


def test_a_larger_student_can_be_the_teacher_and_a_smaller_one_cannot() -> None:
    problem = TeacherStudent(hidden=6, teacher_hidden=4, inputs=5)
    assert problem.known_minimum == 0.0
    first, last = problem.teacher[:20], problem.teacher[20:]
    silent = np.random.default_rng(0).standard_normal(10)
    w = np.concatenate([first, silent, last, np.zeros(2)])
    assert problem.loss_and_gradient(w[None])[0][0] < 1e-30
    assert TeacherStudent(hidden=3, teacher_hidden=4).known_minimum is None


def test_data_follow_from_the_seed_and_not_from_the_student() -> None:
    ours, larger = TeacherStudent(), TeacherStudent(hidden=7, biases=False, activation="relu")
    np.testing.assert_array_equal(ours.teacher, larger.teacher)
    np.testing.assert_array_equal(ours._data[0], larger._data[0])
    assert (TeacherStudent(data_seed=1).teacher[:20] != ours.teacher[:20]).all()


def test_mini_batches_average_to_the_whole() -> None:
    problem = TeacherStudent(examples=60, activation="erf")
    w = starts(problem, restarts=2)
    whole = problem.loss_and_gradient(w)[1].copy()
    parts = [problem.loss_and_gradient(w, np.arange(a, a + 20))[1].copy() for a in (0, 20, 40)]
    np.testing.assert_allclose(np.mean(parts, axis=0), whole, rtol=0, atol=1e-15)


@pytest.mark.parametrize("activation", ["tanh", "erf", "relu"])
def test_students_reach_their_teacher(activation: str) -> None:
    problem = get_problem("teacher-student", hidden=3, teacher_hidden=2, activation=activation)
    w0 = starts(problem, restarts=16)
    run = train(problem, get_optimizer("adam"), learning_rate=0.02, starts=w0, steps=3000)
    assert np.nanmin(run.final_losses) < 1e-5 * np.median(run.losses[0])


# ---------------------------------------------------------------------------------- deep-linear

LINEAR: list[dict[str, object]] = [
    {},
    {"hidden": []},
    {"hidden": [3], "whitened": False},
    {"hidden": [1, 4, 2], "whitened": False, "noise": 0.5},
    {"hidden": [6], "noise": 0.0},
    {"inputs": 6, "examples": 4, "hidden": [2], "whitened": False},  # singular second moments
    {"inputs": 2, "outputs": 5, "hidden": [3]},
]


@pytest.mark.parametrize("parameters", LINEAR, ids=str)
def test_deep_linear_networks_reach_the_closed_form_and_no_less(
    parameters: dict[str, object],
) -> None:
    problem = get_problem("deep-linear", **parameters)
    assert isinstance(problem, DeepLinear)
    assert problem.known_minimum is not None

    def scalar(w: FloatArray) -> tuple[float, FloatArray]:
        loss, gradient = problem.loss_and_gradient(w[None])
        return float(loss[0]), np.array(gradient[0])

    found = [
        optimize.minimize(scalar, start, jac=True, method="BFGS", options={"gtol": 1e-9}).fun
        for start in starts(problem, restarts=5)
    ]
    assert min(found) >= problem.known_minimum - 1e-14
    # Every local minimum is global: each of the searches gets there.
    assert max(found) < problem.known_minimum + 1e-9


def test_deep_linear_minimum_by_hand() -> None:
    """Whitened inputs: least squares is the matrix of moments, its tail of singular values is
    lost, and what is not linear is lost too."""
    problem = DeepLinear(hidden=[1], inputs=3, outputs=2)
    rows, _, targets = problem._data
    np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(3), atol=1e-14)
    least_squares = targets @ rows / len(rows)
    lost = np.linalg.svd(least_squares, compute_uv=False)[1:]
    residual = targets - least_squares @ rows.T
    expected = 0.5 * ((residual**2).sum() / len(rows) + (lost**2).sum())
    assert problem.known_minimum == pytest.approx(expected, rel=1e-13)
    assert DeepLinear(noise=0.0, hidden=[5]).known_minimum == pytest.approx(0.0, abs=1e-28)


def test_deep_linear_origin_is_a_saddle() -> None:
    problem = DeepLinear(hidden=[3])
    eigenvalues = np.linalg.eigvalsh(hessian(problem, np.zeros(problem.parameters)))
    assert eigenvalues[0] < -0.1
    deeper = DeepLinear(hidden=[3, 3])
    origin = np.zeros((1, deeper.parameters))
    assert (deeper.loss_and_gradient(origin)[1] == 0.0).all()
    # Differences of products of three weights of 1e-5: 1e-10.
    assert np.abs(hessian(deeper, origin[0])).max() < 1e-9


def test_deep_linear_traps_nobody() -> None:
    problem = get_problem("deep-linear")
    w0 = starts(problem, restarts=100)
    run = train(problem, get_optimizer("gd"), learning_rate=0.1, starts=w0, steps=3000)
    outcomes = classify(problem, run)
    assert (outcomes.basin == "local-minimum").sum() == 0
    assert (outcomes.basin == "global-minimum").sum() >= 99


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("relu-teacher", {"units": 0}, "units = 0 is not valid; give a whole number of at least 1"),
        ("relu-teacher", {"teacher_units": 2.0}, "teacher_units = 2.0 is not valid"),
        ("relu-teacher", {"inputs": 9}, "inputs = 9 is not valid; give a whole number of at least"),
        ("teacher-student", {"hidden": [3]}, "hidden = [3] is not valid; give a whole number"),
        (
            "teacher-student",
            {"activation": "erff"},
            "unknown activation 'erff'; did you mean 'erf'",
        ),
        ("teacher-student", {"biases": 1}, "biases = 1 is not valid; give true or false"),
        ("teacher-student", {"examples": 0}, "examples = 0 is not valid"),
        ("teacher-student", {"data_seed": -1}, "data_seed = -1 is not valid"),
        ("deep-linear", {"hidden": [0]}, "hidden = [0] is not valid"),
        ("deep-linear", {"examples": 4}, "examples = 4 is not valid; give a whole number of at"),
        ("deep-linear", {"noise": -0.1}, "noise = -0.1 is not valid; give a finite number at"),
        ("deep-linear", {"whitened": "yes"}, "whitened = 'yes' is not valid; give true or false"),
    ],
)
def test_bad_parameters_are_named(name: str, parameters: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        get_problem(name, **parameters)
    assert f"problem {name}: {words}" in str(error.value)
    assert "\n" not in str(error.value)
