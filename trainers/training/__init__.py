"""Training: R restarts as one array program, and what is kept of them along the way.

Come in by `train`. The room knows problems by their interface and optimizers by theirs.

Who trains is behind a seam, `Trainer`: it is given a problem, a rule and a `TrainingPlan` (starts,
rates, steps), and gives `Trajectories`. `engine` does it in NumPy; a second one, with PyTorch's own
optimizers, is a class with that one method, and `train` chooses. What is measured along the way is
a `Recorder` (due / add): the path, the sharpness, others to follow; it is shown `Moment`s
and knows nothing of who trains.
"""

from __future__ import annotations

from trainers.training.engine import NumPyTrainer, train
from trainers.training.recorder import Moment, Recorder
from trainers.training.tail_statistics import TailStatistics
from trainers.training.trainer import Trainer, TrainingPlan
from trainers.training.trajectories import Trajectories

__all__ = [
    "Moment",
    "NumPyTrainer",
    "Recorder",
    "TailStatistics",
    "Trainer",
    "TrainingPlan",
    "Trajectories",
    "train",
]
