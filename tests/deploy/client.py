"""What the tests of a cluster see of it from outside: sockets, answers, files."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from deploy.cluster import Cluster

__all__ = ["PYTHON", "command_line", "listeners", "secrets_of", "status"]

PYTHON = sys.executable
LISTENING = "0A"  # as /proc/net/tcp has it
LOOPBACKS = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def listeners(cluster: Cluster) -> Iterator[tuple[str, int, int, bool]]:
    """Service, process id, TCP port and whether it is on loopback, of all that listen."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                address, port = fields[1].split(":")
                sockets[f"socket:[{fields[9]}]"] = (int(port, 16), address in LOOPBACKS)
    seen = set()
    for service in cluster.running:
        for pid in cluster.pids(service):
            for link in _links(pid):
                if link in sockets and link not in seen:
                    seen.add(link)
                    yield service, pid, *sockets[link]


def _links(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                yield os.readlink(entry.path)


def status(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    content: Mapping[str, str] | None = None,
) -> int:
    """The HTTP status of an answer."""
    body = json.dumps(content or {}).encode() if method in {"POST", "PUT", "PATCH"} else None
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    if body:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def secrets_of(cluster: Cluster) -> dict[str, bytes]:
    """What each secret file holds, by its name."""
    return {
        path.name: path.read_bytes().strip()
        for path in cluster.secrets.iterdir()
        if path.name != "pgpass"
    }
