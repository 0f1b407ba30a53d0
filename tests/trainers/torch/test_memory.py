"""What a restart takes, as told, against what a process takes that trains them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

torch: Any = pytest.importorskip("torch", reason="pip install torch==2.13.0")

from trainers.optimizers.torch_rule import TorchRule  # noqa: E402
from trainers.torch import TorchProblem  # noqa: E402
from trainers.torch.memory import judging_bytes, state_bytes, training_bytes  # noqa: E402

# Peak of a process that trains argv[1] restarts by argv[2], in bytes. getrusage would give the peak
# of the process that started it where that is larger: Linux keeps it through fork and exec.
PEAK = """
import sys, torch
from pathlib import Path
from trainers import train
from trainers.optimizers.torch_rule import TorchRule
from trainers.randomness import starts
from tests.trainers.torch.test_memory import mlp

problem = mlp()
train(
    problem,
    TorchRule.of(sys.argv[2], {}),
    learning_rate=1e-3,
    starts=starts(problem, restarts=int(sys.argv[1]), seed=0),
    steps=12,
    batch_size=32,
)
_, _, rest = Path("/proc/self/status").read_text().partition("VmHWM:")
print(1024 * int(rest.split()[0]))
"""


def mlp() -> TorchProblem:
    """Of 240,000 parameters."""
    x = torch.linspace(-1, 1, 64 * 64).reshape(64, 64)
    return TorchProblem(
        lambda: torch.nn.Sequential(
            torch.nn.Linear(64, 440),
            torch.nn.ReLU(),
            torch.nn.Linear(440, 440),
            torch.nn.ReLU(),
            torch.nn.Linear(440, 10),
        ),
        torch.nn.functional.cross_entropy,
        (x, torch.arange(64) % 10),
        device="cpu",
    )


def peak(restarts: int, optimizer: str) -> float:
    """With every array given back when it is freed. As usual the C library keeps arrays below 32 MB
    for the next ones: the same training then took 0.8 to 1.3 times as much for each restart."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(restarts), optimizer],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    return float(done.stdout)


@pytest.mark.science
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_takes_what_was_told(optimizer: str) -> None:
    """For each restart more; measured 1 % below what was told, again and again."""
    few, many = 8, 40
    each = (peak(many, optimizer) - peak(few, optimizer)) / (many - few)
    told = training_bytes(mlp(), TorchRule.of(optimizer, {}), 32)
    assert each == pytest.approx(told, rel=0.05)


@pytest.mark.parametrize(
    ("optimizer", "options", "copies"),
    [
        ("sgd", {}, 0),
        ("sgd", {"momentum": 0.9}, 1),
        ("rmsprop", {}, 1),
        ("adam", {}, 2),
        ("adamw", {"amsgrad": True}, 3),
    ],
)
def test_the_optimizer_s_memory_is_found(
    optimizer: str, options: dict[str, Any], copies: int
) -> None:
    problem = mlp()
    found = state_bytes(problem, TorchRule.of(optimizer, options))
    # Beside copies of the parameters, a number or two for each of the six tensors: counts of steps.
    assert copies * 4 * problem.parameters <= found <= copies * 4 * problem.parameters + 100


def test_a_batch_is_counted_and_the_larger_of_training_and_judging_told() -> None:
    problem, rule = mlp(), TorchRule.of("adam", {})
    small, large = (training_bytes(problem, rule, size) for size in (32, 64))
    # Of an example are kept, in single precision: two hidden layers behind ReLU, and 10 logarithms
    # of probabilities. Its inputs and label are the batch's.
    assert large - small >= 32 * 4 * (440 + 440 + 10)
    assert large - small <= 32 * 4 * (2 * 440 + 2 * 440 + 64 + 3 * 10)
    assert training_bytes(problem, rule, None) == large  # of all 64
    assert problem.restart_bytes(rule, 32) == judging_bytes(problem) == 368 * problem.parameters
