"""Training many restarts at once, and saying what became of each.

Knows nothing of Ray, Optuna or MLflow::

    from trainers import classify, get_optimizer, get_problem, starts, train

    problem, optimizer = get_problem("double-well"), get_optimizer("momentum", beta=0.9)
    w0 = starts(problem, restarts=300, seed=0)
    run = train(problem, optimizer, learning_rate=0.01, starts=w0, steps=3000)
    outcomes = classify(problem, run)
"""

from __future__ import annotations

from trainers.basins import Point
from trainers.dynamics import Dynamics
from trainers.engine import Trajectories, train
from trainers.errors import InvalidInput, ProblemFailed, SurefootError
from trainers.optimizers import OPTIMIZERS, Optimizer, get_optimizer
from trainers.outcomes import Basin, Outcome, Outcomes, classify
from trainers.problem import Problem
from trainers.randomness import starts
from trainers.registry import PROBLEMS, get_problem
from trainers.thresholds import Thresholds

__all__ = [
    "OPTIMIZERS",
    "PROBLEMS",
    "Basin",
    "Dynamics",
    "InvalidInput",
    "Optimizer",
    "Outcome",
    "Outcomes",
    "Point",
    "Problem",
    "ProblemFailed",
    "SurefootError",
    "Thresholds",
    "Trajectories",
    "classify",
    "get_optimizer",
    "get_problem",
    "starts",
    "train",
]
