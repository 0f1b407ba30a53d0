"""What became of every restart: what it was doing, whether it fell, and in which basin it is.

The top of `trainers`: come in by `trainers.classify`, which is `classify.classify`.
"""

from __future__ import annotations

from trainers.outcomes.basins import Basin, Evidence
from trainers.outcomes.classify import Outcome, Outcomes
from trainers.outcomes.dynamics import Dynamics
from trainers.outcomes.stability import Fall

__all__ = ["Basin", "Dynamics", "Evidence", "Fall", "Outcome", "Outcomes"]
