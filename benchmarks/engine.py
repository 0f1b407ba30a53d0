"""(a) Restart-steps a second: the engine against a plain NumPy loop over single restarts."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.plain import train_one
from benchmarks.problems import data
from trainers import get_optimizer, starts, train
from trainers.problems.network import Network

__all__ = ["engine"]

# (inputs, hidden, outputs, examples, classification?), and the ratio asked for at 64 restarts
CASES = (((2, 3, 1, 4, False), 30.0), ((2, 16, 1, 64, False), 4.0), ((64, 32, 10, 512, True), 1.3))
RESTARTS = (16, 64, 256, 1024)
_ROUNDS = 3
_SECONDS = 0.7


def _rate(work: Callable[[int], None], unit: int) -> float:
    """Units a second: steps are added until a run takes long enough."""
    steps = 4
    while True:
        begin = time.perf_counter()
        work(steps)
        spent = time.perf_counter() - begin
        if spent > _SECONDS / 2:
            return unit * steps / spent
        steps = max(steps + 1, int(steps * min(50.0, _SECONDS / max(spent, 1e-4))))


def _measure(shape: tuple[int, int, int, int, bool]) -> dict[int, float]:
    """Restart-steps a second by number of restarts, 0 standing for the plain loop: the best of
    three rounds of each, interleaved."""
    inputs, hidden, outputs, examples, classes = shape
    x, y = data(inputs, outputs, examples, classes=classes)
    loss = "cross-entropy" if classes else "squared-error"
    problem, rule = Network(x, y, hidden=[hidden], loss=loss), get_optimizer("gd")
    rng = np.random.default_rng(0)

    def plain(steps: int) -> None:
        train_one(x, y, hidden, 1e-3, steps, rng, softmax=classes)

    def ours(w: NDArray[np.float64]) -> Callable[[int], None]:
        def run(steps: int) -> None:
            train(problem, rule, learning_rate=1e-3, starts=w, steps=steps)

        return run

    runs = {r: ours(starts(problem, restarts=r, seed=0)) for r in RESTARTS}
    best = dict.fromkeys((0, *RESTARTS), 0.0)
    for _ in range(_ROUNDS):
        best[0] = max(best[0], _rate(plain, 1))
        for restarts, run in runs.items():
            best[restarts] = max(best[restarts], _rate(run, restarts))
    return best


def engine() -> list[str]:
    """A table in Markdown, on one core."""
    columns = [*(f"R = {r}" for r in RESTARTS), "asked at 64"]
    lines = [
        f"| network, examples | plain loop | {' | '.join(columns)} |",
        "| --- | --- |" + " --- |" * len(columns),
    ]
    for shape, asked in CASES:
        with threadpool_limits(1):
            best = _measure(shape)
        cells = [f"{best[r]:,.0f} ({best[r] / best[0]:.1f}x)" for r in RESTARTS]
        inputs, hidden, outputs, examples, _ = shape
        name = f"{inputs}-{hidden}-{outputs} on {examples}"
        lines.append(f"| {name} | {best[0]:,.0f} | {' | '.join(cells)} | {asked:g}x |")
    return lines
