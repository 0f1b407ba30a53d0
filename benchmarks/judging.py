"""(d) What became of every restart: seconds of judging over seconds of the training judged."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from trainers import classify, get_optimizer, starts, train
from trainers.problems.network import Network

__all__ = ["judging"]

# inputs, hidden units, examples: P = (inputs + 2) * hidden + 1
SHAPES = ((2, 2, 100), (5, 4, 200), (6, 8, 300), (8, 10, 300), (8, 20, 400), (12, 25, 500))
RESTARTS, STEPS = 64, 1000
_KINDS: tuple[tuple[str, str, float, float, int], ...] = (
    # activation, optimizer, rate, weight decay, steps; 10,000 so that most settle
    ("tanh", "momentum", 0.1, 3e-3, STEPS),
    ("tanh", "momentum", 0.1, 0.0, STEPS),
    ("relu", "momentum", 0.1, 3e-3, STEPS),
    ("tanh", "momentum", 0.1, 3e-3, 10 * STEPS),
)


def _network(inputs: int, hidden: int, examples: int, activation: str, decay: float) -> Network:
    """Learns the sum of three tanh units."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, inputs))
    teacher = rng.standard_normal((3, inputs)) / np.sqrt(inputs)
    y = np.tanh(x @ teacher.T).sum(axis=1, keepdims=True)
    return Network(
        x, y, hidden=[hidden], activation=activation, loss="squared-error", weight_decay=decay
    )


def _seconds(work: Callable[[], object]) -> tuple[float, object]:
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def _cell(problem: Network, name: str, rate: float, steps: int) -> str:
    w0 = starts(problem, restarts=RESTARTS, seed=0)
    trained, run = _seconds(
        lambda: train(problem, get_optimizer(name), learning_rate=rate, starts=w0, steps=steps)
    )
    judged, found = _seconds(lambda: classify(problem, run))  # type: ignore[arg-type]
    doing = Counter(str(d) for d in found.dynamics)  # type: ignore[attr-defined]
    open_ = Counter(str(b) for b in found.basin)["undetermined"]  # type: ignore[attr-defined]
    return f"{judged / trained:.2f} ({doing['settled']} settled, {open_} undetermined)"


def judging() -> list[str]:
    """A table in Markdown, on one core."""
    heads = [f"{a}, weight decay {d:g}, {s:,} steps" for a, _, _, d, s in _KINDS]
    lines = [f"| P | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    with threadpool_limits(1):
        for inputs, hidden, examples in SHAPES:
            cells = []
            for activation, name, rate, decay, steps in _KINDS:
                problem = _network(inputs, hidden, examples, activation, decay)
                cells.append(_cell(problem, name, rate, steps))
            lines.append(f"| {problem.parameters} | {' | '.join(cells)} |")
    lines += ["", f"{RESTARTS} restarts; at most 1 is asked for from 1,000 steps on."]
    return lines
