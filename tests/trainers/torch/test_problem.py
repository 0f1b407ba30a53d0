"""J of a module: derivatives, in both precisions; its starts; the same elsewhere; its labels."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from scipy.optimize import minimize

from trainers.errors import InvalidInput
from trainers.optimizers.torch_rule import TorchRule
from trainers.outcomes.classify import classify
from trainers.problem import FloatArray
from trainers.randomness import starts
from trainers.testing import check_problem
from trainers.training import train

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from torch import nn  # noqa: E402

from tests.trainers.torch.modules import (  # noqa: E402
    CNN,
    MLP,
    MODULES,
    BatchNorm,
    Dropout,
    classes,
    images,
)
from trainers.torch import TorchProblem, module_seed, step_seed  # noqa: E402
from trainers.torch.randomness import seeded  # noqa: E402

functional = torch.nn.functional
CROSS_ENTROPY = functional.cross_entropy
SGD = TorchRule.of("sgd", {})


def of(name: str, dtype: str = "float64", **options: Any) -> TorchProblem:
    make, data = MODULES[name]
    return TorchProblem(make, CROSS_ENTROPY, data(), dtype=dtype, **options)


def plain_loss(name: str) -> Any:
    """J of one w (P,), by a fresh module in training mode whose parameters are cut out of it."""
    make, data = MODULES[name]
    x, y = (t.double() if t.is_floating_point() else t for t in data())
    module = make().double()
    shapes = {n: p.shape for n, p in module.named_parameters()}

    def loss(w: Any) -> Any:
        at, parts = 0, {}
        for n, shape in shapes.items():
            parts[n] = w[at : at + shape.numel()].view(shape)
            at += shape.numel()
        assert at == len(w)
        return CROSS_ENTROPY(torch.func.functional_call(module, parts, (x,)), y)

    return loss


@pytest.mark.parametrize("name", MODULES)
def test_loss_gradient_and_hessian(name: str) -> None:
    """Against autograd at one w at a time, and its dense Hessian."""
    problem, loss = of(name), plain_loss(name)
    w = starts(problem, restarts=2, seed=1)
    v = np.random.default_rng(0).standard_normal(w.shape)
    found, slope = problem.loss_and_gradient(w)
    products = problem.hessian_product(w, v)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        for row in range(2):
            point = torch.tensor(w[row], requires_grad=True)
            value = loss(point)
            (gradient,) = torch.autograd.grad(value, point)
            direction = torch.tensor(v[row])
            _, product = torch.autograd.functional.vhp(loss, point.detach(), direction)
            # Sums of some hundred products, rounded in another order.
            assert found[row] == pytest.approx(float(value.detach()), rel=1e-13)
            np.testing.assert_allclose(slope[row], gradient, rtol=1e-11, atol=1e-13)
            scale = float(product.abs().max())
            np.testing.assert_allclose(products[row], product, rtol=0, atol=1e-11 * scale)


@pytest.mark.parametrize("name", ["mlp", "batch norm", "gru"])
def test_all_of_the_hessian(name: str) -> None:
    """Products with the unit vectors are autograd's dense Hessian."""
    problem, loss = of(name), plain_loss(name)
    w = starts(problem, restarts=1, seed=1)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        exact = torch.autograd.functional.hessian(loss, torch.tensor(w[0])).numpy()
    units = np.eye(problem.parameters)
    products = problem.hessian_product(np.repeat(w, len(units), axis=0), units)
    np.testing.assert_allclose(products, exact, rtol=0, atol=1e-12 * np.abs(exact).max())


