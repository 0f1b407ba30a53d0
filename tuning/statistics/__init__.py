"""Numbers with their uncertainty: intervals, bounds, tests, and the fit of a cliff.

Pure functions of counts and rates. Everybody may come in; the room knows nothing of jobs.
"""

from __future__ import annotations

from tuning.statistics.cliff import Cliff, fit_cliff
from tuning.statistics.intervals import (
    Comparison,
    Rate,
    UnseenMass,
    clopper_pearson_upper,
    mcnemar,
    wilson,
)

__all__ = [
    "Cliff",
    "Comparison",
    "Rate",
    "UnseenMass",
    "clopper_pearson_upper",
    "fit_cliff",
    "mcnemar",
    "wilson",
]
