"""What goes together does; what cannot goes one by one, for a reason that names the place."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from trainers.errors import InvalidInput
from trainers.optimizers.torch_rule import TorchRule
from trainers.randomness import starts
from trainers.training import train

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from torch import nn  # noqa: E402

from tests.trainers.torch.modules import (  # noqa: E402
    MLP,
    MODULES,
    Dropout,
    Recurrent,
    Script,
    classes,
    images,
)
from trainers.torch import TorchProblem, module_seed  # noqa: E402

functional = torch.nn.functional
SGD = TorchRule.of("sgd", {})


class Item(MLP):
    def forward(self, x: Any) -> Any:
        h = self.net(x)
        return h / max(1.0, h.abs().max().item())


class Branch(MLP):
    def forward(self, x: Any) -> Any:
        h = self.net(x)
        if h.mean() > 0:
            h = 2 * h
        return h


class Mask(MLP):
    def forward(self, x: Any) -> Any:
        h = self.net(x)
        return h - h[h > 0].mean()


class Spectral(MLP):
    """Whose direction begins with a seed of its own: with another each time it is no problem."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nn.utils.parametrizations.spectral_norm(self.net[0], n_power_iterations=1)
        self.net[0].parametrizations.weight[0]._u.fill_(0.5)
        self.net[0].parametrizations.weight[0]._v.fill_(0.5)


class Attribute(MLP):
    """Whose plain attribute follows the activations."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.ones(())

    def forward(self, x: Any) -> Any:
        h = self.net(x)
        self.scale = 0.9 * self.scale + 0.1 * h.detach().abs().mean()
        return h / self.scale


class Counter(MLP):
    """Whose plain attribute counts calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return self.net(x) / self.calls


