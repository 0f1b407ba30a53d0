"""From results to the report: labels, distinct minima, the recommendation, its reasons.

Pure: the same results give the same report. `search` asks what is to be confirmed, `runner`
and `cluster` for the report. The room knows `trial`, `report` and `statistics`.
"""

from __future__ import annotations

from tuning.analysis.basin_labels import Labels
from tuning.analysis.build import build_report, next_confirmations
from tuning.analysis.problem_info import draw_landscape, host_facts, problem_facts
from tuning.analysis.recommendation import Verdict

__all__ = [
    "Labels",
    "Verdict",
    "build_report",
    "draw_landscape",
    "host_facts",
    "next_confirmations",
    "problem_facts",
]
