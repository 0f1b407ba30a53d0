"""Writing to a study's journal file: one writer at a time, from the start of a line."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

__all__ = ["WriteLock"]

BLOCK_BYTES = 4096


class WriteLock:
    """Held by Optuna's backend during each write: exclusive, and at the start of a line.

    Optuna's own locks are files: one that a killed writer leaves behind stops the next for 30
    seconds. This one belongs to the open file, so that it ends with its process.

    A writer that is killed, or finds the disk full, in the middle of a write leaves a part of a
    line. Optuna's readers pass over it while it is the last one; but it would append to it, lose
    the new record and make the file unreadable from the record after that.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def acquire(self) -> bool:
        self._file = os.open(self._path, os.O_RDWR)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        end = _end_of_last_line(self._file)
        if end < os.fstat(self._file).st_size:
            os.ftruncate(self._file, end)
        return True

    def release(self) -> None:
        os.close(self._file)


def _end_of_last_line(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - BLOCK_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