class Reassigned(MLP):
    """Whose buffer is another tensor after each call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Any) -> Any:
        h = self.net(x)
        self.seen: Any = self.seen + h.detach().abs().mean()
        return h / (1 + self.seen)


class InPlace(MLP):
    def forward(self, x: Any) -> Any:
        x *= 0.5
        return self.net(x)


class Lars(torch.optim.Optimizer):
    """Steps as long as the layer, in the manner of You et al. 2017."""

    def __init__(self, params: Any, lr: float, trust: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                ratio = group["trust"] * p.norm() / (p.grad.norm() + 1e-9)
                p -= group["lr"] * ratio * p.grad


class Asking(torch.optim.Optimizer):
    """Which needs its closure: the gradient after a first step (Korpelevich's extragradient)."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any) -> None:
        every = [(p, g["lr"], p.detach().clone()) for g in self.param_groups for p in g["params"]]
        with torch.no_grad():
            for p, lr, _ in every:
                p -= lr * p.grad
        closure()
        with torch.no_grad():
            for p, lr, before in every:
                p.copy_(before - lr * p.grad)


class Elsewhere(torch.optim.Optimizer):
    """Which puts its parameters elsewhere instead of changing them."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.data = p.data - group["lr"] * p.grad


class Anew(torch.optim.Optimizer):
    """Which puts other gradients in the place of those it was given."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = p.grad / 2
                p -= group["lr"] * p.grad


def problem_of(make: Any, together: Any = "auto", data: Any = classes, **options: Any) -> Any:
    options = {"dtype": "float64"} | options
    return TorchProblem(make, functional.cross_entropy, data(), together=together, **options)


def remarks(problem: Any, rule: TorchRule = SGD, batch_size: int | None = 16) -> list[str]:
    return problem.trainer().remarks(problem, [rule], batch_size)


MODELS = {
    Item: ("max(1.0, h.abs().max().item())`, takes a number out of a tensor", 16),
    Branch: ("`if h.mean() > 0:`, depends on data: use torch.where", 16),
    Mask: ("`return h - h[h > 0].mean()`, ", 16),
    Spectral: ("layer net.0.parametrizations.weight.0 (_SpectralNorm)", 16),
    Attribute: ("its forward changes its attribute scale: make it a buffer", 16),
    Counter: ("its forward changes its attribute calls: make it a buffer", 16),
    Reassigned: ("buffer seen so: change it in place", 16),
    InPlace: ("changes its input in place: write x = x + 1", None),
}


@pytest.mark.parametrize("make", MODELS)
def test_modules_that_go_one_by_one(make: Any) -> None:
    """In one line that names the place; insisting is refused with the same; and the loop gives
    what a script gives."""
    reason, batch_size = MODELS[make]
    problem = problem_of(make)
    (said,) = remarks(problem, batch_size=batch_size)
    assert said.startswith(f"{make.__name__} cannot be trained many restarts at a time: ")
    assert reason in said
    assert ("at a time: layer " in said) == reason.startswith("layer ")
    assert said.count("\n") == 0
    always = problem_of(make, "always")
    with pytest.raises(InvalidInput, match="together = 'always'") as refused:
        remarks(always, batch_size=batch_size)
    assert reason in str(refused.value)
    with pytest.raises(InvalidInput, match="together = 'always'"):
        train(always, SGD, learning_rate=0.1, starts=starts(always, restarts=2), steps=2,
              batch_size=batch_size)  # fmt: skip
    assert remarks(problem_of(make, "never"), batch_size=batch_size) == []


SCRIPTED = [Item, Branch, Mask, InPlace]


@pytest.mark.parametrize("make", SCRIPTED)
def test_the_loop_is_the_script(make: Any) -> None:
    """A model that changes its input is given fresh examples each time, as a DataLoader does."""
    problem = problem_of(make)
    run = train(problem, SGD, learning_rate=0.2, starts=starts(problem, restarts=2, seed=3),
                steps=20, batch_size=16, seed=3)  # fmt: skip
    plain = type("Plain", (make,), {"forward": lambda self, x: make.forward(self, x.clone())})
    script = Script(
        plain,
        classes(),
        lambda module: torch.optim.SGD(module.parameters(), lr=0.2),
        batch_size=16,
        seed=3,
        dtype=torch.float64,
    )
    losses = script.losses([module_seed(3, i) for i in range(2)], 20)
    # Rounding, magnified by 20 stable steps.
    np.testing.assert_allclose(run.losses, losses[run.recorded], rtol=1e-10)


@pytest.mark.parametrize("make", [Attribute, Counter])
def test_what_a_module_remembers_does_not_enter_j(make: Any) -> None:
    """J is a function of w: asked again, and in another order, it gives the same."""
    problem = problem_of(make)
    w = starts(problem, restarts=3)
    first = problem.loss_and_gradient(w)
    again = problem.loss_and_gradient(w[::-1])
    np.testing.assert_allclose(first[0], again[0][::-1], rtol=1e-14)
    np.testing.assert_allclose(first[1], again[1][::-1], rtol=1e-12, atol=1e-14)


def test_data_are_left_as_they_are() -> None:
    x, y = classes()
    before = x.clone()
    problem = TorchProblem(InPlace, functional.cross_entropy, (x, y), dtype="float32")
    train(problem, SGD, learning_rate=0.2, starts=starts(problem, restarts=2), steps=3)
    assert torch.equal(x, before)


OPTIMIZERS: dict[str, tuple[TorchRule, dict[str, Any], str]] = {
    "Adafactor": (TorchRule.of("adafactor", {}), {}, "adafactor moves each parameter"),
    "LBFGS": (TorchRule.of("lbfgs", {}), {}, "lbfgs moves each parameter"),
    "ReduceLROnPlateau": (
        SGD,
        {"scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau},
        "ReduceLROnPlateau gives each restart a rate of its own",
    ),
    "LARS": (
        TorchRule.of("lars", {"trust": 0.2}),
        {"optimizers": {"lars": Lars}},
        "moved otherwise by the optimizer, which does not go number by number",
    ),
    "closure": (TorchRule.of("asking", {}), {"optimizers": {"asking": Asking}}, "closure"),
    "elsewhere": (
        TorchRule.of("elsewhere", {}),
        {"optimizers": {"elsewhere": Elsewhere}},
        "moved otherwise by the optimizer",
    ),
}


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_optimizers_that_go_one_by_one(case: str) -> None:
    rule, options, reason = OPTIMIZERS[case]
    (said,) = remarks(problem_of(MLP, **options), rule)
    assert "cannot be trained many restarts at a time" in said
    assert reason in said
    with pytest.raises(InvalidInput, match="together = 'always'") as refused:
        remarks(problem_of(MLP, "always", **options), rule)
    assert reason in str(refused.value)


def closed(optimizer: Any) -> Any:
    """A script's loop for optimizers that take a closure."""

    def losses(seed: int, steps: int) -> list[float]:
        x, y = (t.double() if t.is_floating_point() else t for t in classes())
        torch.manual_seed(seed)
        module = MLP().double()
        found: list[float] = []
        made = optimizer(module.parameters())

        def closure() -> Any:
            made.zero_grad()
            loss = functional.cross_entropy(module(x), y)
            loss.backward()
            return loss

        for _ in range(steps):
            found.append(closure().item())
            made.step(closure)
        return [*found, closure().item()]

    return losses


@pytest.mark.parametrize("name", ["lbfgs", "asking", "elsewhere", "anew", "lars", "adafactor"])
def test_optimizers_in_the_loop_are_those_of_a_script(name: str) -> None:
    kinds = {"lbfgs": torch.optim.LBFGS, "adafactor": torch.optim.Adafactor, "asking": Asking,
             "elsewhere": Elsewhere, "anew": Anew, "lars": Lars}  # fmt: skip
    own = {n: k for n, k in kinds.items() if n in ("asking", "elsewhere", "anew", "lars")}
    problem, rule = problem_of(MLP, "never", optimizers=own), TorchRule.of(name, {})
    run = train(problem, rule, learning_rate=0.1, starts=starts(problem, restarts=2, seed=3),
                steps=10)  # fmt: skip
    script = closed(functools.partial(kinds[name], lr=0.1))
    if name in ("elsewhere", "anew", "lars", "adafactor"):  # these have no use for it
        kind = kinds[name]
        plain = type("Plain", (kind,), {"step": lambda self, _: kind.step(self)})
        script = closed(functools.partial(plain, lr=0.1))
    expected = np.array([script(module_seed(3, i), 10) for i in range(2)]).T
    # Rounding, magnified by 10 stable steps.
    np.testing.assert_allclose(run.losses, expected[run.recorded], rtol=1e-9)
    assert (run.losses[-1] < run.losses[0]).all()


def test_a_plateau_gives_each_restart_its_own_last_rate() -> None:
    def plateau(optimizer: Any) -> Any:
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.02)

    problem = problem_of(MLP, scheduler=plateau)
    run = train(problem, SGD, learning_rate=0.1, starts=starts(problem, restarts=6, seed=3),
                steps=10)  # fmt: skip
    for row in range(6):
        # By its rule: a tenth after each step whose loss is not 2 % below the best.
        best, rate = np.inf, 0.1
        for loss in run.losses[:-2, row]:
            better = loss < best * 0.98
            best, rate = (loss, rate) if better else (best, rate / 10)
        assert run.last_rate[row] == pytest.approx(rate)
    assert len(set(run.last_rate)) > 1


def test_the_last_rate_of_a_schedule_is_that_of_the_last_step() -> None:
    """Linear to nothing in ten steps: the tenth is by a tenth of the rate."""

    def down(optimizer: Any) -> Any:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 10)

    for together in ("always", "never"):
        problem = problem_of(MLP, together, scheduler=down)
        run = train(problem, SGD, learning_rate=0.5, starts=starts(problem, restarts=2),
                    steps=10)  # fmt: skip
        np.testing.assert_allclose(run.last_rate, 0.05)


