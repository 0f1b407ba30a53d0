"""What can go wrong in `tuning`, as exceptions a caller can name.

SurefootError *           every error that is raised on purpose
├── InvalidInput *        the caller asked for something that cannot be      exit code 2
│   ├── Unavailable *     now; another time it may
│   ├── NotFound          there is nothing of that name
│   │   ├── JobNotFound
│   │   └── StudyNotFound
│   └── LeaseHeld         another process is at work on it
├── LeaseLost             another process went on with it meanwhile          exit code 1
├── Transient             a server does not answer now: try again            exit code 1
│   ├── Unreachable       the database
│   └── RayUnreachable    the Ray cluster
└── ProblemFailed *       a problem's own code raised on a worker            exit code 1

Those with a * are `trainers.errors`. That MLflow is away is no error here: the study is the truth,
and what MLflow lacks is written later (`tuning.tracking.writer`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainers._mask import mask
from trainers.errors import InvalidInput, ProblemFailed, SurefootError, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tuning.storage.file_lease import Holder

__all__ = [
    "InvalidInput",
    "JobNotFound",
    "LeaseHeld",
    "LeaseLost",
    "NotFound",
    "ProblemFailed",
    "RayUnreachable",
    "StudyNotFound",
    "SurefootError",
    "Transient",
    "Unavailable",
    "Unreachable",
]


class NotFound(InvalidInput):
    """There is nothing of that name where it was looked for."""


class JobNotFound(NotFound):
    """There is no such job, or it has been deleted."""


class StudyNotFound(NotFound):
    """There is no such study: it was not created, not to its end, or has been deleted.

    A study that is there and cannot be read (damaged, of another version of Optuna, not this user's
    to read) is an InvalidInput and not this: whoever finds none may create one.
    """


class LeaseHeld(InvalidInput):
    """Another process holds the lease; `holder` says who, None when its entry is unreadable."""

    def __init__(self, lease: Path | str, held_by: Holder | None) -> None:
        super().__init__(
            f"the lease {lease} is held by {held_by or 'an unknown process'}: "
            "wait until it ends, or stop it"
        )
        self.holder = held_by


class LeaseLost(SurefootError):
    """The session was lost for a while, and another coordinator went on with the study."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(
            f"another coordinator went on with study {name!r} in {mask(url)} while this one was "
            "cut off from it: leave the study to it, or resume it when it has ended"
        )


class Transient(SurefootError):
    """A server does not answer now. It may pass: try again."""


class Unreachable(Transient):
    """The database does not answer, or the connection was lost."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"cannot reach the database {mask(url)}: {reason}; "
            "start it or wait for it, or correct SUREFOOT_STORAGE_URL or storage.url"
        )


class RayUnreachable(Transient):
    """The Ray cluster does not answer."""
