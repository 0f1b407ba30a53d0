"""The answer, as data, and how it looks: page, terminal, files, sentences, pictures.

Everything is a function of a `Report`. `analysis` fills it; `runner` and `cli` show it.
The room knows `statistics`, and neither results nor studies.
"""

from __future__ import annotations

from tuning.report.model import BestStable, Minimum, Report, RunFacts, SettingRow, Target

__all__ = ["BestStable", "Minimum", "Report", "RunFacts", "SettingRow", "Target"]
