"""Restart-steps a second under PyTorch: all restarts at once, and one by one, against the loop that
everybody writes. On one core, in float32, by Adam, the bookkeeping of outcomes included."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmarks.torch_models import CNN, LSTM, MLP, Small, Transformer, digits, series, waves
from trainers import starts, train
from trainers.optimizers.torch_rule import TorchRule
from trainers.randomness import batches
from trainers.torch import TorchProblem
from trainers.training.trajectories import recorded_steps

__all__ = ["torch_"]

_RESTARTS, _ALONE = 64, 8
_ROUNDS = 5
_STEPS = 200
_RATE = 1e-3
_RULE = TorchRule.of("adam", {})

Data = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class _Case:
    """`asked`: how many times the ordinary loop, at 64 restarts."""

    name: str
    model: Callable[[], nn.Module]
    data: Callable[[int], Data]
    batch_size: int | None
    asked: float | None


_CASES = (
    _Case("2-16-1 on 64, full batch", Small, lambda _: waves(), None, 15.0),
    _Case("64-128-64-10, batches of 32", MLP, digits, 32, 3.0),
    _Case("CNN, batches of 32", CNN, digits, 32, 3.0),
    _Case("transformer, batches of 16", Transformer, series, 16, 1.7),
    _Case("LSTM, batches of 16", LSTM, series, 16, None),
)


def _loss(data: Data) -> Any:
    f = nn.functional
    return f.cross_entropy if data[1].dtype == torch.int64 else f.mse_loss


def _ordinary(case: _Case, data: Data) -> None:
    """One restart, as in a script that keeps a curve of the loss on all examples, as ours is."""
    torch.manual_seed(0)
    module, (x, y), loss_of = case.model(), data, _loss(data)
    optimizer = torch.optim.Adam(module.parameters(), _RATE)
    order = None if case.batch_size is None else batches(len(x), case.batch_size, 0)
    looks = set(recorded_steps(_STEPS, at_no_cost=False).tolist())
    for step in range(_STEPS):
        if order is not None and step in looks:
            with torch.no_grad():
                loss_of(module(x), y).item()
        rows = slice(None) if order is None else torch.as_tensor(next(order))
        optimizer.zero_grad()
        loss = loss_of(module(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        loss.item()  # whoever watches a curve reads it


def _measure(case: _Case, examples: int) -> dict[str, float]:
    """Restart-steps a second of CPU time by the loop, and how many times as many the others take:
    medians of rounds in which all have their turn."""
    data = case.data(examples)

    def ours(together: Any, restarts: int) -> Callable[[], object]:
        problem = TorchProblem(case.model, _loss(data), data, together=together)
        w = starts(problem, restarts=restarts)
        return lambda: train(
            problem,
            _RULE,
            learning_rate=_RATE,
            starts=w,
            steps=_STEPS,
            batch_size=case.batch_size,
        )

    runs: dict[str, tuple[Callable[[], object], int]] = {
        "loop": (lambda: [_ordinary(case, data) for _ in range(_ALONE)], _ALONE),
        "together": (ours("always", _RESTARTS), _RESTARTS),
        "one by one": (ours("never", _ALONE), _ALONE),
    }
    rounds = []
    for _ in range(_ROUNDS):
        speeds = {}
        for name, (run, restarts) in runs.items():
            begin = time.process_time()
            run()
            speeds[name] = restarts * _STEPS / (time.process_time() - begin)
        rounds.append(speeds)
    found = {"loop": median(speeds["loop"] for speeds in rounds)}
    for name in ("together", "one by one"):
        found[name] = median(speeds[name] / speeds["loop"] for speeds in rounds)
    return found


def torch_() -> list[str]:
    """A table in Markdown: with as few examples as two batches, where looking at all of them costs
    little, and with 512."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lines = [
        f"Whole trainings of {_STEPS} steps; the ordinary loop keeps the same curve.",
        "",
        f"| module, data | ordinary loop | one by one | together, R = {_RESTARTS} | asked |",
        "| --- | --- | --- | --- | --- |",
    ]
    try:
        for case in _CASES:
            for examples in [64] if case.batch_size is None else [2 * case.batch_size, 512]:
                found = _measure(case, examples)
                cells = [f"{found[name]:.2f}x" for name in ("one by one", "together")]
                of = "" if case.batch_size is None else f" of {examples}"
                asked = "" if case.asked is None else f"{case.asked:g}x"
                lines.append(
                    f"| {case.name}{of} | {found['loop']:,.0f} | {' | '.join(cells)} | {asked} |"
                )
    finally:
        torch.set_num_threads(threads)
    return lines
