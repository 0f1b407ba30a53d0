"""The durable study: an Optuna study that only grows, by one finished trial in one write.

Come in through `StudyStore`: where a study is kept, a journal file or PostgreSQL, is one
`Backend` each. Of this room alone and of `tuning.search.proposer` Optuna is known.
`counts` says how many trials a study has, without Optuna.
"""

from __future__ import annotations

from tuning.study.store import StudyStore
from tuning.study.trials import JsonValue, TrialRecord

__all__ = ["JsonValue", "StudyStore", "TrialRecord"]
