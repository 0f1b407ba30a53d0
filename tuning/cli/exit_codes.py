"""How the command ends, for the program that called it."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """README.md's table; `tuning.errors` says which error has which."""

    DONE = 0
    FAILED = 1  # the job; or a server that is away
    USAGE = 2  # bad usage or bad job file: one line, nothing started
    NONE_STABLE = 3  # done, but no learning rate in the range even looks stable, or none learns
    INTERRUPTED = 130  # as the shell has it for SIGINT: 128 + 2
