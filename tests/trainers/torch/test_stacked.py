"""Many restarts at once are those restarts one by one, whatever the others do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trainers.optimizers.torch_rule import TorchRule
from trainers.randomness import batches, starts
from trainers.training import TrainingPlan, Trajectories, train
from trainers.training.bookkeeping import keep_books

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from tests.trainers.torch.modules import (  # noqa: E402
    CNN,
    MLP,
    BatchNorm,
    Dropout,
    Recurrent,
    Script,
    classes,
    images,
)
from trainers.torch import TorchProblem, module_seed, step_seed  # noqa: E402
from trainers.torch.order import Order  # noqa: E402
from trainers.torch.stacked import Stacked  # noqa: E402

CROSS_ENTROPY = torch.nn.functional.cross_entropy
STEPS = 20


def problem_of(
    make: Callable[[], Any] = MLP, together: Any = "always", data: Any = classes, **options: Any
) -> TorchProblem:
    return TorchProblem(make, CROSS_ENTROPY, data(), together=together, **options)


def trained(
    problem: TorchProblem, w: Any, name: str = "adam", rate: float = 0.05, **options: Any
) -> Trajectories:
    rule = TorchRule.of(name, options.pop("hyperparameters", {}))
    plan = {"steps": STEPS, "batch_size": 16, "seed": 3} | options
    return train(problem, rule, learning_rate=rate, starts=w, **plan)


def assert_same_bits(run: Trajectories, whole: Trajectories, rows: Any) -> None:
    """All that is kept of a restart is the same in both, to the bit."""
    np.testing.assert_array_equal(run.losses, whole.losses[:, rows])
    np.testing.assert_array_equal(run.weights, whole.weights[rows])
    np.testing.assert_array_equal(run.diverged_at, whole.diverged_at[rows])
    if whole.preconditioner is not None and run.preconditioner is not None:  # None: all are gone
        np.testing.assert_array_equal(run.preconditioner, whole.preconditioner[rows])


CASES: dict[str, tuple[Any, Any, str, float, dict[str, Any]]] = {
    "mlp": (MLP, classes, "adam", 0.05, {}),
    "cnn": (CNN, images, "sgd", 0.05, {"momentum": 0.9}),
    "batch norm": (BatchNorm, classes, "rmsprop", 0.01, {}),
    "lstm": (Recurrent, images, "adamw", 0.02, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_cut_gives_the_same_bits(case: str) -> None:
    make, data, name, rate, hyperparameters = CASES[case]
    problem = problem_of(make, data=data)
    w = starts(problem, restarts=16, seed=1)
    whole = trained(problem, w, name, rate, hyperparameters=hyperparameters)
    assert (whole.losses[-1] < whole.losses[0]).all()
    for first, last in ((0, 2), (2, 5), (5, 12), (14, 16)):
        part = trained(problem, w[first:last], name, rate, hyperparameters=hyperparameters)
        assert_same_bits(part, whole, slice(first, last))


# Rates at which some of 16 restarts pass the limit, in parts of their first loss, within 20 steps,
# and some do not.
FALLING: dict[str, tuple[float, float, dict[str, Any]]] = {
    "sgd": (1.0, 1.0001, {"momentum": 0.9}),
    "adam": (1.0, 3.0, {}),
    "nadam": (1.0, 3.0, {}),
    "adagrad": (1.0, 3.0, {}),
    "asgd": (2.0, 1.0001, {}),
    "rmsprop": (0.1, 3.0, {"centered": True, "momentum": 0.5}),
}


@pytest.mark.parametrize("name", FALLING)
def test_who_diverges_and_leaves_changes_nothing_for_others(name: str) -> None:
    """Cut otherwise, other restarts leave beside each: its bits stay."""
    rate, limit, hyperparameters = FALLING[name]
    problem = problem_of()
    w = starts(problem, restarts=16, seed=1)
    options = {"diverged": limit, "hyperparameters": hyperparameters}
    whole = trained(problem, w, name, rate, **options)
    gone = whole.diverged_at >= 0
    assert 0 < gone.sum() < 16
    for first, last in ((0, 7), (7, 9), (9, 12), (12, 16)):
        part = trained(problem, w[first:last], name, rate, **options)
        assert_same_bits(part, whole, slice(first, last))


def test_the_last_one_that_is_left_goes_on_with_the_same_bits() -> None:
    problem = problem_of()
    w = starts(problem, restarts=4, seed=1)
    far = w.copy()
    far[[0, 1, 3]] *= 1e39  # not finite in single precision
    left = trained(problem, far)
    assert left.diverged_at.tolist() == [0, 0, -1, 0]
    whole = trained(problem, w)
    np.testing.assert_array_equal(left.losses[:, 2], whole.losses[:, 2])
    np.testing.assert_array_equal(left.weights[2], whole.weights[2])


def test_a_job_of_one_restart_is_trained_with_the_bits_it_has_among_others() -> None:
    problem = problem_of()
    w = starts(problem, restarts=3, seed=1)
    assert_same_bits(trained(problem, w[1:2]), trained(problem, w), slice(1, 2))


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "adagrad"])
def test_stacked_and_one_by_one(name: str) -> None:
    """The two ways differ by rounding alone, in all that is kept."""
    rate = {"sgd": 0.3, "adagrad": 0.05}.get(name, 0.01)
    runs = [
        trained(problem, starts(problem, restarts=5, seed=1), name, rate, sharpness_every=10)
        for problem in (problem_of(together=way, dtype="float64") for way in ("always", "never"))
    ]
    # Sums of some hundred products, 1e-16, magnified by 20 stable steps; the sharpness by Lanczos'
    # ten iterations, and a cosine is a quotient.
    for field, tolerance in {
        "losses": 1e-12,
        "weights": 1e-11,
        "tail_weights": 1e-11,
        "cosine": 1e-8,
        "displacement": 1e-8,
        "preconditioner": 1e-10,
        "sharpness": 1e-6,
    }.items():
        together, alone = (getattr(run, field) for run in runs)
        if field == "preconditioner" and name == "sgd":
            assert together is None
            assert alone is None
            continue
        np.testing.assert_allclose(together, alone, rtol=tolerance, atol=tolerance, err_msg=field)


@pytest.mark.parametrize("together", ["always", "never"])
def test_orders_of_their_own(together: Any) -> None:
    """Restart i sees the batches of the stream with its number; without numbers all see one."""
    problem = problem_of(together=together, dtype="float64")
    seeds, orders = [module_seed(3, i) for i in range(3)], [4, 9, 2]
    w = starts(problem, restarts=3, seed=3)
    script = Script(
        MLP,
        classes(),
        lambda module: torch.optim.SGD(module.parameters(), lr=0.3),
        batch_size=16,
        seed=3,
        dtype=torch.float64,
    )
    run = trained(problem, w, "sgd", 0.3, orders=np.array(orders))
    expected = script.losses(seeds, STEPS, orders)
    np.testing.assert_allclose(run.losses, expected[run.recorded], rtol=1e-10)
    assert (np.abs(expected - script.losses(seeds, STEPS))[-1] > 1e-4).all()
    single = trained(problem, w[1:2], "sgd", 0.3, orders=np.array(orders[1:2]))
    np.testing.assert_array_equal(single.losses[:, 0], run.losses[:, 1])


def test_orders_stay_with_their_restarts_when_others_leave() -> None:
    problem = problem_of()
    w = starts(problem, restarts=4, seed=1)
    far = w.copy()
    far[[0, 2]] *= 1e39
    numbers = np.array([5, 6, 7, 8])
    left = trained(problem, far, orders=numbers)
    whole = trained(problem, w, orders=numbers)
    assert left.diverged_at.tolist() == [0, -1, 0, -1]
    np.testing.assert_array_equal(left.losses[:, [1, 3]], whole.losses[:, [1, 3]])


@pytest.mark.parametrize("together", ["always", "never"])
@pytest.mark.parametrize("batch_size", [None, 16])
def test_dropout_by_the_seed_of_the_step(batch_size: int | None, together: Any) -> None:
    """The same mask for all restarts: a loop that sets the step's seed has the same losses, which
    are recorded without dropout."""
    problem = problem_of(Dropout, together, dtype="float64")
    w = starts(problem, restarts=3, seed=3)
    run = trained(problem, w, "sgd", 0.3, batch_size=batch_size)
    script = Script(
        Dropout,
        classes(),
        lambda module: torch.optim.SGD(module.parameters(), lr=0.3),
        batch_size=batch_size,
        seed=3,
        dtype=torch.float64,
        step_seed=lambda step: step_seed(3, step),
    )
    expected = script.losses([module_seed(3, i) for i in range(3)], STEPS)
    np.testing.assert_allclose(run.losses, expected[run.recorded], rtol=1e-10)
    (said,) = problem.trainer().remarks(problem, [TorchRule.of("sgd", {})], batch_size)
    assert "step_seed(seed, step)" in said
    again = trained(problem, w[:2], "sgd", 0.3, batch_size=batch_size)
    np.testing.assert_array_equal(again.losses, run.losses[:, :2])


def test_recording_does_not_move_the_buffers() -> None:
    """A script without any recording ends with the same running statistics."""
    problem = problem_of(BatchNorm, dtype="float64")
    rule, w = TorchRule.of("sgd", {}), starts(problem, restarts=2, seed=3)
    plan = TrainingPlan(w, np.full(2, 0.1), STEPS, 16, 3)
    order = Order(
        problem.data,
        plan,
        lambda at: problem.measure.losses(at, problem.data.tensors),
        draws=False,
    )
    stepper = Stacked(problem.recipe(rule, 0.1), torch.tensor(w), order)
    keep_books(stepper, rule, plan)
    numbers = batches(48, 16, 3)
    torch.manual_seed(module_seed(3, 1))
    module, (x, y) = BatchNorm().double(), classes()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in range(STEPS + 1):  # the last look is one without a step
        batch = torch.tensor(next(numbers))
        optimizer.zero_grad()
        CROSS_ENTROPY(module(x.double()[batch]), y[batch]).backward()
        if step < STEPS:
            optimizer.step()
    for name, values in module.named_buffers():
        found = stepper.buffers[f"module.{name}"][1]
        np.testing.assert_allclose(found, values, rtol=1e-10, err_msg=name)
    assert int(module.net[1].num_batches_tracked) == STEPS + 1
