"""Where a problem is computed, as far as it can be told without a GPU: what is decided where."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from trainers import InvalidInput, train  # noqa: E402
from trainers.optimizers.torch_rule import TorchRule  # noqa: E402
from trainers.randomness import starts  # noqa: E402
from trainers.torch import TorchProblem  # noqa: E402
from trainers.torch import problem as problem_module  # noqa: E402
from trainers.torch.device import device_here, repeatable_kernels  # noqa: E402
from tuning.execution.in_process import InProcessPool  # noqa: E402
from tuning.execution.ray_slots import Reserved  # noqa: E402
from tuning.testing.pools import CONFIG, task  # noqa: E402

X = torch.linspace(-1, 1, 12).reshape(6, 2)
Y = X.sum(dim=1, keepdim=True)


def made(device: str) -> TorchProblem:
    return TorchProblem(
        lambda: torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)),
        torch.nn.functional.mse_loss,
        (X, Y),
        device=device,
    )


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside = torch.nn.Linear(2, 1)
        self.register_buffer("scale", torch.ones(1))

    def forward(self, x: Any) -> Any:
        return self.inside(x) * self.scale


@pytest.mark.parametrize(
    ("wish", "there", "device"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("cuda", False, "cpu"),
        ("cpu", True, "cpu"),
    ],
)
def test_a_wish_is_decided_by_what_is_there(
    monkeypatch: pytest.MonkeyPatch, wish: str, there: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device_here(wish) == torch.device(device)


def test_it_is_decided_again_where_the_problem_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made without a GPU, and then in a process that has one; a device without memory, of which
    PyTorch knows all but the numbers, stands for it."""
    problem = TorchProblem(Net, torch.nn.functional.mse_loss, (X, Y))
    sent = pickle.dumps(problem)
    asked = []

    def there(wish: str) -> Any:
        asked.append(wish)
        return torch.device("meta")

    monkeypatch.setattr(problem_module, "device_here", there)
    arrived = pickle.loads(sent)
    assert asked == ["auto"]
    assert arrived.device.type == "meta"
    tensors = [*arrived.data.tensors, *arrived.objective.parameters()]
    tensors += arrived.objective.buffers()
    assert len(tensors) == 5
    assert {t.device.type for t in tensors} == {"meta"}
    monkeypatch.undo()
    assert pickle.loads(sent).device.type == "cpu"


def test_what_is_sent_holds_the_data_once() -> None:
    x = torch.zeros(100_000, 2)
    problem = TorchProblem(Net, torch.nn.functional.mse_loss, (x, x[:, :1].clone()))
    assert len(pickle.dumps(problem)) < 1.1 * 100_000 * 3 * 4


def test_it_trains_alike_after_the_way() -> None:
    rule = TorchRule.of("adam", {})

    def losses(problem: TorchProblem) -> Any:
        w = starts(problem, restarts=3, seed=0)
        return train(problem, rule, learning_rate=0.01, starts=w, steps=5).losses

    problem = TorchProblem(Net, torch.nn.functional.mse_loss, (X, Y))
    arrived = pickle.loads(pickle.dumps(problem))
    np.testing.assert_array_equal(losses(arrived), losses(problem))


def test_a_gpu_that_is_not_there_is_one_line() -> None:
    """It may be made here, for others to train; it is refused where it would train."""
    problem = made("cuda")
    assert problem.needs_gpu
    assert not made("auto").needs_gpu
    line = r"device = 'cuda': PyTorch sees no GPU where it trains"
    with pytest.raises(InvalidInput, match=line):
        InProcessPool(problem, CONFIG).submit(None, task(0))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=line):
        train(
            problem,
            TorchRule.of("sgd", {}),
            learning_rate=0.1,
            starts=starts(problem, restarts=2, seed=0),
            steps=2,
        )
    with pytest.raises(InvalidInput, match=r"needs a GPU, and cluster\.gpus_per_task = 0"):
        Reserved(1.0, 0.0).check(problem)
    with pytest.raises(InvalidInput, match=r"device = 'tpu' is not valid; auto, cpu, cuda are"):
        made("tpu")


def test_a_gpu_that_is_full_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool takes a MemoryError for a loss: another time others may hold less."""

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    problem = made("cpu")
    monkeypatch.setattr("trainers.torch.trainer.keep_books", full)
    with pytest.raises(MemoryError, match="no room for 3 restarts of Sequential: give "):
        train(
            problem,
            TorchRule.of("sgd", {}),
            learning_rate=0.1,
            starts=starts(problem, restarts=3, seed=0),
            steps=2,
        )


def switches() -> tuple[Any, ...]:
    backends = torch.backends
    return (
        backends.cuda.matmul.fp32_precision,
        backends.cudnn.conv.fp32_precision,
        backends.cudnn.rnn.fp32_precision,
        backends.cudnn.deterministic,
        backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize("gpu", [False, True])
def test_kernels_are_exact_and_repeat_themselves(
    monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")  # the user's own stays
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    usual = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.backends.cudnn.benchmark = True
    try:
        before = switches()
        assert (before[0], before[4]) == ("tf32", True)
        with repeatable_kernels():
            assert switches() == ("ieee", "ieee", "ieee", True, False, gpu)
        assert switches() == before
    finally:
        torch.backends.cuda.matmul.fp32_precision = usual
        torch.backends.cudnn.benchmark = False


def test_training_goes_by_them() -> None:
    seen: list[Any] = []

    class Looking(Net):
        def forward(self, x: Any) -> Any:
            seen.append(switches()[:4])
            return super().forward(x)

    problem = TorchProblem(Looking, torch.nn.functional.mse_loss, (X, Y))
    seen.clear()
    train(
        problem,
        TorchRule.of("sgd", {}),
        learning_rate=0.1,
        starts=starts(problem, restarts=2, seed=0),
        steps=2,
    )
    assert set(seen) == {("ieee", "ieee", "ieee", True)}
