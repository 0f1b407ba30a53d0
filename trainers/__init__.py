"""Training many restarts at once, and saying what became of each.

Knows nothing of Ray, Optuna or MLflow::

    from trainers import classify, get_optimizer, get_problem, starts, train

    problem, optimizer = get_problem("double-well"), get_optimizer("momentum", beta=0.9)
    w0 = starts(problem, restarts=300, seed=0)
    run = train(problem, optimizer, learning_rate=0.01, starts=w0, steps=3000)
    outcomes = classify(problem, run)
"""

from __future__ import annotations

from trainers.basins.endpoints import Point
from trainers.errors import InvalidInput, ProblemFailed, SurefootError
from trainers.optimizers.base import Optimizer
from trainers.optimizers.registry import OPTIMIZERS, all_optimizers, get_optimizer
from trainers.outcomes.basins import Basin, Evidence
from trainers.outcomes.classify import Outcome, Outcomes, classify
from trainers.outcomes.dynamics import Dynamics
from trainers.outcomes.stability import Fall
from trainers.problem import Problem
from trainers.problems.registry import PROBLEMS, all_problems, get_problem
from trainers.randomness import starts
from trainers.thresholds import Thresholds
from trainers.training.engine import train
from trainers.training.trajectories import Trajectories

__all__ = [
    "OPTIMIZERS",
    "PROBLEMS",
    "Basin",
    "Dynamics",
    "Evidence",
    "Fall",
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
    "all_optimizers",
    "all_problems",
    "classify",
    "get_optimizer",
    "get_problem",
    "starts",
    "train",
]
