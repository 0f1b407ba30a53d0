from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trainers.curvature.finite_differences import hessians
from trainers.curvature.lanczos import extreme_curvatures, fixed_direction, lanczos
from trainers.optimizers.registry import get_optimizer
from trainers.problem import Evaluate, FloatArray, Problem, evaluator
from trainers.problems.landscapes import DoubleWell
from trainers.problems.mlp import MLP
from trainers.randomness import starts
from trainers.training.engine import train

# The gradient is differenced over 2 * 3e-8 (1 + |w|) and rounded to a few eps |g|, with |g| about
# the largest curvature times |w|: that makes eps / 3e-8 = 7e-9 of the largest curvature, times a
# few. What is exact but for that is right to 1e-7 of it.
NOISE = 1e-7


def quadratic(matrices: FloatArray) -> Evaluate:
    """J = w' A w / 2 of each restart, with its own A: (R, P, P)."""

    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        a = np.concatenate([matrices] * (len(w) // len(matrices)))
        gradient = (a @ w[:, :, None])[:, :, 0]
        return 0.5 * (w * gradient).sum(axis=1), gradient

    return evaluate


class Quadratic(Problem):
    """J = w' A w / 2 of each restart, with its own A: (R, P, P). Offers products, and no gradient.

    A product is in an array that the next one overwrites, or `v` itself where A is the identity."""

    def __init__(self, matrices: FloatArray) -> None:
        self.matrices, self.parameters = matrices, matrices.shape[1]
        self.products = 0
        self._own = np.empty(matrices.shape[:2])
        self._identity = bool((matrices == np.eye(self.parameters)).all())

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.standard_normal(self.parameters)

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        raise AssertionError("nobody needs the gradient")

    def hessian_product(self, w: FloatArray, v: FloatArray, /) -> FloatArray:
        self.products += 1
        if self._identity:
            return v
        self._own[:] = (self.matrices @ v[:, :, None])[:, :, 0]
        return self._own


def with_spectrum(values: FloatArray, seed: int = 0) -> FloatArray:
    """(P, P): a symmetric matrix with these eigenvalues in random directions."""
    p = len(values)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))
    a = (q * values) @ q.T
    return np.asarray(0.5 * (a + a.T))


