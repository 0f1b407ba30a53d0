"""What became of every restart: what it was doing, and in which basin it is.

The top of `trainers`: come in by `trainers.classify`, which is `classify.classify`.
"""

from __future__ import annotations

from trainers.outcomes.classify import Basin, Outcome, Outcomes
from trainers.outcomes.dynamics import Dynamics

__all__ = ["Basin", "Dynamics", "Outcome", "Outcomes"]
