"""Which ports can be reached from a place, and which are listened on there."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

__all__ = ["listened", "reached"]

LISTENING = "0A"  # as /proc/net/tcp has it
SECONDS = 1.0  # a packet takes a tenth of a millisecond here, and what is refused says so
AT_ONCE = 64


def reached(where: Sequence[str], ports: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of `ports`, each a host and a number, to which a program in `where` can connect."""
    program = [*where, sys.executable, __file__]
    done = subprocess.run(
        program, input=json.dumps(list(ports)), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return {(host, port) for host, port in json.loads(done.stdout)}


def listened(where: Sequence[str]) -> set[int]:
    """The ports on which somebody listens there, loopback's own apart."""
    found = set()
    for table in ("tcp", "tcp6"):
        done = subprocess.run(
            [*where, "cat", f"/proc/net/{table}"], capture_output=True, text=True, check=True
        )
        for line in done.stdout.splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == LISTENING and address != "0100007F":
                found.add(int(port, 16))
    return found


def _connects(port: tuple[str, int]) -> bool:
    with suppress(OSError), socket.create_connection(port, SECONDS) as connection:
        # A port from which connections go out may, tried from here, connect to itself.
        return bool(connection.getsockname() != connection.getpeername())
    return False


if __name__ == "__main__":
    ports = [(host, port) for host, port in json.load(sys.stdin)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = list(threads.map(_connects, ports))
    print(json.dumps([port for port, answer in zip(ports, answers, strict=True) if answer]))
