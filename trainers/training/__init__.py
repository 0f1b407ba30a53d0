"""Training: R restarts as one array program, and what is kept of them along the way.

Come in by `train`. The room knows problems by their interface and optimizers by theirs.
"""

from __future__ import annotations

from trainers.training.engine import evaluator, train
from trainers.training.sharpness_recorder import SharpnessRecorder
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trajectories import Trajectories

__all__ = ["SharpnessRecorder", "TailStatistics", "Trajectories", "evaluator", "train"]