def rng_rows(rows: int, parameters: int, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((rows, parameters))


SPECTRA: dict[str, FloatArray] = {
    "well separated": np.geomspace(1e-3, 1e3, 20),
    "negative": np.linspace(-3.0, 5.0, 30),
    "clustered": np.concatenate([np.full(60, 1.0) + 1e-6 * np.arange(60), [50.0, 50.001, -2.0]]),
    "zeros": np.concatenate([np.zeros(40), [-1.0, 1.0, 2.0]]),
    "repeated ends": np.repeat([-2.0, 0.5, 7.0], [3, 10, 4]),
    "all the same": np.full(12, 3.0),
    "nothing": np.zeros(7),
    "one parameter": np.array([-4.0]),
    "large": np.concatenate([np.linspace(0.0, 1.0, 195), [2.0, 3.0, 5.0, 10.0, -0.5]]),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_a_full_basis_gives_the_whole_spectrum_with_its_multiplicities(name: str) -> None:
    values = np.sort(SPECTRA[name])
    p = len(values)
    matrix = with_spectrum(values)
    w = rng_rows(2, p)
    found = lanczos(quadratic(np.stack([matrix, matrix])), w, rng_rows(2, p, 2), 3 * p)
    largest = np.abs(values).max()
    assert found.size.tolist() == [p, p]
    # P columns of noise add up to sqrt(P) of it in norm.
    tolerance = NOISE * largest * np.sqrt(p)
    np.testing.assert_allclose(found.values, np.tile(values, (2, 1)), atol=tolerance)
    assert (found.residuals <= tolerance).all()
    vectors = found.vectors()
    assert vectors.shape == (2, p, p)
    # Orthogonal to rounding, whatever the products' noise: that is what re-orthogonalising is for.
    np.testing.assert_allclose(
        vectors.transpose(0, 2, 1) @ vectors, np.tile(np.eye(p), (2, 1, 1)), atol=1e-13 * p
    )
    np.testing.assert_allclose(
        matrix @ vectors, vectors * found.values[:, None, :], atol=2 * tolerance
    )
    np.testing.assert_allclose(found.largest_vectors(), vectors[:, :, -1], atol=1e-14)


@pytest.mark.parametrize("name", ["well separated", "negative", "clustered", "large"])
def test_both_ends_are_found_in_few_iterations_within_their_residuals(name: str) -> None:
    values = SPECTRA[name]
    matrix = with_spectrum(values)[None]
    w = rng_rows(1, len(values))
    found = extreme_curvatures(quadratic(matrix), w, 18)
    noise = NOISE * np.abs(values).max()
    for value, residual in (
        (found.smallest[0], found.smallest_residual[0]),
        (found.largest[0], found.largest_residual[0]),
    ):
        assert np.abs(values - value).min() <= residual + noise
    assert values.min() - noise <= found.smallest[0]
    # The gap between the largest and the rest decides: 18 iterations do for these.
    np.testing.assert_allclose(found.largest[0], values.max(), rtol=1e-4)


def test_residuals_shrink_as_the_basis_grows() -> None:
    values = SPECTRA["large"]
    evaluate, w = quadratic(with_spectrum(values)[None]), rng_rows(1, len(values))
    last = np.inf
    for iterations in (5, 10, 15):
        found = extreme_curvatures(evaluate, w, iterations)
        assert found.largest_residual[0] < 0.5 * last
        last = float(found.largest_residual[0])
    found = extreme_curvatures(evaluate, w, 40)
    assert found.largest_residual[0] < NOISE * 10


def test_a_network_s_spectrum_is_that_of_its_dense_hessian() -> None:
    problem = MLP(data="wine", hidden=[5])
    evaluate = evaluator(problem)
    run = train(
        problem,
        get_optimizer("gd"),
        learning_rate=0.2,
        starts=starts(problem, restarts=6),
        steps=100,
    )
    dense = np.linalg.eigvalsh(hessians(evaluate, run.weights))
    found = extreme_curvatures(evaluate, run.weights, 60)
    # The dense differences are longer: right to a few 1e-9.
    scale = dense[:, -1]
    assert (np.abs(found.largest - dense[:, -1]) <= found.largest_residual + NOISE * scale).all()
    np.testing.assert_allclose(found.largest, dense[:, -1], rtol=1e-6)
    near = np.abs(dense - found.smallest[:, None]).min(axis=1)
    assert (near <= found.smallest_residual + NOISE * scale).all()
    np.testing.assert_allclose(found.smallest, dense[:, 0], atol=1e-4 * scale.max())


def test_with_a_diagonal_scaling_it_is_the_spectrum_of_s_h_s() -> None:
    problem = MLP(data="breast-cancer", hidden=[2])
    evaluate, w = evaluator(problem), starts(problem, restarts=4, seed=3)
    scaling = np.random.default_rng(0).uniform(0.1, 10.0, w.shape)
    dense = scaling[:, :, None] * hessians(evaluate, w) * scaling[:, None, :]
    expected = np.linalg.eigvalsh(dense)
    found = lanczos(evaluate, w, rng_rows(4, w.shape[1]), w.shape[1], scaling)
    np.testing.assert_allclose(found.values, expected, atol=1e-6 * np.abs(expected).max())


def test_a_kink_beside_w_is_not_stepped_over() -> None:
    # J = w^2 / 2 + |w - 1e-6|: curvature 1, with a kink a millionth away. At 1e-5 it would be 1e5.
    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return 0.5 * w[:, 0] ** 2 + np.abs(w[:, 0] - 1e-6), w + np.sign(w - 1e-6)

    found = extreme_curvatures(evaluate, np.zeros((1, 1)), 5)
    np.testing.assert_allclose(found.largest, 1.0, rtol=NOISE)
    # At 1e-8 from it the difference steps over, and one of a shorter step does not.
    over = lanczos(evaluate, np.full((1, 1), 1e-6 - 1e-8), np.ones((1, 1)), 1)
    assert over.values[0, 0] > 1e6
    short = lanczos(evaluate, np.full((1, 1), 1e-6 - 1e-8), np.ones((1, 1)), 1, step=1e-9)
    np.testing.assert_allclose(short.values, 1.0, rtol=30 * NOISE)


def test_rows_that_break_down_or_are_not_finite_leave_the_others_as_they_are() -> None:
    p = 9
    matrices = np.stack(
        [
            with_spectrum(np.linspace(-1.0, 2.0, p)),
            with_spectrum(np.linspace(1.0, 3.0, p), 1),  # starts from an eigenvector
            np.zeros((p, p)),
            with_spectrum(np.linspace(0.0, 1.0, p), 2),  # starts from zero
            with_spectrum(np.linspace(0.0, 1.0, p), 3),  # its gradient is not finite
            with_spectrum(np.linspace(0.0, 1.0, p), 4),  # w is not finite
            np.eye(p) * 1e300,  # squares overflow
            with_spectrum(np.linspace(-5.0, 1.0, p), 5),  # its start is not finite
            with_spectrum(np.linspace(-5.0, 1.0, p), 6),
        ]
    )
    w, start = rng_rows(9, p), rng_rows(9, p, 2)
    start[1] = np.linalg.eigh(matrices[1])[1][:, 4]
    start[3], start[7, 2], w[5, 0] = 0.0, np.inf, np.nan
    broken = matrices.copy()
    broken[4] = np.nan
    together = lanczos(quadratic(broken), w, start, 6)
    assert together.size.tolist() == [6, 6, 6, 6, 0, 0, 0, 6, 6]
    for row in range(9):
        alone = lanczos(quadratic(broken[row : row + 1]), w[row : row + 1], start[row : row + 1], 6)
        np.testing.assert_array_equal(alone.values[0], together.values[row])
        np.testing.assert_array_equal(alone.residuals[0], together.residuals[row])
        np.testing.assert_array_equal(alone.vectors()[0], together.vectors()[row])
    for row in (4, 5, 6):
        assert np.isnan(together.values[row]).all()
        assert np.isnan(together.residuals[row]).all()
        assert np.isnan(together.largest_vectors()[row]).all()
    for row in (0, 1, 2, 3, 7, 8):
        spectrum = np.linalg.eigvalsh(matrices[row])
        for value, residual in zip(together.values[row], together.residuals[row], strict=True):
            assert np.abs(spectrum - value).min() <= residual + 5 * NOISE
    # From an eigenvector nothing more is to be had; the fixed vector goes on and finds the ends.
    assert together.values[1, -1] > 2.8
    assert together.values[1, 0] < 1.3


def test_a_product_that_is_not_finite_keeps_what_was_found_before() -> None:
    matrices = with_spectrum(np.linspace(1.0, 4.0, 12))[None]
    sound, calls = quadratic(matrices), 0

    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        nonlocal calls
        calls += 1
        loss, gradient = sound(w)
        return loss, gradient * (np.nan if calls == 4 else 1.0)

    w, start = rng_rows(1, 12), rng_rows(1, 12, 2)
    cut = lanczos(evaluate, w, start, 8)
    short = lanczos(sound, w, start, 3)
    assert cut.size.tolist() == [3]
    np.testing.assert_array_equal(cut.values[:, :3], short.values)
    np.testing.assert_array_equal(cut.residuals[:, :3], short.residuals)
    assert np.isnan(cut.values[:, 3:]).all()
    np.testing.assert_allclose(cut.largest_vectors(), short.largest_vectors(), atol=1e-14)


def test_one_call_of_twice_the_restarts_an_iteration() -> None:
    rows: list[int] = []
    sound = quadratic(with_spectrum(np.linspace(1.0, 2.0, 10))[None])

    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        rows.append(len(w))
        return sound(w)

    lanczos(evaluate, rng_rows(3, 10), rng_rows(3, 10, 2), 4)
    assert rows == [6] * 4


@pytest.mark.parametrize("name", SPECTRA)
def test_a_product_that_is_offered_is_taken_and_leaves_no_noise(name: str) -> None:
    values = np.sort(SPECTRA[name])
    p = len(values)
    matrices = np.tile(with_spectrum(values), (2, 1, 1))
    problem = Quadratic(matrices)
    w, start = rng_rows(2, p), rng_rows(2, p, 2)
    found = lanczos(evaluator(problem), w, start, 3 * p)
    assert problem.products == p
    # Differences leave 1e-7; this is the rounding of P products.
    size = np.abs(values).max()
    np.testing.assert_allclose(found.values, np.tile(values, (2, 1)), atol=1e-14 * p * size)
    scaling = np.random.default_rng(0).uniform(0.1, 10.0, w.shape)
    scaled = lanczos(evaluator(problem), w, start, p, scaling)
    expected = np.linalg.eigvalsh(scaling[:, :, None] * matrices * scaling[:, None, :])
    # A remainder of less than 1e-8 of the operator is taken for none, and scaling makes such.
    np.testing.assert_allclose(scaled.values, expected, atol=1e-8 * np.abs(expected).max())


def test_a_product_that_is_its_own_argument_is_not_written_to() -> None:
    problem = Quadratic(np.tile(np.eye(4), (2, 1, 1)))
    found = lanczos(evaluator(problem), rng_rows(2, 4), rng_rows(2, 4, 2), 4)
    np.testing.assert_allclose(found.values, 1.0, rtol=1e-15)
    vectors = found.vectors()
    np.testing.assert_allclose(
        vectors.transpose(0, 2, 1) @ vectors, np.tile(np.eye(4), (2, 1, 1)), atol=1e-15
    )


def test_of_products_too_rows_that_are_not_finite_leave_the_others_as_they_are() -> None:
    matrices = np.stack([with_spectrum(np.linspace(-1.0, 2.0, 9), seed) for seed in range(4)])
    matrices[1] = np.nan
    w, start = rng_rows(4, 9), rng_rows(4, 9, 2)
    w[2, 0] = np.inf
    together = lanczos(evaluator(Quadratic(matrices)), w, start, 6)
    assert together.size.tolist() == [6, 0, 0, 6]
    for row in (0, 3):
        one = slice(row, row + 1)
        alone = lanczos(evaluator(Quadratic(matrices[one])), w[one], start[one], 6)
        np.testing.assert_array_equal(alone.values[0], together.values[row])
        np.testing.assert_array_equal(alone.residuals[0], together.residuals[row])


def test_a_network_s_own_products_see_no_kink() -> None:
    problem = MLP(data="breast-cancer", hidden=[16], activation="relu")
    w = starts(problem, restarts=32)
    start = np.tile(fixed_direction(w.shape[1]), (32, 1))

    def evaluate(w: FloatArray) -> tuple[FloatArray, FloatArray]:
        return problem.loss_and_gradient(w)

    exact = lanczos(evaluator(problem), w, start, 40).values[:, -1]
    # A difference that steps over one shows the jump, one that is short enough only rounds, 2e-7.
    over, short = (lanczos(evaluate, w, start, 40, step=d).values[:, -1] for d in (1e-5, 1e-9))
    assert (over > 1.01 * exact).any()
    np.testing.assert_allclose(exact, short, rtol=1e-5)


def test_a_landscape_of_one_parameter() -> None:
    problem = DoubleWell()
    w = starts(problem, restarts=50)
    found = extreme_curvatures(evaluator(problem), w, 5)
    exact = hessians(evaluator(problem), w)[:, 0, 0]
    np.testing.assert_allclose(found.largest, exact, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found.smallest, found.largest)


def test_the_fixed_direction_is_fixed() -> None:
    np.testing.assert_array_equal(fixed_direction(20), fixed_direction(20))
    assert abs(float(fixed_direction(20) @ fixed_direction(20, 1))) < 0.9
    assert abs(float(fixed_direction(20) @ fixed_direction(20, seed=1))) < 0.9


spectra = arrays.arrays(
    np.float64,
    st.integers(1, 25),
    # Squares of less than 1e-150 underflow: curvatures so small count as none.
    elements=st.one_of(
        st.sampled_from([-1.0, 0.0, 1.0]),
        st.floats(-100.0, 100.0).map(lambda value: value if abs(value) > 1e-100 else 0.0),
    ),
)


@settings(max_examples=60, deadline=None)
@given(values=spectra, iterations=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
def test_every_ritz_value_is_within_its_residual_of_an_eigenvalue(
    values: Any, iterations: int, seed: int
) -> None:
    p = len(values)
    matrix = with_spectrum(values, seed)
    found = lanczos(quadratic(matrix[None]), rng_rows(1, p, seed), rng_rows(1, p, 5), iterations)
    k = int(found.size[0])
    assert k == min(iterations, p)
    spectrum = np.linalg.eigvalsh(matrix)
    noise = NOISE * np.abs(spectrum).max() * np.sqrt(p) + 1e-300
    distance = np.abs(found.values[0, :, None] - spectrum).min(axis=1)
    assert (distance <= found.residuals[0] + noise).all()
    # Cauchy: Ritz values interlace, so none lies outside the spectrum.
    assert found.values[0, 0] >= spectrum[0] - noise
    assert found.values[0, -1] <= spectrum[-1] + noise
    assert (np.diff(found.values[0]) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(values=spectra, factor=st.floats(1e-6, 1e6), seed=st.integers(0, 2**32 - 1))
def test_scaling_the_loss_scales_the_values(values: Any, factor: float, seed: int) -> None:
    p = len(values)
    matrix, w, start = with_spectrum(values, seed), rng_rows(1, p, seed), rng_rows(1, p, 5)
    one = lanczos(quadratic(matrix[None]), w, start, p)
    other = lanczos(quadratic(factor * matrix[None]), w, start, p)
    tolerance = 2 * NOISE * np.abs(values).max() * np.sqrt(p)
    np.testing.assert_allclose(other.values / factor, one.values, atol=tolerance + 1e-300)
