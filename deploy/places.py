"""Where on this machine the ports and paths of the containers are: all that a loopback changes."""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from deploy.compose import Service

__all__ = ["LOOPBACK", "Places", "free_port", "ports_here"]

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


def ports_here(services: Mapping[str, Service], kept: Path) -> dict[str, dict[int, int]]:
    """By service, the port here of each port that the compose file names: the one in the file
    `kept`, so that addresses which people have noted stay good, unless something listens there."""
    before = json.loads(kept.read_text(encoding="ascii")) if kept.exists() else {}
    ports = {}
    for name, service in services.items():
        old = {int(port): here for port, here in before.get(name, {}).items()}
        ports[name] = {
            port: old[port] if port in old and _is_free(old[port]) else free_port()
            for port in service.ports
        }
    return ports


class Places:
    """The place of everything that one running service names.

    Args:
        service: What runs.
        folder: The cluster's folder; `name` is the service's own folder in it.
        ports: By service name, the port here by the port in the container.
        own: The same for this instance: each worker has ports of its own.
    """

    def __init__(
        self,
        service: Service,
        folder: Path,
        name: str,
        ports: Mapping[str, Mapping[int, int]],
        own: Mapping[int, int],
    ) -> None:
        self._ports, self._own = ports, own
        self.home = folder / name
        self.paths = {
            **{target: folder / "volumes" / volume for target, volume in service.volumes.items()},
            **{target: self.home / target.strip("/") for target in service.scratch},
            **{f"/run/secrets/{secret}": folder / "secrets" / secret for secret in service.secrets},
            **{config.target: self.home / config.target.strip("/") for config in service.configs},
        }
        self._path = re.compile("|".join(map(re.escape, self.paths)) or r"(?!)")
        self._port = re.compile(rf"(?:\b({'|'.join(map(re.escape, ports))}):)?\b(\d{{4,5}})\b")

    def here(self, text: str) -> str:
        """`text` with each address and path of the container replaced by the one here."""
        text = self._path.sub(lambda match: str(self.paths[match[0]]), text)
        return self._port.sub(self._address, text.replace("0.0.0.0", LOOPBACK))

    def _address(self, match: re.Match[str]) -> str:
        host, port = match[1], int(match[2])
        if host is not None:
            return f"{LOOPBACK}:{self._ports[host][port]}"
        return str(self._own.get(port, port))
