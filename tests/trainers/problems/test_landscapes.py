from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from threadpoolctl import threadpool_limits

from tests.support.derivatives import hessian
from trainers.errors import InvalidInput
from trainers.problem import FloatArray
from trainers.problems.landscapes import (
    DoubleWell,
    Himmelblau,
    Landscape,
    Quadratic,
    Rastrigin,
    Rosenbrock,
    Saddle,
    SingleWeight,
    SixHumpCamel,
    StyblinskiTang,
    ThreeHumpCamel,
)
from trainers.testing import check_problem

MAKERS: dict[str, Callable[[], Landscape]] = {
    "single-weight": SingleWeight,
    "single-weight-moved": lambda: SingleWeight(curvature=0.1, minimum=7.0, span=1.0),
    "quadratic": Quadratic,
    "quadratic-5": lambda: Quadratic(curvatures=[1.0, 2.0, 5.0, 10.0, 1000.0]),
    "double-well": DoubleWell,
    "double-well-even": lambda: DoubleWell(tilt=0.0),
    "double-well-left": lambda: DoubleWell(tilt=-1.2),
    "saddle": Saddle,
    "rastrigin": Rastrigin,
    "rastrigin-2": lambda: Rastrigin(dimensions=2, amplitude=2.0),
    "rastrigin-bowl": lambda: Rastrigin(amplitude=0.05),
    "himmelblau": Himmelblau,
    "three-hump-camel": ThreeHumpCamel,
    "six-hump-camel": SixHumpCamel,
    "styblinski-tang-1": lambda: StyblinskiTang(dimensions=1),
    "styblinski-tang": StyblinskiTang,
    "styblinski-tang-5": lambda: StyblinskiTang(dimensions=5),
    "rosenbrock": Rosenbrock,
    "rosenbrock-3": lambda: Rosenbrock(dimensions=3),
    "rosenbrock-4": lambda: Rosenbrock(dimensions=4),
    "rosenbrock-30": lambda: Rosenbrock(dimensions=30),
}
SMALL = [name for name, make in MAKERS.items() if make().parameters <= 2]


