"""Where a service of the compose file runs here: its paths, and the site that has its addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from deploy.compose import Service

__all__ = ["Places", "Site"]


class Site(Protocol):
    """Where all services of a cluster run. One that runs has a name of its own: `ray-worker-2`."""

    def prepare(self) -> None:
        """The first service is about to start; the cluster's folder is there."""

    def add(self, name: str, service: Service) -> None:
        """A service that will run here, for the first time, gets its addresses."""

    def address(self, name: str, port: int) -> str:
        """Host and port at which a client reaches a port of the compose file."""

    def addressed(self, name: str, text: str) -> str:
        """`text` of the compose file with the addresses as they are where `name` runs."""

    def command(self, name: str, words: Sequence[str]) -> list[str]:
        """The program that runs `words` where `name` runs."""


class Places:
    """The place of everything that one running service names.

    Args:
        service: What runs, and `name` is what it is called here.
        folder: The cluster's folder; `folder / name` is the service's own.
        site: Where it runs.
    """

    def __init__(self, service: Service, name: str, folder: Path, site: Site) -> None:
        self._name, self._site = name, site
        self.home = folder / name
        self.paths: Mapping[str, Path] = {
            **{target: folder / "volumes" / volume for target, volume in service.volumes.items()},
            **{target: self.home / target.strip("/") for target in service.scratch},
            **{f"/run/secrets/{secret}": folder / "secrets" / secret for secret in service.secrets},
            **{config.target: self.home / config.target.strip("/") for config in service.configs},
        }
        self._path = re.compile("|".join(map(re.escape, self.paths)) or r"(?!)")

    def here(self, text: str) -> str:
        """`text` with each address and path of the container replaced by the one here."""
        text = self._path.sub(lambda match: str(self.paths[match[0]]), text)
        return self._site.addressed(self._name, text)

    def command(self, words: Sequence[str]) -> list[str]:
        """The program that runs `words` where the service runs."""
        return self._site.command(self._name, words)
