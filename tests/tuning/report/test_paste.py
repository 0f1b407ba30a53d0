"""What a report has one paste, run in the libraries themselves: the same 20 losses.

None of PyTorch, Keras, optax and JAX is part of what is locked (see pyproject.toml); .ci/run
installs them.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from tests.support import made_reports
from trainers import Problem
from trainers.optimizers import Adam, Optimizer, get_optimizer
from trainers.problem import FloatArray
from trainers.problems.mlp import MLP, XOR
from trainers.problems.network import Network
from trainers.problems.registry import get_problem
from trainers.randomness import starts
from trainers.training.engine import train
from tuning.analysis import problem_facts
from tuning.report.html import page
from tuning.report.paste import Recipe, recipes
from tuning.report.paste.recipe import call
from tuning.report.terminal import text

ROOT = Path(__file__).resolve().parents[3]
STEPS = 20

#: Rates at which the loss falls by a tenth and more within 20 steps.
RULES: dict[str, tuple[Optimizer, float]] = {
    "gd": (get_optimizer("gd"), 0.3),
    "momentum": (get_optimizer("momentum"), 0.1 + 0.2),
    "momentum 0.5": (get_optimizer("momentum", beta=0.5), 0.3),
    "nesterov": (get_optimizer("nesterov"), 0.1),
    "nesterov 0.7": (get_optimizer("nesterov", beta=0.7), 0.2),
    "nesterov 0": (get_optimizer("nesterov", beta=0.0), 1 / 3),
    "rmsprop": (get_optimizer("rmsprop"), 0.01),
    "rmsprop 0.9": (get_optimizer("rmsprop", alpha=0.9, epsilon=0.01), 0.03),
    "adam": (get_optimizer("adam"), 0.03),
    "adam 0.8": (get_optimizer("adam", beta1=0.8, beta2=0.99, epsilon=0.01), 0.05),
}
NETWORKS: dict[str, Network] = {
    # No tanh: Keras computes that in single precision, whatever it is told.
    "decay": MLP(data="wine", hidden=[8], activation="sigmoid", weight_decay=0.01),
    "no decay": MLP(data="wine", hidden=[8], activation="relu"),
    "squares": MLP(data="diabetes", hidden=[6, 5], activation="sigmoid"),
}
#: Each rule with decay, where most can go wrong; each loss with a plain rule and with one that
#: has a memory of its own.
CASES = [
    *(("decay", rule) for rule in RULES),
    *itertools.product(("no decay", "squares"), ("gd", "momentum", "rmsprop", "adam")),
]
every = pytest.mark.parametrize(("network", "rule"), CASES)


def told(problem: Problem, rule: Optimizer, rate: float, **training: Any) -> dict[str, Recipe]:
    best = made_reports.report().best_stable
    assert best is not None
    best = replace(
        best, optimizer=str(rule), hyperparameters=rule.hyperparameters, learning_rate=rate
    )
    job = {"training": {"steps": STEPS, "batch_size": None, **training}}
    return recipes(best, job, problem_facts("mlp", problem))


@cache
def recipe(library: str, network: str, rule: str) -> Recipe:
    return told(NETWORKS[network], *RULES[rule])[library]


def start_of(network: Network) -> list[FloatArray]:
    """Layer by layer (units, inputs + 1), the biases last."""
    w, at, blocks = starts(network, restarts=1)[0], 0, []
    for into, out in itertools.pairwise(network.sizes):
        blocks.append(w[at : at + out * (into + 1)].reshape(out, into + 1))
        at += blocks[-1].size
    assert at == len(w)
    return blocks


def examples_of(network: Network) -> tuple[FloatArray, FloatArray]:
    """Inputs (N, D); whole numbers (N,) of classes, or targets (N, 1)."""
    rows, _, targets = network._data
    one_hot = network.loss == "cross-entropy"
    return rows[:, :-1], targets.argmax(axis=0) if one_hot else targets.T


@cache
def ours(network: str, rule: str) -> FloatArray:
    """J before each of 20 steps of our own."""
    problem, (optimizer, rate) = NETWORKS[network], RULES[rule]
    run = train(
        problem, optimizer, learning_rate=rate, starts=starts(problem, restarts=1), steps=STEPS,
        record_path=True,
    )  # fmt: skip
    assert run.path is not None
    losses = np.array(problem.loss_and_gradient(run.path[:STEPS, 0])[0])
    assert losses[-1] < 0.9 * losses[0]  # it has gone somewhere
    return losses


@cache
def in_a_process(library: str) -> dict[tuple[str, str], list[float]]:
    """The losses of all cases, from a process that knows the library alone."""
    jobs = []
    for network, rule in CASES:
        problem = NETWORKS[network]
        inputs, target = examples_of(problem)
        jobs.append(
            {
                "code": str(recipe(library, network, rule)),
                "layers": problem.sizes,
                "activation": problem.activation,
                "weight_decay": problem.weight_decay,
                "start": [block.tolist() for block in start_of(problem)],
                "inputs": inputs.tolist(),
                "target": target.tolist(),
                "steps": STEPS,
                # Compiling takes a second each: those that define a class, and one more.
                "eagerly": network != "decay" or rule not in ("nesterov", "rmsprop", "adam"),
            }
        )
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / f"trained_in_{library}.py")],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout), strict=True))


# In double precision all: both round sums of some hundred products, and 20 steps magnify it little.
def assert_same(theirs: Any, network: str, rule: str) -> None:
    assert len(theirs) == STEPS
    np.testing.assert_allclose(theirs, ours(network, rule), rtol=1e-9)


@every
def test_the_same_losses_in_pytorch(network: str, rule: str) -> None:
    torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")
    problem, found = NETWORKS[network], recipe("pytorch", network, rule)
    assert found.exact
    layers: list[Any] = []
    for block in start_of(problem):
        layer = torch.nn.Linear(block.shape[1] - 1, len(block), dtype=torch.float64)
        layer.weight.data, layer.bias.data = torch.tensor(block[:, :-1]), torch.tensor(block[:, -1])
        layers += [layer, {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}.get(
            problem.activation, torch.nn.Sigmoid
        )()]  # fmt: skip
    model = torch.nn.Sequential(*layers[:-1])
    names: dict[str, Any] = {"model": model}
    exec(str(found), names)
    inputs, target = map(torch.tensor, examples_of(problem))
    losses = []
    for _ in range(STEPS):
        names["optimizer"].zero_grad()
        loss = names["loss"](model(inputs), target)
        squares = sum((p.detach() ** 2).sum().item() for p in model.parameters())
        losses.append(loss.item() + 0.5 * problem.weight_decay * squares)
        loss.backward()
        names["optimizer"].step()
    assert_same(losses, network, rule)


@pytest.mark.skipif(not find_spec("optax"), reason="pip install '.[paste]'")
@every
def test_the_same_losses_in_optax(network: str, rule: str) -> None:
    assert recipe("optax", network, rule).exact
    assert_same(in_a_process("optax")[network, rule], network, rule)


@pytest.mark.skipif(not (find_spec("keras") and find_spec("jax")), reason="pip install '.[paste]'")
@every
def test_the_same_losses_in_keras(network: str, rule: str) -> None:
    assert recipe("keras", network, rule).exact
    assert_same(in_a_process("keras")[network, rule], network, rule)


# ---------------------------------------------------------------------------------- scikit-learn


def in_scikit_learn(network: str, rule: str) -> list[float]:
    problem = NETWORKS[network]
    names: dict[str, Any] = {}
    exec(str(recipe("scikit-learn", network, rule)), names)
    model, blocks = names["model"], iter(start_of(problem))
    # The one thing that is not its own: where it starts.
    model._init_coef = lambda *_: ((block := next(blocks))[:, :-1].T.copy(), block[:, -1].copy())
    inputs, target = examples_of(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # so few steps
        model.fit(inputs, target if problem.loss == "cross-entropy" else target[:, 0])
    losses: list[float] = model.loss_curve_
    return losses


@pytest.mark.parametrize(
    ("network", "rule"),
    [
        (n, r)
        for n, r in itertools.product(("no decay", "squares"), RULES)
        if not r.startswith(("rmsprop", "adam"))
    ],
)
def test_the_same_losses_in_scikit_learn(network: str, rule: str) -> None:
    assert recipe("scikit-learn", network, rule).exact
    assert_same(in_scikit_learn(network, rule), network, rule)


@pytest.mark.parametrize(
    ("network", "rule", "differs"),
    [
        ("no decay", "adam", "epsilon is added to the root before its correction."),
        ("decay", "momentum", "biases do not decay."),
        ("decay", "adam", "epsilon is added to the root before its correction; biases do not"),
    ],
)
def test_scikit_learn_comes_near_and_says_what_differs(
    network: str, rule: str, differs: str
) -> None:
    found = recipe("scikit-learn", network, rule)
    assert not found.exact
    assert f"Nearly so, for in scikit-learn {differs}" in found.remarks[-1]
    theirs = in_scikit_learn(network, rule)
    # Near (measured): an epsilon of 1e-8 makes 2e-5, the decay of biases 2e-2.
    near = 0.05 if network == "decay" else 1e-4
    np.testing.assert_allclose(theirs, ours(network, rule), rtol=near)
    assert not np.allclose(theirs, ours(network, rule), rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("problem", "rule", "why"),
    [
        (NETWORKS["squares"], "rmsprop", "train by gradient descent and Adam alone"),
        (MLP(data="breast-cancer"), "gd", "for two classes scikit-learn trains one logistic"),
        (MLP(data="wine", activation="erf"), "gd", "neither erf nor"),
        (get_problem("deep-linear"), "gd", "have biases"),
        (get_problem("double-well"), "gd", "on examples"),
    ],
)
def test_what_scikit_learn_cannot_is_left_out_with_the_reason(
    problem: Problem, rule: str, why: str
) -> None:
    found = told(problem, *RULES[rule])["scikit-learn"]
    assert (found.line, found.code, found.exact) == (None, "", False)
    assert why in str(found)
    assert str(found).startswith("# Not to be had: ")


def test_scikit_learn_counts_epochs() -> None:
    found = told(NETWORKS["no decay"], *RULES["gd"], steps=1000, batch_size=32)["scikit-learn"]
    # 142 examples are four batches of 32 and one of 14.
    assert found.line is not None
    assert "batch_size=32, max_iter=200, n_iter_no_change=200)" in found.line
    assert "incomplete last batch" in found.remarks[-1]


# ------------------------------------------------------------------------------------- the words


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back(value: float) -> None:
    for one in (value, np.float64(value)):
        assert eval(call("dict", rate=one, pair=(one, 1)))["rate"] == value


def test_only_what_is_not_the_default_is_said() -> None:
    problem = XOR()
    line = {name: one.line for name, one in told(problem, *RULES["adam"]).items()}
    assert line["pytorch"] == "torch.optim.Adam(model.parameters(), lr=0.03)"
    assert line["optax"] == "optax.adam(learning_rate=0.03)"
    other = told(problem, *RULES["adam 0.8"])["pytorch"].line
    assert other == "torch.optim.Adam(model.parameters(), lr=0.05, betas=(0.8, 0.99), eps=0.01)"
    decayed = recipe("pytorch", "decay", "nesterov").line
    assert decayed == (
        "torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, "
        "weight_decay=0.01)"
    )
    decayed = recipe("optax", "decay", "gd").line
    assert decayed == ("optax.chain(optax.add_decayed_weights(0.01), optax.sgd(learning_rate=0.3))")


@pytest.mark.parametrize("name", ["gd", "momentum", "nesterov", "rmsprop", "adam"])
def test_every_built_in_rule_has_its_line(name: str) -> None:
    found = told(NETWORKS["decay"], get_optimizer(name), 0.1)
    assert list(found) == ["pytorch", "keras", "optax", "scikit-learn"]
    assert [library for library, one in found.items() if one.exact][:3] == list(found)[:3]


def test_the_conditions_are_said() -> None:
    assert recipe("optax", "squares", "gd").remarks[0] == (
        "As trained here: layers 10-6-5-1, sigmoid, starts by glorot, biases from 0; inputs and "
        "target with mean 0 and standard deviation 1 over the training rows; full batch."
    )
    found = told(XOR(hidden=[]), *RULES["gd"], batch_size=2)["keras"]
    assert found.remarks[0] == (
        "As trained here: layers 2-1, starts by glorot, biases from 0; batches of 2."
    )


class Own(MLP):
    """A network whose loss and starts are its own."""

    name = "own"

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return 2.0 * super().initial(rng)

    def loss_and_gradient(
        self, w: FloatArray, /, batch: Any = None
    ) -> tuple[FloatArray, FloatArray]:
        loss, gradient = super().loss_and_gradient(w, batch)
        return 2.0 * loss, 2.0 * gradient


def test_a_loss_of_the_problem_s_own_is_not_told() -> None:
    found = told(Own(data="wine", weight_decay=0.01), *RULES["gd"])
    assert found["pytorch"].code == (
        "import torch\n\noptimizer = torch.optim.SGD(model.parameters(), lr=0.3)"
    )
    assert found["pytorch"].remarks == ("With the loss as it is in the job.",)
    assert found["scikit-learn"].line is None


class Faster(Adam):
    """Bears Adam's name, and steps otherwise."""


