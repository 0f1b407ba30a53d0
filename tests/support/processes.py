"""Processes that a test starts: known by a folder that their command line or environment names."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["end", "living", "wait_until_gone"]


def living(folder: Path) -> list[int]:
    """Ids of the processes that name `folder`; this one is not among them."""
    ids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in ids if pid != os.getpid() and _names(pid, str(folder).encode())]


def _names(pid: int, folder: bytes) -> bool:
    try:
        return any(
            folder in Path(f"/proc/{pid}/{kind}").read_bytes() for kind in ("cmdline", "environ")
        )
    except OSError:  # it has gone, or is another user's
        return False


def wait_until_gone(folder: Path, seconds: float) -> list[int]:
    """The processes that are still there after at most `seconds`."""
    deadline = time.monotonic() + seconds
    while (left := living(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def end(folder: Path) -> None:
    """Kill those that are left, one by one."""
    for pid in living(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
