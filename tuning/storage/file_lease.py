"""One coordinator per study: a lease on a file, which dies with the process that holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

from tuning.errors import InvalidInput, LeaseHeld

__all__ = ["Holder", "Lease", "LeaseHeld", "holder"]

# `holder` locks the file for some microseconds to see whether it is free; a lease taken at that
# moment must not fail for it.
ATTEMPTS = 5
PAUSE_SECONDS = 0.02
# On a busy machine a holder may be stopped between taking the lock and writing who it is.
READINGS = 25


@dataclass(frozen=True)
class Holder:
    """Who holds a lease: process id, host name, ISO 8601 time in UTC."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


class Lease:
    """`with Lease(path): ...` is exclusive among all processes that can lock the file `path`.

    The lock (flock) belongs to the open file, so the kernel releases it when the process dies,
    however it dies; a child made by `os.fork` without exec shares it. The file itself stays:
    removing it would let two processes hold locks on two files of one name. Give it a file of its
    own, since the lock also blocks others who flock that file.

    Raises (on entering):
        LeaseHeld: another holds it.
        OSError: the file cannot be created or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            # "a+" creates the file and never empties what another holder wrote.
            file = stack.enter_context(open(self.path, "a+", encoding="utf-8"))
            if not _lock(file, fcntl.LOCK_EX):
                raise LeaseHeld(self.path, _read(file))
            now = datetime.now(UTC).isoformat(timespec="seconds")
            file.truncate(0)
            json.dump(asdict(Holder(os.getpid(), socket.gethostname(), now)), file)
            file.flush()
            self._held = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._held.close()


def holder(path: str | os.PathLike[str]) -> Holder | None:
    """Who holds the lease on `path` now; None when nobody does. It is not taken.

    Raises:
        InvalidInput: somebody holds it whose entry cannot be read.
    """
    try:
        file = open(path, encoding="utf-8")  # noqa: SIM115
    except FileNotFoundError:
        return None
    with file:
        if _lock(file, fcntl.LOCK_SH, attempts=1):
            return None
        found = _read(file)
    if found is None:
        raise InvalidInput(f"the lease {path} is held, but does not say by whom: is it a lease?")
    return found


def _lock(file: IO[str], kind: int, attempts: int = ATTEMPTS) -> bool:
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _read(file: IO[str]) -> Holder | None:
    """The entry in `file`, waiting a little for a holder that is just writing it."""
    for _ in range(READINGS):
        file.seek(0)
        try:
            entry = json.load(file)
            return Holder(int(entry["pid"]), str(entry["host"]), str(entry["since"]))
        except (ValueError, KeyError, TypeError):
            time.sleep(PAUSE_SECONDS)
    return None
