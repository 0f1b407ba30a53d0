"""Against PyTorch itself, in double precision: its autograd, its optimizers, its Hessian.

PyTorch is no part of what is locked (see pyproject.toml); .ci/run installs it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trainers.curvature.finite_differences import hessians
from trainers.optimizers.registry import get_optimizer
from trainers.problem import FloatArray, evaluator
from trainers.problems.mlp import MLP
from trainers.problems.network import Network
from trainers.randomness import starts
from trainers.training.engine import train

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

STEPS = 100
OPTIMIZERS: dict[str, tuple[float, Callable[[Any, float], Any]]] = {
    "gd": (0.3, lambda w, lr: torch.optim.SGD(w, lr)),
    "momentum": (0.05, lambda w, lr: torch.optim.SGD(w, lr, momentum=0.9)),
    "nesterov": (0.05, lambda w, lr: torch.optim.SGD(w, lr, momentum=0.9, nesterov=True)),
    "rmsprop": (0.005, lambda w, lr: torch.optim.RMSprop(w, lr)),
    "adam": (0.02, lambda w, lr: torch.optim.Adam(w, lr)),
}
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "erf": lambda z: torch.erf(z / 2**0.5),
    "linear": lambda z: z,
}


def loss_of(network: Network) -> Callable[[Any], Any]:
    """J of one w (P,), written as somebody would write it in PyTorch."""
    rows, _, targets = (torch.tensor(part) for part in network._data)
    functional = torch.nn.functional

    def loss(w: Any) -> Any:
        at, values = 0, rows[:, :-1]  # the last column is of ones, for the biases
        for into, out in (pairs := list(itertools.pairwise(network.sizes))):
            layer = w[at : at + out * (into + 1)].reshape(out, into + 1)
            values = functional.linear(values, layer[:, :-1], layer[:, -1])
            at += layer.numel()
            if at < len(w):
                values = ACTIVATIONS[network.activation](values)
        assert (at, len(pairs)) == (network.parameters, len(network.sizes) - 1)
        if network.loss == "cross-entropy":
            mean = functional.cross_entropy(values, targets.T)
        else:
            mean = 0.5 * functional.mse_loss(values, targets.T, reduction="sum") / len(rows)
        return mean + network.weight_decay / 2 * (w**2).sum()

    return loss


def path_of(network: Network, name: str, rate: float, start: FloatArray) -> FloatArray:
    w = torch.tensor(start, requires_grad=True)
    loss, optimizer = loss_of(network), OPTIMIZERS[name][1]([w], rate)
    path = [start]
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
        path.append(w.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "network",
    [
        MLP(data="wine", hidden=[8], weight_decay=0.01),
        MLP(data="diabetes", hidden=[6, 5], activation="sigmoid"),
        # Not XOR: gradients that are zero by symmetry are zero here and 1e-17 there, and Adam
        # divides them by themselves.
        MLP(data="diabetes", hidden=[7], activation="erf", weight_decay=0.1),
        MLP(data="breast-cancer", hidden=[5], activation="relu"),
    ],
    ids=lambda network: f"{network.activation}-{network.loss}",
)
def test_whole_trainings(name: str, network: Network) -> None:
    rate = OPTIMIZERS[name][0]
    first = starts(network, restarts=3)
    ours = train(
        network, get_optimizer(name), learning_rate=rate, starts=first, steps=STEPS,
        record_path=True,
    ).path  # fmt: skip
    assert ours is not None
    for restart in range(3):
        theirs = path_of(network, name, rate, first[restart])
        assert np.linalg.norm(theirs[-1] - theirs[0]) > 0.1  # it has gone somewhere
        # Both round sums of some hundred products, 1e-14; a hundred stable steps magnify it little.
        np.testing.assert_allclose(ours[:, restart], theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "erf", "linear"])
def test_hessians(activation: str) -> None:
    network = MLP(data="wine", hidden=[4], activation=activation, weight_decay=0.01)
    w = starts(network, restarts=2)
    ours = hessians(evaluator(network), w)
    units = np.eye(network.parameters)
    for row, found in zip(w, ours, strict=True):
        exact = torch.autograd.functional.hessian(loss_of(network), torch.tensor(row)).numpy()
        # Central differences of gradients: their truncation, and rounding over the step, are 1e-9.
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-7 * np.abs(exact).max())
        # Products with unit vectors are its rows, but for the rounding of sums of 142 examples.
        products = network.hessian_product(np.tile(row, (len(units), 1)), units)
        np.testing.assert_allclose(products, exact, rtol=0, atol=1e-13 * np.abs(exact).max())