class Bowl(nn.Module):
    """J = 1/2 mean of (x . w)^2 over the examples: the Hessian is X^T X / N."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(6))

    def forward(self, x: Any) -> Any:
        return x @ self.w


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_a_known_quadratic(dtype: str, tolerance: float) -> None:
    """Sums of 48 products: rounding of 1e-16 and 1e-7, a few times over."""
    x, _ = classes()
    problem = TorchProblem(
        Bowl, lambda p, _: 0.5 * (p**2).mean(), (x, x), dtype=dtype, together="always"
    )
    rows = x.double().numpy()
    hessian = rows.T @ rows / len(rows)
    w, v = starts(problem, restarts=3), np.random.default_rng(1).standard_normal((3, 6))
    loss, gradient = problem.loss_and_gradient(w)
    assert loss.dtype == gradient.dtype == np.dtype(dtype)
    np.testing.assert_allclose(loss, 0.5 * ((w @ hessian) * w).sum(axis=1), rtol=tolerance)
    np.testing.assert_allclose(gradient, w @ hessian, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(
        problem.hessian_product(w, v), v @ hessian, rtol=tolerance, atol=tolerance
    )
    # A tenth above 2 / lambda_max falls, a tenth below does not.
    largest = np.linalg.eigvalsh(hessian)[-1]
    for share, falls in ((0.9, False), (1.1, True)):
        run = train(problem, SGD, learning_rate=share * 2 / largest, starts=w, steps=200,
                    sharpness_every=200)  # fmt: skip
        assert ((run.losses[-1] > run.losses[0]) | (run.diverged_at >= 0)).all() == falls
        if not falls:
            assert run.sharpness is not None
            # Lanczos' ten iterations in six dimensions end at the eigenvalue.
            np.testing.assert_allclose(run.sharpness[-1], largest, rtol=1e-6)


def test_in_float64() -> None:
    """The same problem: J of single precision differs from it by single rounding, at most."""
    single = of("mlp", "float32")
    double = single.in_float64()
    assert double.in_float64() is double
    w = starts(single, restarts=3)
    np.testing.assert_array_equal(starts(double, restarts=3), w)
    loss, gradient = double.loss_and_gradient(w)
    assert loss.dtype == gradient.dtype == np.float64
    expected = of("mlp").loss_and_gradient(w)
    np.testing.assert_array_equal(loss, expected[0])
    np.testing.assert_array_equal(gradient, expected[1])
    np.testing.assert_allclose(single.loss_and_gradient(w)[0], loss, rtol=1e-6)


def test_what_does_not_run_in_double_is_said() -> None:
    weight = torch.ones(3)  # stays single, whatever the module is
    problem = TorchProblem(MLP, lambda p, y: CROSS_ENTROPY(p, y, weight=weight), classes())
    assert problem.double is None
    assert problem.in_float64() is problem
    (said,) = problem.trainer().remarks(problem, [SGD], 16)
    assert said.startswith("MLP does not run in double precision: no restart can be told")
    as_module = TorchProblem(MLP, nn.CrossEntropyLoss(weight=weight), classes())
    assert as_module.double is not None  # which goes along


@pytest.mark.parametrize("name", ["mlp", "cnn", "batch norm", "lstm", "tied"])
def test_the_interface_is_kept(name: str) -> None:
    check_problem(of(name), restarts=3)


def test_batches_are_of_the_examples_asked_for() -> None:
    problem, (x, y) = of("mlp"), classes()
    w = starts(problem, restarts=2)
    rows = np.array([5, 1, 40])
    small = TorchProblem(MLP, CROSS_ENTROPY, (x[rows], y[rows]), dtype="float64")
    np.testing.assert_allclose(
        problem.loss_and_gradient(w, rows)[0], small.loss_and_gradient(w)[0], rtol=1e-14
    )


def test_starts_are_modules_made_under_the_printed_seed() -> None:
    problem = of("tied", "float32")
    w = starts(problem, restarts=3, seed=5)
    for row in range(3):
        torch.manual_seed(module_seed(5, row))
        module = MODULES["tied"][0]()
        flat = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
        np.testing.assert_array_equal(w[row], flat.double().numpy())
    assert len({module_seed(5, i) for i in range(1000)}) == 1000
    assert step_seed(5, 3) != step_seed(5, 4) != step_seed(6, 3)


def test_the_global_generator_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    problem = TorchProblem(Dropout, CROSS_ENTROPY, classes())
    train(problem, SGD, learning_rate=0.1, starts=starts(problem, restarts=2), steps=2)
    assert torch.equal(torch.get_rng_state(), state)


class Always(MLP):
    """Whose dropout is never off: people forget self.training."""

    def forward(self, x: Any) -> Any:
        return self.net(functional.dropout(x, 0.3))


def test_noise_that_is_never_off_is_the_same_at_every_w() -> None:
    """J is then the loss under the mask of seed 0: a function, asked however often."""
    problem = TorchProblem(Always, CROSS_ENTROPY, classes(), dtype="float64")
    w = starts(problem, restarts=2)
    loss, gradient = problem.loss_and_gradient(w)
    x, y = classes()
    with seeded(0):
        mask = functional.dropout(torch.ones_like(x.double()), 0.3)
    masked = TorchProblem(MLP, CROSS_ENTROPY, (x.double() * mask, y), dtype="float64")
    np.testing.assert_allclose(loss, masked.loss_and_gradient(w)[0], rtol=1e-12)
    np.testing.assert_array_equal(problem.loss_and_gradient(w)[1], gradient)
    alone = TorchProblem(Always, CROSS_ENTROPY, classes(), dtype="float64", together="never")
    np.testing.assert_allclose(alone.loss_and_gradient(w)[0], loss, rtol=1e-12)


def test_validation_loss() -> None:
    x, y = classes()
    problem = TorchProblem(MLP, CROSS_ENTROPY, (x[:32], y[:32]), validation=(x[32:], y[32:]))
    held = TorchProblem(MLP, CROSS_ENTROPY, (x[32:], y[32:]))
    w = starts(problem, restarts=2)
    found = problem.validation_loss(w)
    assert found is not None
    np.testing.assert_array_equal(found, held.loss_and_gradient(w)[0])
    assert of("mlp").validation_loss(w) is None


def test_a_checkpoint_starts_the_same_every_time() -> None:
    torch.manual_seed(0)
    module = BatchNorm()
    before = [p.clone() for p in (*module.parameters(), *module.buffers())]
    problem = TorchProblem(module, CROSS_ENTROPY, classes(), dtype="float64")
    trainer, rule = problem.trainer(), SGD
    assert not problem.starts_differ
    assert of("batch norm").starts_differ
    with pytest.raises(InvalidInput, match="starts the same every time, and so all restarts would"):
        trainer.remarks(problem, [rule], None)
    (said,) = trainer.remarks(problem, [rule], 16)
    assert "restarts differ by the order of the data alone" in said
    w = starts(problem, restarts=3)
    assert (w == w[0]).all()
    with pytest.raises(InvalidInput, match="starts the same every time: orders is missing"):
        train(problem, rule, learning_rate=0.1, starts=w, steps=5, batch_size=16)
    run = train(problem, rule, learning_rate=0.1, starts=w, steps=5, batch_size=16,
                orders=np.arange(3))  # fmt: skip
    assert len({*run.losses[-1]}) == 3
    after = [*module.parameters(), *module.buffers()]
    assert all(map(torch.equal, before, after))  # the user's own is not trained


def bits(problem: TorchProblem) -> tuple[FloatArray, FloatArray]:
    rule = TorchRule.of("adam", {})
    run = train(problem, rule, learning_rate=0.02, starts=starts(problem, restarts=3), steps=10,
                batch_size=16)  # fmt: skip
    return run.losses, problem.in_float64().loss_and_gradient(run.weights)[1]


def with_lambdas() -> TorchProblem:
    return TorchProblem(
        lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)),
        lambda p, y: CROSS_ENTROPY(p, y) + 0.01 * (p**2).mean(),
        classes(),
        scheduler=lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9),
        parameter_groups=lambda m, lr: [{"params": m[0].parameters(), "lr": lr / 2}],
        clip_norm=1.0,
    )


@pytest.mark.parametrize("used", [False, True])
def test_a_copy_trains_to_the_same_bits(used: bool) -> None:
    """Before it is used, and after, when much is known of it."""
    for problem, way in ((of("cnn", "float32"), pickle), (with_lambdas(), cloudpickle)):
        expected = bits(problem) if used else None
        copy = pickle.loads(way.dumps(problem))
        found = bits(copy)
        for a, b in zip(found, expected or bits(problem), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_copy_in_another_process_trains_to_the_same_bits(tmp_path: Path) -> None:
    problem = with_lambdas()
    run = train(problem, SGD, learning_rate=0.1, starts=starts(problem, restarts=3), steps=10,
                batch_size=16)  # fmt: skip
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (tmp_path / "problem").write_bytes(cloudpickle.dumps(problem))
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    script = """
import pickle, sys, numpy as np
from trainers.optimizers.torch_rule import TorchRule
from trainers.randomness import starts
from trainers.training import train
problem = pickle.load(open(sys.argv[1] + "/problem", "rb"))
run = train(problem, TorchRule.of("sgd", {}), learning_rate=0.1,
            starts=starts(problem, restarts=3), steps=10, batch_size=16)
