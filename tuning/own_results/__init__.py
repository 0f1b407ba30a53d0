"""The statistics on trainings that somebody else ran: a table in, an ordinary report out.

`tuning` itself and `cli` come in by `verdict`. The room puts the table's rows where a job's
results would be, and `analysis` does the rest.
"""

from __future__ import annotations

from tuning.own_results.answer import verdict

__all__ = ["verdict"]
