"""From a module to a rate in one call: the same job as a job file's, the same answer wherever it is
carried out, and one line for what cannot be."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuning
from trainers import InvalidInput
from tuning.report.model import Report

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")
pytestmark = pytest.mark.usefixtures("no_pictures")

X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        return self.layer(x)


class SignDescent(torch.optim.Optimizer):
    """An optimizer of one's own: w := w - lr sign(g)."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.grad.sign()


def found(home: Path, **more: Any) -> Report:
    asked = {
        "model": Net,
        "loss": torch.nn.functional.cross_entropy,
        "data": (X, Y),
        "optimizers": ["sgd"],
        "steps": 30,
        "batch_size": 16,
        "workers": "inline",
        "home": home,
        "progress": False,
        "search": {"sampler": "grid", "try_first": []},
        "settings": 3,
        "restarts": 4,
        "stability": {"confirm": 8, "margin": 1.0},
    }
    return tuning.find_learning_rate(**{**asked, **more})


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_it_is_the_job_that_a_file_would_ask_for(tmp_path: Path) -> None:
    report = found(
        tmp_path,
        optimizers=[
            "sgd",
            {"name": "adamw", "weight_decay": 0.1},
            torch.optim.Adagrad,
            partial(torch.optim.SGD, momentum=0.5, nesterov=True),
            SignDescent,
        ],
        learning_rate=(1e-3, 1.0),
        clip_norm=2.0,
        scheduler=partial(torch.optim.lr_scheduler.StepLR, step_size=10),
    )
    job = report.job
    assert job["name"] == "Net"
    assert job["search"]["optimizers"] == [
        {"name": "torch:sgd"},
        {"name": "torch:adamw", "weight_decay": 0.1},
        {"name": "torch:adagrad"},
        {"name": "torch:sgd", "momentum": 0.5, "nesterov": True},
        {"name": "torch:signdescent"},
    ]
    assert job["search"]["learning_rate"] == {"low": 1e-3, "high": 1.0}
    assert (job["search"]["settings"], job["training"]["restarts"]) == (15, 4)
    assert {row.optimizer for row in report.settings} == {
        "sgd",
        "adamw(weight_decay=0.1)",
        "adagrad",
        "sgd(momentum=0.5, nesterov=True)",
        "signdescent",
    }
    assert report.problem["model"] == "Net"
    assert "Linear(in_features=3" in report.problem["architecture"]
    assert report.problem["trained_with"] == [
        "gradients clipped to the norm 2",
        "the schedule StepLR",
    ]
    # MLflow and the folder have the module too.
    model = (tmp_path / "jobs" / "Net-1" / "model.txt").read_text(encoding="utf-8")
    assert model.startswith("Net(")
    again = tuning.replay("Net-1", setting=0, restart=2, home=tmp_path)
    assert again.differences == ()
    seeding, _, making = str(again.made_by).partition("; ")
    with torch.random.fork_rng():
        eval(seeding, {"torch": torch})
        module = eval(making, {"Net": Net})
    weights = torch.cat([p.detach().reshape(-1) for p in module.parameters()])
    np.testing.assert_array_equal(weights.double().numpy(), again.start)


@pytest.mark.parametrize(
    ("size", "restarts", "confirm"),
    [
        ({}, None, 8),  # the default of a search for the cliff
        ({"settings": 12, "restarts": 32}, None, 8),
        ({"settings": 2, "restarts": 4}, 8, 0),
        ({"settings": 13}, 13 * 32 + 8, 8),
    ],
)
def test_settings_times_restarts_bound_a_search_for_the_cliff(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: dict[str, int],
    restarts: int | None,
    confirm: int,
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("tuning.runner.find_learning_rate.tune", lambda **job: asked.update(job))
    found(tmp_path, search={}, **{"settings": None, "restarts": None, **size})
    spec = tuning.JobSpec.model_validate(
        {k: v for k, v in asked.items() if k not in ("workers", "home", "progress", "problem")}
        | {"problem": {"name": "x:y"}}
    )
    assert spec.seeks_cliff
    assert spec.budget.restarts == restarts
    assert spec.fresh_starts == confirm


@pytest.mark.parametrize("one", ["sgd", {"name": "sgd"}, torch.optim.SGD])
def test_one_optimizer_needs_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Any
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr("tuning.runner.find_learning_rate.tune", lambda **job: asked.update(job))
    found(tmp_path, optimizers=one)
    assert asked["search"]["optimizers"] == [{"name": "torch:sgd"}]


@pytest.mark.cluster
def test_the_same_answer_on_ray(tmp_path: Path) -> None:
    here, there = (
        found(tmp_path / str(workers), workers=workers).to_dict() for workers in ("inline", 2)
    )
    assert here.pop("run")["job_id"] == there.pop("run")["job_id"]
    assert here == there


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (
            {"optimizers": ["adamm"]},
            r"search\.optimizers\.0: unknown optimizer 'adamm' of PyTorch; did you mean 'adam'",
        ),
        ({"optimizers": ["momentum"]}, r'write { name = "sgd", momentum = 0\.9 }'),
        ({"optimizers": [3]}, r"optimizers: 3 is not valid: give a name, a table"),
        ({"optimizers": [{"name": "adamw", "decay": 1}]}, r"unknown hyperparameter 'decay'"),
        ({"optimizers": [{"name": "sgd", "lr": 1}]}, r"lr is what is searched; drop it"),
        ({"settings": 0}, r"settings = 0 is not valid; a whole number from 1"),
        ({"restarts": 2.5}, r"restarts = 2\.5 is not valid"),
        ({"learning_rate": (1.0, 0.1)}, r"low = 1 must be below high = 0\.1"),
        ({"batch_size": 65}, r"batch_size = 65 is more than the 64 training examples"),
        ({"learning_rate": 0.1}, r"learning_rate = 0\.1 is not valid; a range, as"),
        ({"learning_rate": ("a", 1.0)}, r"search\.learning_rate\.low"),
        ({"clip_nrm": 1.0}, r"unknown argument 'clip_nrm'; did you mean 'clip_norm'"),
        ({"minutes": -1}, r"minutes"),
        ({"loss": None}, r"loss is missing, and Net has no training_step"),
        ({"data": None}, r"data is missing"),
        ({"data": (X, Y[:9])}, r"data has shapes \(64, 3\), \(9,\)"),
        ({"model": Net(), "batch_size": None}, r"Net starts the same every time"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(InvalidInput, match=line) as raised:
        found(tmp_path, **wrong)
    assert "\n" not in str(raised.value)
    assert not tmp_path.joinpath("jobs").exists()
