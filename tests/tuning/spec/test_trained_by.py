"""Whose the optimizers of a job are: known by the trainer of its problem, told apart by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from trainers import InvalidInput
from trainers.optimizers.base import UpdateRule
from trainers.optimizers.torch_rule import TorchRule
from trainers.problem import Problem
from trainers.training.engine import NumPyTrainer
from tuning.spec.job import JobSpec, read_spec


def job(*optimizers: Any, problem: str = "model:make_problem") -> JobSpec:
    return read_spec({"problem": {"name": problem}, "search": {"optimizers": list(optimizers)}})


class PyTorchs(NumPyTrainer):
    """A trainer that takes any name as PyTorch's."""

    def full_name(self, optimizer: str, hyperparameters: Mapping[str, Any]) -> str:
        return f"torch:{optimizer.removeprefix('torch:')}"

    def remarks(
        self, problem: Problem, rules: Sequence[UpdateRule], batch_size: int | None
    ) -> list[str]:
        return []


def test_names_become_those_of_the_library_that_trains() -> None:
    spec = job("adam", {"name": "adamw", "weight_decay": 0.01}, "torch:own").trained_by(PyTorchs())
    assert [entry["name"] for entry in spec.search.optimizers] == [
        "torch:adam",
        "torch:adamw",
        "torch:own",
    ]
    assert [rule.label for rule in spec.search.rules] == [
        "adam",
        "adamw(weight_decay=0.01)",
        "own",
    ]
    # A job is read again from what it was kept as, by those who have no PyTorch.
    assert read_spec(spec.model_dump(mode="json")) == spec
    assert spec.trained_by(PyTorchs()) == spec


def test_numpys_own_stay_as_they_are() -> None:
    spec = job("gd", {"name": "adam", "beta1": 0.8}, problem="xor")
    assert spec.trained_by(NumPyTrainer()) == spec


@pytest.mark.parametrize("entry", ["sgd", {"name": "adam", "betas": [0.9, 0.99]}, "torch:adam"])
def test_pytorchs_do_not_train_numpys_problems(entry: object) -> None:
    spec = job("gd", entry, problem="xor")
    with pytest.raises(InvalidInput, match=r"^search\.optimizers\.1: "):
        spec.trained_by(NumPyTrainer())


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("adm", r"unknown optimizer 'adm'; did you mean 'adam'"),
        ({"name": "adam", "beta3": 1}, r"adam: unknown hyperparameter 'beta3'"),
    ],
)
def test_a_slip_is_found_when_the_file_is_read(entry: object, line: str) -> None:
    with pytest.raises(InvalidInput, match=line):
        job(entry)


@pytest.mark.parametrize(
    ("name", "hyperparameters", "limit"),
    [
        ("sgd", {}, 2.0),
        ("sgd", {"momentum": 0.9}, 3.8),
        ("sgd", {"momentum": 0.9, "nesterov": True}, 3.8 / 2.8),
        ("sgd", {"momentum": 0.9, "dampening": 0.9}, 38.0),
        ("adam", {}, 38.0),
        ("adamw", {"betas": [0.5, 0.9]}, 6.0),
        ("rmsprop", {}, 2.0),
        ("adagrad", {}, 2.0),
        ("lamb", {}, math.inf),
        ("adam", {"amsgrad": True}, math.inf),
    ],
)
def test_the_limit_on_a_quadratic(name: str, hyperparameters: dict[str, Any], limit: float) -> None:
    """2 (1 + m) and 2 (1 + m) / (1 + 2 m) for momentum m (Cohen et al. 2021), 2 (1 + beta1) /
    (1 - beta1) for Adam (2022); dampening makes the rate as much smaller. Reached by simulation in
    tests/trainers/torch."""
    assert TorchRule.of(name, hyperparameters).stability_limit == pytest.approx(limit)


def test_labels_are_written_as_pytorch_takes_them() -> None:
    given = {"betas": [0.9, 0.99], "weight_decay": 1e-2, "amsgrad": True}
    rule = TorchRule.of("torch:adam", given)
    assert str(rule) == rule.label == "adam(betas=(0.9, 0.99), weight_decay=0.01, amsgrad=True)"
    assert rule.hyperparameters == {**given, "betas": (0.9, 0.99)}
