"""A network of 50,000 parameters is judged in bounded memory; measured in a process of its own.

`python -m benchmarks.wide` prints, as JSON, what `judge_wide` returns.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from trainers import classify, get_optimizer, starts, train
from trainers.data.dataset import load
from trainers.problems.network import Network

__all__ = ["judge_wide"]

_RESTARTS, _STEPS, _UNITS, _EXAMPLES = 32, 600, 666, 100


def judge_wide() -> dict[str, Any]:
    """Parameters; megabytes that judging takes beyond the training's own; restarts by basin; CPU
    seconds of training and judging."""
    command = [sys.executable, "-m", "benchmarks.wide"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _measure() -> dict[str, Any]:
    digits = load("digits")
    x, y = digits.train_inputs, digits.train_targets
    problem = Network(x[:_EXAMPLES], y[:_EXAMPLES], hidden=[_UNITS], weight_decay=1e-3)
    w0 = starts(problem, restarts=_RESTARTS, seed=0)
    begin = time.process_time()
    run = train(problem, get_optimizer("gd"), learning_rate=0.1, starts=w0, steps=_STEPS)
    trained, before = time.process_time(), _peak()
    outcomes = classify(problem, run)
    basins, counts = np.unique(outcomes.basin.astype(str), return_counts=True)
    return {
        "parameters": problem.parameters,
        "megabytes": _peak() - before,
        "basins": dict(zip(basins.tolist(), counts.tolist(), strict=True)),
        "training": trained - begin,
        "judging": time.process_time() - trained,
    }


if __name__ == "__main__":
    with threadpool_limits(1):
        print(json.dumps(_measure()))