np.save(sys.argv[1] + "/losses.npy", run.losses)
"""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=root)
    np.testing.assert_array_equal(np.load(tmp_path / "losses.npy"), run.losses)


class Logistic(nn.Module):
    """Convex, with a minimum of its own thanks to the penalty."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(6, 1)

    def forward(self, x: Any) -> Any:
        return self.line(x)[:, 0], self.line.weight, self.line.bias


def penalised(found: Any, y: Any) -> Any:
    z, weight, bias = found
    penalty = 0.05 * ((weight**2).sum() + (bias**2).sum())
    return functional.binary_cross_entropy_with_logits(z, y) + penalty


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_convex_problem_ends_in_its_global_minimum(dtype: str) -> None:
    """Whose level SciPy finds from the formula, in NumPy."""
    x, labels = classes()
    y = (labels > 0).float()
    problem = TorchProblem(Logistic, penalised, (x, y), dtype=dtype)
    rows, signs = x.double().numpy(), 2.0 * y.double().numpy() - 1.0

    def level(w: FloatArray) -> float:
        margins = signs * (rows @ w[:6] + w[6])
        return float(np.logaddexp(0.0, -margins).mean() + 0.05 * (w**2).sum())

    known = minimize(level, np.zeros(7), tol=1e-12).fun
    rule = TorchRule.of("sgd", {"momentum": 0.9})
    run = train(problem, rule, learning_rate=0.1, starts=starts(problem, restarts=6), steps=300)
    found = classify(problem, run)
    assert [str(basin) for basin in found.basin] == 6 * ["global-minimum"]
    # BFGS ends where its gradient is 1e-8 or so; single precision rounds the mean by 1e-7.
    tolerance = {"float64": 1e-9, "float32": 1e-6}[dtype]
    np.testing.assert_allclose(run.losses[-1], known, rtol=0, atol=tolerance)


