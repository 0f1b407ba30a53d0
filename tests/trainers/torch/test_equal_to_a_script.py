"""Restarts trained here lose what an ordinary PyTorch script loses that is given their seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trainers.optimizers.torch_rule import TorchRule
from trainers.randomness import starts
from trainers.training import Trajectories, train

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from tests.trainers.torch.modules import MLP, MODULES, Script, classes  # noqa: E402
from trainers.torch import TorchProblem, module_seed  # noqa: E402

RESTARTS, STEPS, SEED = 3, 50, 7
SEEDS = [module_seed(SEED, i) for i in range(RESTARTS)]
#: Rounding of sums of some hundred products, 1e-7 and 1e-16 of them, magnified by 50 stable steps:
#: measured at most 2e-6 and 1e-14.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
CROSS_ENTROPY = torch.nn.functional.cross_entropy


def trained(
    problem: TorchProblem, name: str, rate: float, batch_size: int | None = None, **options: Any
) -> Trajectories:
    """Three restarts of job 7 for 50 steps."""
    return train(
        problem,
        TorchRule.of(name, options),
        learning_rate=rate,
        starts=starts(problem, restarts=RESTARTS, seed=SEED),
        steps=STEPS,
        batch_size=batch_size,
        seed=SEED,
    )


def assert_equal(run: Trajectories, losses: Any, dtype: str) -> None:
    """The losses that were recorded are those of the script, and have gone down."""
    assert (losses[-1] < losses[0]).all()
    np.testing.assert_allclose(
        run.losses, losses[run.recorded], rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )


@pytest.mark.parametrize(
    ("batch_size", "dtype", "together"),
    [(None, "float64", "always"), (16, "float32", "always"), (16, "float64", "never")],
)
@pytest.mark.parametrize("name", MODULES)
def test_modules(name: str, batch_size: int | None, dtype: str, together: Any) -> None:
    make, data = MODULES[name]
    problem = TorchProblem(make, CROSS_ENTROPY, data(), dtype=dtype, together=together)
    run = trained(problem, "sgd", 0.1, batch_size, momentum=0.9)
    script = Script(
        make,
        data(),
        lambda module: torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9),
        batch_size=batch_size,
        seed=SEED,
        dtype=getattr(torch, dtype),
    )
    assert_equal(run, script.losses(SEEDS, STEPS), dtype)


OPTIMIZERS: dict[str, tuple[str, float, dict[str, Any]]] = {
    "SGD": ("sgd", 0.3, {}),
    "momentum": ("sgd", 0.1, {"momentum": 0.9}),
    "nesterov": ("sgd", 0.1, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "dampening": ("sgd", 0.3, {"momentum": 0.5, "dampening": 0.2}),
    "Adam": ("adam", 0.02, {"betas": [0.8, 0.99], "weight_decay": 0.01}),
    "AdamW": ("adamw", 0.02, {"weight_decay": 0.1}),
    "amsgrad": ("adam", 0.02, {"amsgrad": True}),
    "RMSprop": ("rmsprop", 0.005, {"momentum": 0.5}),
    "centered": ("rmsprop", 0.005, {"centered": True}),
    "Adagrad": ("adagrad", 0.1, {"lr_decay": 0.01}),
    "Adadelta": ("adadelta", 5.0, {}),
    "Adamax": ("adamax", 0.02, {}),
    "NAdam": ("nadam", 0.02, {}),
    "RAdam": ("radam", 0.02, {}),
    "ASGD": ("asgd", 0.1, {}),
    "Rprop": ("rprop", 0.001, {}),
    "fused": ("adamw", 0.02, {"fused": True}),
    "foreach": ("adamw", 0.02, {"foreach": True}),
}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_optimizers(case: str) -> None:
    dtype = "float32" if case in ("fused", "foreach", "nesterov") else "float64"
    name, rate, options = OPTIMIZERS[case]
    kinds = {kind.lower(): getattr(torch.optim, kind) for kind in dir(torch.optim)}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    size = None if case == "Rprop" else 16  # which is for full batches
    problem = TorchProblem(MLP, CROSS_ENTROPY, classes(), dtype=dtype, together="always")
    script = Script(
        MLP,
        classes(),
        lambda module: kinds[name](module.parameters(), lr=rate, **given),
        batch_size=size,
        seed=SEED,
        dtype=getattr(torch, dtype),
    )
    assert_equal(trained(problem, name, rate, size, **options), script.losses(SEEDS, STEPS), dtype)


def warm_up(optimizer: Any) -> Any:
    rates = torch.optim.lr_scheduler
    return rates.SequentialLR(
        optimizer,
        [
            rates.LinearLR(optimizer, start_factor=0.1, total_iters=10),
            rates.CosineAnnealingLR(optimizer, T_max=STEPS - 10),
        ],
        milestones=[10],
    )


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(
        o, max_lr=0.3, total_steps=STEPS + 1
    ),
    "cosine": warm_up,
    "steps": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=10, gamma=0.5),
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
}


@pytest.mark.parametrize("together", ["always", "never"])
@pytest.mark.parametrize("case", SCHEDULERS)
def test_schedulers(case: str, together: Any) -> None:
    scheduler = SCHEDULERS[case]
    problem = TorchProblem(
        MLP, CROSS_ENTROPY, classes(), dtype="float64", together=together, scheduler=scheduler
    )
    script = Script(
        MLP,
        classes(),
        lambda module: torch.optim.SGD(module.parameters(), lr=0.2, momentum=0.9),
        batch_size=16,
        seed=SEED,
        dtype=torch.float64,
        scheduler=scheduler,
    )
    run = trained(problem, "sgd", 0.2, 16, momentum=0.9)
    assert_equal(run, script.losses(SEEDS, STEPS), "float64")


@pytest.mark.parametrize("together", ["always", "never"])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_clipped_gradients(dtype: str, together: Any) -> None:
    """Each by its own norm: some are cut in every step, and some in none."""
    problem = TorchProblem(
        MLP, CROSS_ENTROPY, classes(), dtype=dtype, together=together, clip_norm=0.5
    )
    script = Script(
        MLP,
        classes(),
        lambda module: torch.optim.SGD(module.parameters(), lr=0.3),
        batch_size=16,
        seed=SEED,
        dtype=getattr(torch, dtype),
        clip=0.5,
    )
    losses = script.losses(SEEDS, STEPS)
    assert_equal(trained(problem, "sgd", 0.3, 16), losses, dtype)
    unclipped = Script(
        MLP,
        classes(),
        lambda module: torch.optim.SGD(module.parameters(), lr=0.3),
        batch_size=16,
        seed=SEED,
        dtype=getattr(torch, dtype),
    ).losses(SEEDS, STEPS)
    assert (np.abs(unclipped - losses)[-1] > 1e-3).all()  # it made a difference


def no_decay_on_biases(module: Any, _: float) -> list[dict[str, Any]]:
    every = list(module.named_parameters())
    return [
        {"params": [p for n, p in every if n.endswith("bias")], "weight_decay": 0.0},
        {"params": [p for n, p in every if n.endswith("weight")], "weight_decay": 0.1},
    ]


def own_rate(module: Any, lr: float) -> list[dict[str, Any]]:
    return [{"params": module.net[2].parameters(), "lr": lr / 10}, {"params": module.net[0].weight}]


def named(module: Any, lr: float) -> list[dict[str, Any]]:
    return [{"params": module.net[2].named_parameters(), "lr": lr / 10}]


@pytest.mark.parametrize("together", ["always", "never"])
@pytest.mark.parametrize("groups", [no_decay_on_biases, own_rate, named])
def test_parameter_groups(groups: Any, together: Any) -> None:
    """Without decay on biases; with a rate of one's own, and parameters that are in no group."""
    problem = TorchProblem(
        MLP,
        CROSS_ENTROPY,
        classes(),
        dtype="float64",
        together=together,
        parameter_groups=groups,
    )
    script = Script(
        MLP,
        classes(),
        lambda module: torch.optim.AdamW(groups(module, 0.02), lr=0.02),
        batch_size=16,
        seed=SEED,
        dtype=torch.float64,
    )
    run = trained(problem, "adamw", 0.02, 16)
    assert_equal(run, script.losses(SEEDS, STEPS), "float64")
    if groups is not no_decay_on_biases:
        still = run.starts == run.weights
        in_no_group = {own_rate: 8, named: 6 * 8 + 8}[groups]
        assert (still.sum(axis=1) == in_no_group).all()