def test_what_is_in_no_library_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_reports.report()
    assert made.best_stable is not None
    facts = {**made.problem, "loss": None}
    lion = replace(made.best_stable, optimizer="lion(beta=0.9)", hyperparameters={"beta": 0.9})
    assert recipes(lion, made.job, facts) == {}
    assert recipes(None, made.job, facts) == {}
    # A job of an earlier version does not say what the loss is.
    earlier = {key: value for key, value in facts.items() if key != "loss"}
    assert recipes(made.best_stable, made.job, earlier) == {}
    # Of somebody's own, though PyTorch has one of that name.
    monkeypatch.setattr("tuning.report.paste.all.OPTIMIZERS", {"adam": Faster})
    for problem in (XOR(), get_problem("double-well")):
        assert told(problem, *RULES["adam"]) == {}


@pytest.mark.parametrize(
    ("label", "hyperparameters", "line"),
    [
        ("sgd", {}, "torch.optim.SGD(model.parameters(), lr=0.3)"),
        (
            "adamw(weight_decay=0.01)",
            {"weight_decay": 0.01},
            "torch.optim.AdamW(model.parameters(), lr=0.3, weight_decay=0.01)",
        ),
        (
            "adam(betas=(0.8, 0.99))",
            {"betas": (0.8, 0.99)},
            "torch.optim.Adam(model.parameters(), lr=0.3, betas=(0.8, 0.99))",
        ),
    ],
)
def test_pytorch_s_own_rules_are_told_as_they_are(
    label: str, hyperparameters: dict[str, Any], line: str
) -> None:
    made = made_reports.report()
    assert made.best_stable is not None
    best = replace(made.best_stable, optimizer=label, hyperparameters=hyperparameters)
    found = recipes(best, made.job, {**made.problem, "loss": None})
    assert list(found) == ["pytorch"]
    assert found["pytorch"].line == line
    torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")
    names = {"model": torch.nn.Linear(2, 1)}
    exec(str(found["pytorch"]), names)
    assert names["optimizer"].defaults["lr"] == 0.3