def test_j_of_images_by_vmap_and_by_the_loop() -> None:
    """A larger one is evaluated row by row: the same function."""
    ways = [
        TorchProblem(CNN, CROSS_ENTROPY, images(), dtype="float64", together=together)
        for together in ("auto", "never")
    ]
    w = starts(ways[0], restarts=3)
    rows = ways[1].measure
    rows.together = False
    for a, b in zip(ways[0].loss_and_gradient(w), ways[1].loss_and_gradient(w), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


class Slope(nn.Module):
    """Trained on the slope of its output, as those are that solve differential equations."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))

    def forward(self, x: Any) -> Any:
        x.requires_grad_()
        return torch.autograd.grad(self.net(x).sum(), x, create_graph=True)[0]


class Checkpointed(MLP):
    """Which works its activations out again on the way back."""

    def forward(self, x: Any) -> Any:
        return torch.utils.checkpoint.checkpoint(self.net, x, use_reentrant=False)


class Doubled(torch.autograd.Function):
    """Of the old kind, which vmap does not know."""

    @staticmethod
    def forward(_: Any, x: Any) -> Any:
        return 2 * x

    @staticmethod
    def backward(_: Any, slope: Any) -> Any:
        return 2 * slope


class Once(Doubled):
    """With one way back and no second."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(_: Any, slope: Any) -> Any:
        return 2 * slope


class Functional(MLP):
    function: Any = Doubled

    def forward(self, x: Any) -> Any:
        return self.net(x + self.function.apply(self.net[0].weight[:1]))


class OnceFunctional(Functional):
    function = Once


@pytest.mark.parametrize("make", [Slope, Checkpointed, Functional, OnceFunctional])
def test_what_functional_transforms_do_not_know(make: Any) -> None:
    """It is measured by plain autograd; a product with the Hessian is given where there is one."""
    x, y = classes()
    target, loss = (x, functional.mse_loss) if make is Slope else (y, CROSS_ENTROPY)
    problem = TorchProblem(make, loss, (x, target), dtype="float64")
    (said,) = problem.trainer().remarks(problem, [SGD], 16)
    assert "cannot be trained many restarts at a time" in said
    w = starts(problem, restarts=2)
    assert (problem.hessian_product(w, w) is None) == (make is OnceFunctional)
    check_problem(problem, restarts=2)
    run = train(problem, SGD, learning_rate=0.1, starts=w, steps=20, batch_size=16)
    assert (run.losses[-1] < run.losses[0]).all()
    assert not x.requires_grad
