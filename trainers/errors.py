"""What can go wrong in `trainers`, as exceptions a caller can name.

SurefootError            every error this distribution raises on purpose
├── InvalidInput         the caller asked for something that cannot be (CLI: exit code 2)
│   └── Unavailable      now; another time it may
└── ProblemFailed        a problem's own code raised on a worker (CLI: exit code 1)
"""

from __future__ import annotations

__all__ = ["InvalidInput", "ProblemFailed", "SurefootError", "Unavailable", "in_brief"]

_LONGEST = 400  # characters


class SurefootError(Exception):
    """Base class of every error raised on purpose by `trainers` and `tuning`."""


class InvalidInput(SurefootError):
    """Bad input. The message is one line: what is wrong, where, what is valid, what to do.

    It repeats what it was given, which may be of any length and hold any character: the line shows
    what cannot be printed as escapes, and is cut in the middle, between what is wrong and what is
    valid.
    """

    def __init__(self, message: str) -> None:
        if not message.isprintable():
            message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
        if len(message) > _LONGEST:
            message = f"{message[: _LONGEST // 2]} ... {message[5 - _LONGEST // 2 :]}"
        super().__init__(message)


class Unavailable(InvalidInput):
    """What the caller named cannot be had now, as from a server that is overloaded."""


class ProblemFailed(SurefootError):
    """The code of a user's problem raised on a worker; the message holds its traceback."""


def in_brief(failure: str) -> str:
    """A failure in one line: what failed, and the last line of its traceback if it has one."""
    first, *more = [line.strip() for line in failure.splitlines() if line.strip()] or [""]
    return f"{first} {more[-1]}" if more else first
