"""Where gradient flow alone ends: the slow judge that the fast one is held to.

The definition of a restart's basin is where the flow from its last point comes to rest. On small
problems it can be followed there, and then nothing is extrapolated and nothing jumps.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from benchmarks.verdicts import Agreement, compare
from trainers import (
    Problem,
    Trajectories,
    classify,
    get_optimizer,
    get_problem,
    starts,
    train,
)
from trainers.basins.gradient_flow import Flow
from trainers.outcomes.basins import best_known, descent_of
from trainers.outcomes.classify import judged_from
from trainers.problem import FloatArray, evaluator
from trainers.problems.network import Network
from trainers.thresholds import Thresholds

__all__ = ["compare_with_flow"]

_RESTARTS, _STEPS = 48, 500
_RATES = {"momentum": 0.1, "adam": 0.01}
_TOLERANCE = 1e-3
_FIRST, _DOUBLINGS = 1000, 6  # gradients: up to 64,000
# Of tau, by a doubling of the work. Gains that fall by a tenth with each leave ten times as much.
_NEGLIGIBLE = 0.02


def _iris() -> Problem:
    x, y = load_iris(return_X_y=True)
    inputs = StandardScaler().fit_transform(x)
    return Network(inputs, np.eye(3)[y], hidden=[8], weight_decay=1e-3)


def _problems() -> Iterator[Problem]:
    """Of 24 to 134 parameters."""
    yield get_problem("teacher-student", hidden=4)
    yield get_problem("teacher-student", hidden=8)
    yield get_problem("xor", hidden=[8])
    yield get_problem("mlp", data="diabetes", hidden=[4], weight_decay=1e-3)
    yield get_problem("mlp", data="diabetes", hidden=[8], weight_decay=1e-3)
    yield get_problem("mlp", data="wine", hidden=[4], weight_decay=1e-3)
    yield _iris()
    yield get_problem("mlp", data="breast-cancer", hidden=[4], weight_decay=1e-3)


def _ends(problem: Problem, run: Trajectories, material: float) -> tuple[FloatArray, FloatArray]:
    """Losses (R,) where the flow is, and the lower ends (R,): the same where it has come to its
    end, else -inf."""
    evaluate = evaluator(problem)
    w = judged_from(evaluate, run, Thresholds())[0]
    with np.errstate(all="ignore"):
        flow = Flow.begin(evaluate, w, run.starts, run.losses[0])
        gained, tau = np.full(len(w), np.inf), 0.0
        for doubling in range(_DOUBLINGS + 1):
            before, budget = flow.loss.copy(), _FIRST * 2**doubling
            going = gained > _NEGLIGIBLE * tau
            while (here := going & (flow.used < budget)).any():
                flow.advance(evaluate, _TOLERANCE, here)
            gained[going] = (before - flow.loss)[going]
            best = best_known(flow.loss, problem.known_minimum)
            tau = material * descent_of(run.losses[0], best)
    return flow.loss, np.where(gained <= _NEGLIGIBLE * tau, flow.loss, -np.inf)


def compare_with_flow(material: float) -> Agreement:
    """Of the judge with pure gradient flow, where that decides."""
    found = Agreement(0, 0, 0)
    for problem in _problems():
        w0 = starts(problem, restarts=_RESTARTS, seed=0)
        for name, rate in _RATES.items():
            rule = get_optimizer(name)
            run = train(problem, rule, learning_rate=rate, starts=w0, steps=_STEPS)
            ours = classify(problem, run, Thresholds(material=material))
            ends = _ends(problem, run, material)
            found = found.plus(compare(ours, *ends, problem.known_minimum, material))
    return found
