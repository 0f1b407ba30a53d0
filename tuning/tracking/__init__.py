"""MLflow's picture of a job: a projection of the study, written behind by one thread.

The study is the truth. A run that MLflow lacks (the server was down, the queue full, the
process killed) can be made again from the study at any time, so nothing here is kept on
disk: `Tracker.reconcile` writes what is missing. Each run bears two tags: its key, by which
it is found again, since MLflow would create a second one, and a digest of its content, by
which a run that is complete and current is told from one that is not.

`runner` and `cluster` come in, with a `Run`. This is the only room that imports MLflow, and
it does so when a tracker starts.
"""

from __future__ import annotations

from tuning.tracking.address import check, serve_command
from tuning.tracking.admin import delete_experiment, reach
from tuning.tracking.run import Run
from tuning.tracking.view import report_path, view_tags
from tuning.tracking.writer import Tracker

__all__ = [
    "Run",
    "Tracker",
    "check",
    "delete_experiment",
    "reach",
    "report_path",
    "serve_command",
    "view_tags",
]
