"""A job carried through, in this process: pool, loop, records, report; and asked again.

`tuning` itself and `cli` come in by `tune` and its like, `cluster` by `run_job`.
"""

from __future__ import annotations

from tuning.runner.local_api import load_report, load_study, resume, tune
from tuning.runner.run import run_job

__all__ = ["load_report", "load_study", "resume", "run_job", "tune"]
