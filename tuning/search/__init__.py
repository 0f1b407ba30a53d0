"""What is tried next, and when the job is done: the pure core and its thin loop.

`runner` comes in by `run_loop`. `coordinator` has no clock, no input and no output: events
in, actions out. `samplers` ask Optuna in memory, imported at the first proposal.
"""

from __future__ import annotations

from tuning.search.coordinator import Coordinator
from tuning.search.loop import Listeners, Progress, run_loop
from tuning.search.plan import JobPlan, make_search
from tuning.search.proposer import Proposer
from tuning.search.records import results_of

__all__ = [
    "Coordinator",
    "JobPlan",
    "Listeners",
    "Progress",
    "Proposer",
    "make_search",
    "results_of",
    "run_loop",
]
