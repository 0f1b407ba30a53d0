"""The examples of modules of one's own: each runs to its end, and a plain PyTorch script, which
knows nothing of us but the seeds and the order of the data, loses what was recorded, and does not
fall at the rate that was recommended.
"""

from __future__ import annotations

import runpy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tuning
from tests.support.own_modules import imported_from
from tests.support.surefoot_command import results_in, surefoot
from trainers.randomness import batches
from trainers.training.trajectories import recorded_steps
from tuning.report.model import Report
from tuning.trial.result import SettingResult

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from trainers.torch import module_seed  # noqa: E402  # needs torch

pytestmark = [pytest.mark.science, pytest.mark.usefixtures("no_pictures")]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "torch"

#: By example and the optimizer's name in the report: what a script of one's own would say.
OPTIMIZERS: dict[str, dict[str, Callable[..., Any]]] = {
    "mlp_on_a_table": {
        "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr),
        "adamw(weight_decay=0.01)": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.01),
    },
    "cnn_digits": {"sgd(momentum=0.9)": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9)},
    "lstm": {"adam": lambda p, lr: torch.optim.Adam(p, lr=lr)},
    "transformer": {
        "adamw(weight_decay=0.01)": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.01)
    },
    "needs_the_loop": {"sgd": lambda p, lr: torch.optim.SGD(p, lr=lr)},
    "lightning_module": {"rmsprop": lambda p, lr: torch.optim.RMSprop(p, lr=lr)},
    "own_model": {
        "sgd(momentum=0.9)": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9),
        "adam": lambda p, lr: torch.optim.Adam(p, lr=lr),
    },
}
#: The losses of stacked modules and of single ones part by 6e-7 in float32, and by more with every
#: step, the sooner, the larger the rate.
TOLERANCE = 2e-3


def plain_script(
    given: dict[str, Any], optimizer: Callable[..., Any], rate: float, seed: int, order: list[Any]
) -> NDArray[np.float64]:
    """An ordinary loop: the loss on all examples before each step and after the last, (T + 1,)."""
    X, y = (torch.as_tensor(part) for part in given["data"])
    X = X.float() if X.is_floating_point() else X
    y = y.float() if y.is_floating_point() else y.long()
    torch.manual_seed(seed)
    model = given["model"]()
    steps: Any = optimizer(model.parameters(), lr=rate)
    scheduler = given["scheduler"](steps) if "scheduler" in given else None

    def loss_on(inputs: Any, targets: Any) -> Any:
        if "loss" not in given:
            return model.training_step((inputs, targets), 0)
        return given["loss"](model(inputs), targets)

    losses = []
    for batch in [*order, None]:
        with torch.no_grad():
            losses.append(float(loss_on(X, y)))
        if batch is not None:
            steps.zero_grad()
            loss_on(X[batch], y[batch]).backward()
            if "clip_norm" in given:
                torch.nn.utils.clip_grad_norm_(model.parameters(), given["clip_norm"])
            steps.step()
            if scheduler is not None:
                scheduler.step()
    return np.array(losses)


def order_of(given: dict[str, Any], *number: int) -> list[Any]:
    """The examples of each step: of the search, or of a number of one's own."""
    examples, size = len(given["data"][0]), given.get("batch_size")
    if size is None:
        return [slice(None)] * given["steps"]
    order = batches(examples, size, 0, *number)
    return [torch.as_tensor(next(order)) for _ in range(given["steps"])]


@dataclass(frozen=True)
class Ran:
    """An example that has been run: what it gave to `find_learning_rate`, what came of it, and what
    was said on the way."""

    name: str
    given: dict[str, Any]
    report: Report
    results: list[SettingResult]
    said: list[str]

    @property
    def optimizer(self) -> Callable[..., Any]:
        assert self.report.best_stable is not None
        return OPTIMIZERS[self.name][self.report.best_stable.optimizer]


@pytest.fixture(scope="module", params=OPTIMIZERS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    name, home = request.param, tmp_path_factory.mktemp("home")
    if name == "lightning_module":
        pytest.importorskip("lightning", reason="pip install lightning==2.6.6")
    return _job(home) if name == "own_model" else _script(name, home)


def _script(name: str, home: Path) -> Ran:
    """Run as a script, but for where it keeps what it found."""
    seen: list[tuple[dict[str, Any], Report]] = []
    find = tuning.find_learning_rate

    def kept(**given: Any) -> Report:
        report = find(**given, home=home, workers="inline", progress=False)
        seen.append((given, report))
        return report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "find_learning_rate", kept, raising=False)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", RuntimeWarning)  # others are errors, as everywhere
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    ((given, report),) = seen
    lines = [str(warning.message) for warning in said]
    return Ran(name, given, report, results_in(home, report.run.job_id), lines)


def _job(home: Path) -> Ran:
    """From wherever one is: model.py is beside the job file."""
    job = EXAMPLES / "own_model.toml"
    with imported_from(EXAMPLES):
        done = surefoot(home, "run", str(job), "--workers", "inline", "--json")
    assert done.code == 0, done.err
    report = tuning.load_report("own_model-1", home=home)
    made = runpy.run_path(str(EXAMPLES / "model.py"))
    problem = made["make_problem"]()
    assert problem.examples == 178
    given = {
        "model": made["Wine"],
        "loss": torch.nn.functional.cross_entropy,
        "data": problem.data.tensors,
        "batch_size": 32,
        "steps": 80,
    }
    return Ran("own_model", given, report, results_in(home, "own_model-1"), [])


def test_it_comes_to_an_answer(ran: Ran) -> None:
    best = ran.report.best_stable
    assert best is not None, ran.report.explanation
    assert best.optimizer in OPTIMIZERS[ran.name]
    assert list(ran.report.cliffs) == list(OPTIMIZERS[ran.name])


def test_only_what_needs_the_loop_is_said_to(ran: Ran) -> None:
    """In one line, with the model's own."""
    if ran.name != "needs_the_loop":
        assert ran.said == []
        return
    (line,) = ran.said
    assert line.startswith("Bounded cannot be trained many restarts at a time: ")
    assert "of needs_the_loop.py, `if h.abs().mean() > 0.9:`, depends on data" in line


def test_three_restarts_lose_what_a_plain_script_loses(ran: Ran) -> None:
    best = ran.report.best_stable
    assert best is not None
    setting = list(OPTIMIZERS[ran.name]).index(best.optimizer), best.learning_rate
    found = next(
        r for r in ran.results if (r.setting.optimizer, r.setting.learning_rate) == setting
    )
    steps = found.curves.steps
    # By mini-batches the loss on all examples is looked at now and then, and stays what it was.
    kept = recorded_steps(ran.given["steps"], at_no_cost=ran.given.get("batch_size") is None)
    at = kept[np.searchsorted(kept, steps, side="right") - 1]
    for row, start in list(enumerate(found.setting.starts))[:3]:
        seed = module_seed(0, start)
        losses = plain_script(
            ran.given, ran.optimizer, best.learning_rate, seed, order_of(ran.given)
        )
        theirs = found.curves.losses[:, row]
        assert theirs == pytest.approx(losses[at], rel=TOLERANCE, abs=1e-5)
        assert losses[-1] < losses[0]


def test_the_recommended_rate_does_not_fall_from_new_seeds(ran: Ran) -> None:
    best = ran.report.best_stable
    assert best is not None
    fallen = 0
    for seed in range(20):
        losses = plain_script(
            ran.given, ran.optimizer, best.learning_rate, seed, order_of(ran.given, 10_000 + seed)
        )
        fallen += not (np.isfinite(losses).all() and losses[-1] < losses[0])
    assert fallen <= 4
