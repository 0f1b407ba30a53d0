"""This machine's loopback as the site of a cluster: other ports, and Ray told to stay on it."""

from __future__ import annotations

import json
import re
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.compose import Service

__all__ = ["LOOPBACK", "Loopback", "free_port"]

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections: a service that is
# restarted finds its port free. Ray's client proxy begins at 23000.
PORTS = range(24_500, 32_700)
ATTEMPTS = 200


def free_port() -> int:
    """A TCP port on which nothing listens, on any address of this machine.

    Raises:
        OSError: none was found.
    """
    for _ in range(ATTEMPTS):
        port = PORTS[secrets.randbelow(len(PORTS))]
        if _is_free(port):
            return port
    raise OSError(f"no free port from {PORTS[0]} to {PORTS[-1]}: stop something that listens there")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers bind it
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


class Loopback:
    """Every port of the compose file is another one here, and every host is 127.0.0.1.

    Args:
        services: Those that the compose file has, by name.
        kept: A file with the ports of before, which are used again, so that addresses which people
            have noted stay good, unless something listens there.
    """

    def __init__(self, services: Mapping[str, Service], kept: Path) -> None:
        self._kept = kept
        before = json.loads(kept.read_text(encoding="ascii")) if kept.exists() else {}
        self.ports: dict[str, dict[int, int]] = {}
        for name, service in services.items():
            old = {int(port): here for port, here in before.get(name, {}).items()}
            self.ports[name] = {
                port: old[port] if port in old and _is_free(old[port]) else free_port()
                for port in service.ports
            }
        # By each name that a service has on a network, which the text of the file may use.
        self._hosts = {
            alias: name
            for name, service in services.items()
            for aliases in service.networks.values()
            for alias in aliases
        }
        known = "|".join(map(re.escape, sorted(self._hosts, key=len, reverse=True)))
        self._address = re.compile(rf"(?:(?<![\w.-])({known}):)?\b(\d{{4,5}})\b")

    def prepare(self) -> None:
        self._kept.write_text(json.dumps(self.ports), encoding="ascii")

    def add(self, name: str, service: Service) -> None:
        self.ports.setdefault(name, {port: free_port() for port in service.ports})

    def address(self, name: str, port: int) -> str:
        return f"{LOOPBACK}:{self.ports[name][port]}"

    def addressed(self, name: str, text: str) -> str:
        def here(match: re.Match[str]) -> str:
            host, port = match[1], int(match[2])
            if host is not None:
                return self.address(self._hosts[host], port)
            return str(self.ports[name].get(port, port))

        return self._address.sub(here, text.replace("0.0.0.0", LOOPBACK))

    def command(self, name: str, words: Sequence[str]) -> list[str]:
        found = list(words)
        if "on-network" in found:  # there is one network here
            at = found.index("on-network")
            del found[at : at + 2]
        if "ray" in found:
            at = found.index("ray")
            found[at : at + 1] = [sys.executable, "-m", "deploy.ray_on_loopback"]
            found.append(f"--node-ip-address={LOOPBACK}")
        return found
