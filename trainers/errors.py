"""What can go wrong in `trainers`, as exceptions a caller can name.

SurefootError            every error this distribution raises on purpose
├── InvalidInput         the caller asked for something that cannot be (CLI: exit code 2)
└── ProblemFailed        a problem's own code raised on a worker (CLI: exit code 1)
"""

from __future__ import annotations

__all__ = ["InvalidInput", "ProblemFailed", "SurefootError"]


class SurefootError(Exception):
    """Base class of every error raised on purpose by `trainers` and `tuning`."""


class InvalidInput(SurefootError):
    """Bad input. The message is one line: what is wrong, where, what is valid, what to do."""


class ProblemFailed(SurefootError):
    """The code of a user's problem raised on a worker; the message holds its traceback."""