@pytest.fixture(scope="module", autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """On a busy machine scipy's searches take four times as long with threads as without."""
    with threadpool_limits(1):
        yield


@pytest.fixture(params=MAKERS)
def landscape(request: pytest.FixtureRequest) -> Landscape:
    return MAKERS[request.param]()


def starts(landscape: Landscape, count: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.array([landscape.initial(rng) for _ in range(count)])


def one(landscape: Landscape) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """The landscape at a single point, as scipy wants it."""

    def at(w: FloatArray) -> tuple[float, FloatArray]:
        loss, gradient = landscape.loss_and_gradient(w[None])
        return float(loss[0]), np.array(gradient[0])

    return at


# The published formulas, term by term at one point, as the slow and obvious reference.
FORMULAS: dict[str, Callable[[FloatArray], float]] = {
    "single-weight": lambda w: w[0] ** 2,
    "single-weight-moved": lambda w: 0.05 * (w[0] - 7) ** 2,
    "quadratic": lambda w: (w[0] ** 2 + 100 * w[1] ** 2) / 2,
    "double-well": lambda w: (w[0] ** 2 - 1) ** 2 + 0.3 * w[0],
    "double-well-left": lambda w: (w[0] ** 2 - 1) ** 2 - 1.2 * w[0],
    "saddle": lambda w: (w[0] ** 2 - 1) ** 2 / 4 + w[1] ** 2 / 2,
    "rastrigin": lambda w: 10 + w[0] ** 2 - 10 * np.cos(2 * np.pi * w[0]),
    "rastrigin-2": lambda w: 4 + sum(x**2 - 2 * np.cos(2 * np.pi * x) for x in w),
    "himmelblau": lambda w: (w[0] ** 2 + w[1] - 11) ** 2 + (w[0] + w[1] ** 2 - 7) ** 2,
    "three-hump-camel": lambda w: (
        2 * w[0] ** 2 - 1.05 * w[0] ** 4 + w[0] ** 6 / 6 + w[0] * w[1] + w[1] ** 2
    ),
    "six-hump-camel": lambda w: (
        (4 - 2.1 * w[0] ** 2 + w[0] ** 4 / 3) * w[0] ** 2
        + w[0] * w[1]
        + (-4 + 4 * w[1] ** 2) * w[1] ** 2
    ),
    "styblinski-tang-5": lambda w: sum(x**4 - 16 * x**2 + 5 * x for x in w) / 2,
    "rosenbrock-4": lambda w: optimize.rosen(w),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_the_loss_is_the_published_formula(name: str) -> None:
    landscape = MAKERS[name]()
    w = starts(landscape, 200)
    expected = [FORMULAS[name](row) for row in w]
    # 1e-12: a few roundings of terms that are up to a thousand times their sum.
    np.testing.assert_allclose(landscape.loss_and_gradient(w)[0], expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_is_the_slope_of_the_loss(landscape: Landscape) -> None:
    w = starts(landscape, 50)
    gradient = np.array(landscape.loss_and_gradient(w)[1])
    h = 1e-5
    for column in range(landscape.parameters):
        step = h * np.eye(landscape.parameters)[column]
        up = np.array(landscape.loss_and_gradient(w + step)[0])
        slope = (up - landscape.loss_and_gradient(w - step)[0]) / (2 * h)
        # Central differences err by h^2 J''' / 6 (J''' is at most 2500, in Rastrigin: 4e-8) and by
        # eps J / h (J is at most 1e5 in 30 dimensions: 2e-6).
        np.testing.assert_allclose(gradient[:, column], slope, rtol=1e-6, atol=5e-6)


def test_it_conforms(landscape: Landscape) -> None:
    """One job, one answer: how restarts are cut into tasks must not change a bit."""
    check_problem(landscape, restarts=65, rounding=0.0)
    assert landscape.minima.shape == (len(landscape.minimum_losses), landscape.parameters)


def test_starts_fill_the_span_and_follow_from_the_generator(landscape: Landscape) -> None:
    low, high = landscape.span
    w = starts(landscape, 2000)
    assert (low <= w).all()
    assert (w < high).all()
    # The mean of 2000 uniform numbers has standard deviation span / sqrt(12 * 2000) = 0.0065 span:
    # 0.03 is 4.6 of them.
    np.testing.assert_allclose(w.mean(axis=0), (low + high) / 2, atol=0.03 * (high - low))
    assert (w.min(axis=0) < low + 0.01 * (high - low)).all()
    assert (w.max(axis=0) > high - 0.01 * (high - low)).all()
    assert (starts(landscape, 3) == w[:3]).all()
    assert (starts(landscape, 3, seed=1) != w[:3]).any()


def test_every_listed_minimum_is_one(landscape: Landscape) -> None:
    loss, gradient = (np.array(part) for part in landscape.loss_and_gradient(landscape.minima))
    np.testing.assert_array_equal(loss, landscape.minimum_losses)
    # A position rounded to eps leaves a gradient of eps |w| J'': at most 2e-16 * 31 * 400 = 3e-12.
    assert np.abs(gradient).max() < 1e-11
    for minimum in landscape.minima:
        eigenvalues = np.linalg.eigvalsh(hessian(landscape, minimum))
        # The flattest is Rosenbrock's valley, 0.4 to 1000; differences err by 1e-6.
        assert eigenvalues[0] > 1e-2 * min(1.0, eigenvalues[-1])


def test_minima_are_ordered_and_distinct(landscape: Landscape) -> None:
    losses = landscape.minimum_losses
    assert (np.diff(losses) > -1e-9).all()
    # Where the least loss is known exactly, the listed one may differ by rounding.
    assert landscape.known_minimum == pytest.approx(losses[0], abs=1e-12)
    assert landscape.known_minimum <= losses.min()
    assert len({tuple(np.round(w, 6)) for w in landscape.minima}) == len(losses)


def test_no_search_beats_the_known_minimum(landscape: Landscape) -> None:
    searches = 200 if landscape.parameters < 10 else 10
    found = [
        optimize.minimize(one(landscape), start, jac=True, method="L-BFGS-B").fun
        for start in starts(landscape, searches)
    ]
    # Not beaten, by more than rounding; and, so that the search means something, reached.
    assert min(found) > landscape.known_minimum - 1e-12
    assert min(found) < landscape.known_minimum + 1e-6


@pytest.mark.parametrize("name", SMALL)
def test_search_finds_exactly_the_listed_minima(name: str) -> None:
    """From a grid over more than the span, so that minima outside it are found too."""
    landscape = MAKERS[name]()
    assert landscape.minima_complete
    reach = max(1.1 * max(map(abs, landscape.span)), 1.1 * np.abs(landscape.minima).max())
    count = 2001 if landscape.parameters == 1 else 40
    grid = itertools.product(np.linspace(-reach, reach, count), repeat=landscape.parameters)
    w = np.array(list(grid)) + 1e-3  # off the axes of symmetry, where the saddles are
    # Gradient descent at half the inverse of the steepest curvature: unlike a line search, it
    # cannot jump over a hill.
    lr = 0.5 / max(np.abs(np.linalg.eigvalsh(hessian(landscape, point))).max() for point in w)

    def scaled(point: FloatArray) -> tuple[float, FloatArray]:
        """As the search's first step is the gradient, it must not be longer than those above."""
        loss, gradient = one(landscape)(point)
        return lr * loss, lr * gradient

    for _ in range(3000):
        w = w - lr * landscape.loss_and_gradient(w)[1]
    seen = set()
    for near in np.unique(np.round(w, 2), axis=0):
        end = optimize.minimize(scaled, near, jac=True, method="BFGS", tol=1e-12).x
        away = np.linalg.norm(landscape.minima - end, axis=1)
        assert away.min() < 1e-5, f"{end} is a minimum that is not listed"
        seen.add(int(away.argmin()))
    assert seen == set(range(len(landscape.minima)))


def listed(landscape: Landscape) -> list[list[float]]:
    return [[*w, loss] for w, loss in zip(landscape.minima, landscape.minimum_losses, strict=True)]


def both(x: float, y: float, loss: float) -> list[list[float]]:
    return sorted([[x, y, loss], [-x, -y, loss]])


# Coordinates and losses, to the digits that are published.
PUBLISHED: dict[str, tuple[list[list[float]], float]] = {
    # Wikipedia, "Himmelblau's function" and "Test functions for optimization".
    "himmelblau": (
        [
            [-3.779310, -3.283186, 0.0],
            [-2.805118, 3.131312, 0.0],
            [3.0, 2.0, 0.0],
            [3.584428, -1.848126, 0.0],
        ],
        1.1e-6,
    ),
    # Surjanovic & Bingham: -1.0316 at +-(0.0898, -0.7126). The others: Dixon & Szegoe 1978.
    "six-hump-camel": (
        [
            *both(0.0898, -0.7126, -1.0316),
            *both(1.7036, -0.7961, -0.2155),
            *both(1.6071, 0.5687, 2.1043),
        ],
        1e-4,
    ),
    "three-hump-camel": ([[0.0, 0.0, 0.0], *both(-1.7475, 0.8737, 0.2986)], 1e-4),
    "styblinski-tang-1": ([[-2.903534, -39.16617], [2.746803, -25.02945]], 1e-5),
    # Kok & Sandrock 2009: the second minimum in four dimensions.
    "rosenbrock-4": (
        [[1.0, 1.0, 1.0, 1.0, 0.0], [-0.7756592, 0.6130934, 0.3820629, 0.1459720, 3.701429]],
        1e-6,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_minima_are_the_published_ones(name: str) -> None:
    expected, digits = PUBLISHED[name]
    np.testing.assert_allclose(listed(MAKERS[name]()), expected, atol=digits)


@pytest.mark.parametrize("dimensions", [1, 2, 5, 12, 13, 1000])
def test_styblinski_tang_in_n_dimensions(dimensions: int) -> None:
    landscape = StyblinskiTang(dimensions=dimensions)
    # -39.16616570377142 a dimension: Surjanovic & Bingham. 1e-12: rounding of a sum of 1000.
    assert landscape.known_minimum == pytest.approx(-39.16616570377142 * dimensions, rel=1e-12)
    # All 2^n up to 4096.
    assert len(landscape.minima) == (2**dimensions if dimensions <= 12 else 1)
    assert landscape.minima_complete == (dimensions <= 12)


@pytest.mark.parametrize(
    ("dimensions", "amplitude", "count"),
    # Counted for one dimension by sign changes of J' on a fine grid, below; powers of it for more.
    [(1, 10.0, 63), (2, 10.0, 63**2), (3, 10.0, 1), (3, 2.0, 13**3), (1, 1e9, 1), (4, 0.0, 1)],
)
def test_rastrigin_lists_all_minima_if_they_are_few(
    dimensions: int, amplitude: float, count: int
) -> None:
    landscape = Rastrigin(dimensions=dimensions, amplitude=amplitude)
    assert landscape.minima.shape == (count, dimensions)
    assert landscape.minima_complete == (count > 1 or amplitude == 0.0)
    assert (landscape.minima[0] == 0.0).all()
    assert landscape.known_minimum == landscape.minimum_losses[0] == 0.0


@pytest.mark.parametrize("amplitude", [0.05, 0.3, 0.8, 2.0, 5.05, 10.0, 31.4])
def test_rastrigin_minima_are_the_rises_of_the_gradient_through_zero(amplitude: float) -> None:
    landscape = Rastrigin(amplitude=amplitude)
    # 2^18 + 1 points, none of them a minimum but by chance: the shift is irrational.
    w = np.linspace(-4 * amplitude - 2, 4 * amplitude + 2, 2**18 + 1)[:, None] + np.sqrt(2) * 1e-6
    slope = np.array(landscape.loss_and_gradient(w)[1])[:, 0]
    rises = np.flatnonzero((slope[:-1] < 0) & (slope[1:] > 0))
    spacing = float(w[1, 0] - w[0, 0])
    np.testing.assert_allclose(np.sort(landscape.minima[:, 0]), w[rises, 0], atol=spacing)


@pytest.mark.parametrize("dimensions", [2, 3, 4, 7, 100, 101])
def test_rosenbrock_has_a_second_minimum_from_four_to_a_hundred_dimensions(dimensions: int) -> None:
    landscape = Rosenbrock(dimensions=dimensions)
    assert len(landscape.minima) == (2 if 4 <= dimensions <= 100 else 1)
    assert landscape.minima_complete == (dimensions <= 100)
    assert (landscape.minima[0] == 1.0).all()


@given(st.floats(-1.539, 1.539))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_double_well_has_two_wells_and_a_barrier(tilt: float) -> None:
    landscape = DoubleWell(tilt=tilt)
    roots = sorted(np.roots([4.0, 0.0, -4.0, tilt]).real)
    # At |tilt| = 1.539 two roots are 0.02 apart, and np.roots errs by eps / 0.02, with a margin.
    np.testing.assert_allclose(np.sort(landscape.minima[:, 0]), [roots[0], roots[2]], atol=1e-12)
    assert landscape.barrier == pytest.approx(roots[1], abs=1e-12)
    assert hessian(landscape, np.array([landscape.barrier]))[0, 0] < 0.0
    if abs(tilt) > 1e-6:
        assert np.sign(landscape.minima[0, 0]) == -np.sign(tilt)


def test_double_well_at_a_tilt_with_rational_roots() -> None:
    # 4 w^3 - 4 w + 1.5 = 4 (w - 1/2) (w^2 + w/2 - 3/4): the barrier is 1/2 exactly.
    landscape = DoubleWell(tilt=1.5)
    assert landscape.barrier == pytest.approx(0.5, abs=1e-15)
    expected = [(-1 - np.sqrt(13)) / 4, (-1 + np.sqrt(13)) / 4]
    np.testing.assert_allclose(landscape.minima[:, 0], expected, atol=1e-15)


def test_even_double_well_has_two_global_minima() -> None:
    landscape = DoubleWell(tilt=0)
    np.testing.assert_array_equal(landscape.minima, [[-1.0], [1.0]])
    np.testing.assert_array_equal(landscape.minimum_losses, [0.0, 0.0])
    assert landscape.known_minimum == 0.0


def test_saddle_is_strict() -> None:
    landscape = Saddle()
    loss, gradient = landscape.loss_and_gradient(landscape.saddle[None])
    assert loss[0] == 0.25
    assert (gradient == 0.0).all()
    # 1e-9: differences of x^3 - x at 1e-5 err by 1e-10.
    np.testing.assert_allclose(hessian(landscape, landscape.saddle), np.diag([-1, 1]), atol=1e-9)


@pytest.mark.parametrize(("lr", "factor"), [(0.25, 0.5), (0.75, -0.5), (1.0, -1.0), (1.25, -1.5)])
def test_single_weight_is_multiplied_at_each_step(lr: float, factor: float) -> None:
    """The lesson: w^2 overshoots above lr = 1/2 and diverges above lr = 1, by 1 - 2 lr a step."""
    landscape = SingleWeight()
    w = np.array([[1.0], [-2.0]])
    for _ in range(10):
        w = w - lr * landscape.loss_and_gradient(w)[1]
    # Powers of two throughout: exact.
    np.testing.assert_array_equal(w, factor**10 * np.array([[1.0], [-2.0]]))


def test_overflow_is_silent_where_the_engine_is() -> None:
    for name, make in MAKERS.items():
        landscape = make()
        for size in (1e160, 1e308, np.inf, -np.inf, np.nan):
            w = np.full((3, landscape.parameters), size)
            w[1] = landscape.minima[0]
            with np.errstate(all="ignore"):
                loss, gradient = landscape.loss_and_gradient(w)
            assert not np.isfinite(loss[0]), (name, size)
            assert loss[1] == landscape.minimum_losses[0], (name, size)
            assert np.abs(gradient[1]).max() < 1e-11, (name, size)


def test_a_copy_by_pickle_has_the_same_minima(landscape: Landscape) -> None:
    copy = pickle.loads(pickle.dumps(landscape))
    assert (copy.minima == landscape.minima).all()


def test_values_as_a_job_file_gives_them() -> None:
    assert Quadratic(curvatures=[1, 10, 100]).parameters == 3
    assert Quadratic(curvatures=np.array([1.0, 2.0])).parameters == 2  # type: ignore[arg-type]
    assert DoubleWell(tilt=1).tilt == 1.0
    assert Rastrigin(dimensions=np.int64(2)).parameters == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "parameters", "message"),
    [
        (
            SingleWeight,
            {"curvature": 0},
            "curvature = 0 is not valid; give a finite number above 0",
        ),
        (SingleWeight, {"curvature": -1.0}, "curvature = -1.0 is not valid"),
        (SingleWeight, {"minimum": np.nan}, "minimum = nan is not valid; give a finite number"),
        (SingleWeight, {"span": np.inf}, "span = inf is not valid"),
        (SingleWeight, {"span": 0.0}, "span = 0.0 is not valid"),
        (SingleWeight, {"minimum": 10**400}, "is not valid; give a finite number"),
        (Quadratic, {"curvatures": ()}, "curvatures is empty"),
        (Quadratic, {"curvatures": 3.0}, "curvatures = 3.0 is not valid; give a list"),
        (Quadratic, {"curvatures": "12"}, "curvatures = '12' is not valid; give a list"),
        (Quadratic, {"curvatures": (1.0, -1.0)}, r"curvatures\[1\] = -1.0 is not valid"),
        (Quadratic, {"curvatures": (1.0,), "span": -1.0}, "span = -1.0 is not valid"),
        (
            DoubleWell,
            {"tilt": 8 / 27**0.5},
            "give a finite number above -1.5396 and below 1.5396",
        ),
        (DoubleWell, {"tilt": -2}, "tilt = -2 is not valid"),
        (DoubleWell, {"tilt": "0.3"}, "tilt = '0.3' is not valid"),
        (DoubleWell, {"tilt": True}, "tilt = True is not valid"),
        (DoubleWell, {"span": 0}, "span = 0 is not valid"),
        (Rastrigin, {"dimensions": 0}, "dimensions = 0 is not valid; give a whole number of at"),
        (Rastrigin, {"dimensions": 2.0}, "dimensions = 2.0 is not valid"),
        (Rastrigin, {"dimensions": True}, "dimensions = True is not valid"),
        (Rastrigin, {"amplitude": -1.0}, "give a finite number at least 0"),
        (StyblinskiTang, {"dimensions": 0}, "dimensions = 0 is not valid"),
        (
            Rosenbrock,
            {"dimensions": 1},
            "dimensions = 1 is not valid; give a whole number of at",
        ),
    ],
)
def test_bad_parameters_are_named(
    make: Callable[..., Landscape], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        make(**parameters)
    assert "\n" not in str(caught.value)