# ------------------------------------------------------------------------------------ the report


def test_the_report_ends_with_it() -> None:
    facts = problem_facts("mlp", NETWORKS["decay"])
    made = made_reports.report(problem=facts)
    line = "torch.optim.SGD(model.parameters(), lr=0.3, weight_decay=0.01)"
    assert made.to_paste["pytorch"].line == line
    assert text(made).splitlines()[-4:] == [
        "To train so in PyTorch",
        f"  {line}",
        "  The loss is the cross-entropy, the mean over the examples. The HTML report has the same "
        "for Keras,",
        "  optax and scikit-learn.",
    ]
    said = made.to_dict()["to_paste"]
    assert said["pytorch"]["line"] == line
    assert {key: type(value) for key, value in said["keras"].items()} == {
        "line": str, "code": str, "exact": bool, "remarks": list,
    }  # fmt: skip
    assert '<pre class="paste" tabindex="0"># As trained here: layers 13-8-3' in page(made)
    assert page(made).count('<pre class="paste"') == 4


def test_nothing_is_shown_without_a_rate() -> None:
    facts = problem_facts("mlp", NETWORKS["decay"])
    for made in (
        replace(made_reports.no_stable(), problem=facts),
        replace(made_reports.hostile(), problem=facts),
    ):
        assert made.to_paste == {}
        assert made.to_dict()["to_paste"] == {}
        assert "PyTorch" not in text(made)
        assert "script of your own" not in page(made)
