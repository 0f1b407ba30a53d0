"""How many trials were told: of PostgreSQL without Optuna, which takes seconds to import."""

from __future__ import annotations

from trainers._mask import mask
from tuning.errors import StudyNotFound
from tuning.storage.postgres import POSTGRES, connect, translate_errors
from tuning.study.store import CREATED, StudyStore

__all__ = ["count", "counts"]

# As `StudyStore.open` has it, a study without the mark is none.
COUNTS = f"""
    SELECT study_name, count(trial_id)
    FROM studies JOIN study_user_attributes a USING (study_id) LEFT JOIN trials USING (study_id)
    WHERE a.key = '{CREATED}' AND study_name = coalesce(%(name)s::text, study_name)
    GROUP BY study_name
"""


def count(url: str, name: str) -> int:
    """The number of trials in study `name`.

    Raises:
        InvalidInput, OSError, Unreachable: see `StudyStore.open`.
    """
    if not url.startswith(POSTGRES):
        return len(StudyStore.open(url, name).records())
    found = _counts(url, name)
    if name not in found:
        raise StudyNotFound(f"there is no study {name!r} in {mask(url)}: check the name")
    return found[name]


def counts(url: str) -> dict[str, int]:
    """The same for every study in the PostgreSQL database at `url`, in one query.

    Raises:
        InvalidInput, Unreachable: see `tuning.storage.postgres.connect`.
    """
    return _counts(url, None)


def _counts(url: str, name: str | None) -> dict[str, int]:
    with connect(url) as connection, translate_errors(url):
        if connection.execute("SELECT to_regclass('studies')").fetchone() == (None,):
            return {}
        return dict(connection.execute(COUNTS, {"name": name}).fetchall())