@pytest.mark.parametrize("name", MODULES)
def test_modules_that_go_together(name: str) -> None:
    make, data = MODULES[name]
    assert remarks(problem_of(make, data=data)) == []


def test_dropout_goes_together() -> None:
    (said,) = remarks(problem_of(Dropout))
    assert "draws random numbers" in said


class Pair(nn.Module):
    """Two heads and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.heads = nn.Linear(6, 4), nn.ModuleList([nn.Linear(4, 3), nn.Linear(4, 1)])

    def forward(self, x: Any) -> Any:
        h = torch.tanh(self.body(x))
        return self.heads[0](h), {"value": self.heads[1](h)}


def of_a_dict(module: Any, batch: Any) -> Any:
    classes_, more = module(batch["x"])
    return functional.cross_entropy(classes_, batch["y"]) + (more["value"] ** 2).mean()


def of_a_tuple(module: Any, batch: Any) -> Any:
    x, y = batch
    return {"loss": of_a_dict(module, {"x": x, "y": y})}  # as Lightning allows


def test_tuples_and_dicts_go_together() -> None:
    x, y = classes()
    problems = [
        TorchProblem(Pair, data={"x": x, "y": y}, training_step=of_a_dict, dtype="float64"),
        TorchProblem(Pair, data=(x, y), training_step=of_a_tuple, dtype="float64"),
    ]
    runs = []
    for problem in problems:
        assert remarks(problem) == []
        runs.append(
            train(
                problem,
                SGD,
                learning_rate=0.2,
                starts=starts(problem, restarts=2),
                steps=10,
                batch_size=16,
                orders=np.array([0, 1]),
            )
        )
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
    assert (runs[0].losses[-1] < runs[0].losses[0]).all()


class Lightning(MLP):
    """As Lightning's users write it."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        return functional.cross_entropy(self(x), y)


def test_a_training_step_of_its_own() -> None:
    own = TorchProblem(Lightning, data=classes(), dtype="float64")
    plain = problem_of(MLP)
    assert remarks(own) == []
    w = starts(plain, restarts=2)
    np.testing.assert_array_equal(starts(own, restarts=2), w)
    np.testing.assert_array_equal(own.loss_and_gradient(w)[0], plain.loss_and_gradient(w)[0])


def test_a_decision_leaves_the_module_as_it_was() -> None:
    """Trying it out does not change what a module remembers of its calls."""
    problem = problem_of(Counter, "never")
    assert problem.trials.why_one_by_one(SGD, 16) is not None
    assert problem.objective.module.calls == 0


def test_a_recurrent_layer_has_its_way_back_inside() -> None:
    assert problem_of(Recurrent, data=images).trials.backward_inside
    assert not problem_of(MLP).trials.backward_inside
