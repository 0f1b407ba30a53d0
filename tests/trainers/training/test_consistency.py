"""A problem's own code is tried before anything is trained."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trainers import InvalidInput, Problem, get_problem
from trainers.errors import ProblemFailed
from trainers.problems.registry import PROBLEMS, example_of
from trainers.training.consistency import check_consistency


class Bowl(Problem):
    """Half the sum of k w_k^4 and of w_k^2, at the start far from its minimum."""

    known_minimum = 0.0
    parameters = 40
    weights = np.arange(1.0, 41.0)

    def initial(self, rng: np.random.Generator) -> Any:
        return rng.uniform(-2, 2, self.parameters)

    def loss_and_gradient(self, w: Any) -> Any:
        return 0.5 * (self.weights * w**4 + w**2).sum(axis=1), 2 * self.weights * w**3 + w


def bowl(**methods: Any) -> Problem:
    made: Problem = type("Mine", (Bowl,), methods)()
    return made


def gradient(change: Callable[[Any], Any]) -> Any:
    return lambda self, w: (
        Bowl.loss_and_gradient(self, w)[0],
        change(Bowl.loss_and_gradient(self, w)[1].copy()),
    )


def one_off(factor: float) -> Any:
    def change(g: Any) -> Any:
        g[:, 7] *= factor
        return g

    return change


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_built_in_passes(name: str) -> None:
    check_consistency(example_of(name))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_kinks_do_not_matter(activation: str) -> None:
    check_consistency(get_problem("mlp", data="wine", hidden=[16, 16], activation=activation))


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_nor_does_the_scale_of_the_loss(scale: float) -> None:
    def scaled(self: Any, w: Any) -> Any:
        loss, slope = Bowl.loss_and_gradient(self, w)
        return scale * loss, scale * slope

    check_consistency(bowl(loss_and_gradient=scaled))


def test_single_precision_is_held_to_what_it_can() -> None:
    def single(self: Any, w: Any) -> Any:
        return tuple(a.astype(np.float32) for a in Bowl.loss_and_gradient(self, w))

    check_consistency(bowl(loss_and_gradient=single))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda g: -g, id="sign"),
        pytest.param(lambda g: 2 * g, id="factor"),
        pytest.param(lambda g: 1.05 * g, id="5 %"),
        pytest.param(lambda g: 0 * g, id="none"),
        pytest.param(one_off(0.0), id="one coordinate left out"),
        pytest.param(one_off(-1.0), id="one coordinate's sign"),
        pytest.param(lambda g: g[:, ::-1], id="order"),
    ],
)
def test_another_loss_s_gradient(change: Any) -> None:
    with pytest.raises(InvalidInput, match="gradient is not that of the loss") as caught:
        check_consistency(bowl(loss_and_gradient=gradient(change)))
    assert "check = false in [problem]" in str(caught.value)


def test_both_numbers_are_told() -> None:
    """Along any direction the bowl's own gradient says half of what 2 g does."""
    with pytest.raises(InvalidInput) as caught:
        check_consistency(bowl(loss_and_gradient=gradient(lambda g: 2 * g)))
    words = str(caught.value).replace(",", " ").replace(";", " ").split()
    said, seen = (float(word) for word in words if word.lstrip("-")[:1].isdigit())
    assert said == pytest.approx(2 * seen, rel=1e-4)  # six digits are printed


GLOBAL = {
    "numpy": lambda *_: np.random.uniform(-1, 1, 40),  # noqa: NPY002
    "random": lambda *_: np.full(40, random.uniform(-1, 1)),
    "fresh": lambda *_: np.random.default_rng().uniform(-1, 1, 40),
}


@pytest.mark.parametrize("name", GLOBAL)
def test_a_start_that_is_another_each_time(name: str) -> None:
    with pytest.raises(InvalidInput, match="initial gives another start each time: w"):
        check_consistency(bowl(initial=GLOBAL[name]))


def test_a_start_that_depends_on_those_before() -> None:
    def after(self: Any, _: Any) -> Any:
        self.calls = getattr(self, "calls", 0) + 1
        return np.full(40, float(self.calls))

    with pytest.raises(InvalidInput, match=r"w\[0\] of start 7 is 8, then 9"):
        check_consistency(bowl(initial=after))


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_noise(what: str) -> None:
    def noisy(self: Any, w: Any) -> Any:
        loss, slope = Bowl.loss_and_gradient(self, w)
        noise = np.random.default_rng().normal(0, 1e-4)
        return (loss + noise, slope) if what == "loss" else (loss, slope + noise)

    with pytest.raises(InvalidInput, match=f"another {what} each time at the same w"):
        check_consistency(bowl(loss_and_gradient=noisy))


def test_nothing_to_learn_from() -> None:
    flat = lambda _, w: (np.ones(len(w)), np.zeros_like(w))  # noqa: E731
    with pytest.raises(InvalidInput, match="loss is 1 and the gradient 0 at each of 8 starts"):
        check_consistency(bowl(loss_and_gradient=flat))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_starts_without_a_loss(value: float) -> None:
    """Some are the report's matter; all are the end."""

    def cut(self: Any, w: Any) -> Any:
        loss, slope = Bowl.loss_and_gradient(self, w)
        return np.where(w[:, 0] < self.edge, value, loss), slope

    check_consistency(bowl(loss_and_gradient=cut, edge=0.0))
    with pytest.raises(ProblemFailed, match="64 of 64 starts: loss not finite before any step"):
        check_consistency(bowl(loss_and_gradient=cut, edge=3.0))
