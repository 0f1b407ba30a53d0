"""A disk that is small, and full for a while; a clock that is wrong."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["full", "set_clock", "small_disk"]


def set_clock(file: Path, seconds: int) -> None:
    """Make the clocks of those that look at `file` wrong by so much; see clock.c."""
    with open(file, "r+b" if file.exists() else "wb") as offset:
        offset.write(struct.pack("l", seconds))


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own at `folder`, in memory; for root, others get a plain folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        yield
        return
    options = f"size={megabytes}m,mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not a byte more can be written to `disk`, if it is one of its own."""
    if not disk.is_mount():
        yield
        return
    ballast = disk / "ballast"
    try:
        with suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(2**20))
        yield
    finally:
        ballast.unlink()
