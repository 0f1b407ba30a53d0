"""Losses to train on: landscapes with known minima, networks, and a user's own by name.

Who wants one asks `get_problem`. A problem knows `data` and nothing of how it is trained.
"""

from __future__ import annotations

from trainers.problems.landscape_base import Landscape
from trainers.problems.mlp import MLP, XOR
from trainers.problems.network import Network
from trainers.problems.registry import PROBLEMS, get_problem
from trainers.problems.teachers import DeepLinear, TeacherStudent

__all__ = [
    "MLP",
    "PROBLEMS",
    "XOR",
    "DeepLinear",
    "Landscape",
    "Network",
    "TeacherStudent",
    "get_problem",
]
