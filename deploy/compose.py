"""docker-compose.yml as data: what each service runs, where it listens, what it is given."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["COMPOSE_FILE", "Config", "Published", "Service", "read", "read_networks"]

COMPOSE_FILE = Path(__file__).resolve().parent.parent / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")


@dataclass(frozen=True)
class Config:
    """A file that a service is given: its path in the container, and its text."""

    target: str
    content: str


@dataclass(frozen=True)
class Published:
    """A port of a service at which the machine of the containers answers, on `host` alone."""

    host: str
    port: int
    target: int  # in the container


@dataclass(frozen=True)
class Service:
    """A service as the compose file has it; paths and addresses are the container's."""

    name: str
    command: tuple[str, ...]  # the entrypoint's words first
    environment: Mapping[str, str]
    health: tuple[str, ...]  # the program that says by its exit code whether the service is well
    needs: tuple[str, ...]  # the services that must be healthy first
    ports: tuple[int, ...]  # those it listens on
    published: tuple[Published, ...]
    networks: Mapping[str, tuple[str, ...]]  # by network, the names it has there
    volumes: Mapping[str, str]  # the name of each volume by its folder in the container
    scratch: tuple[str, ...]  # folders of its own, empty at the start
    secrets: tuple[str, ...]
    configs: tuple[Config, ...]
    stop_signal: str
    grace_seconds: float  # between the request to stop and SIGKILL
    replicas: int


def read(path: Path = COMPOSE_FILE) -> dict[str, Service]:
    """The services of a compose file, by name.

    Raises:
        OSError: the file cannot be read.
        ValueError: a variable that it names without a default is not set, or a port is published
            on all addresses.
    """
    document = _document(path)
    return {
        name: _service(name, service, document["configs"])
        for name, service in document["services"].items()
    }


def read_networks(path: Path = COMPOSE_FILE) -> dict[str, bool]:
    """The networks of a compose file by name, and whether each is internal: leads nowhere else.

    Raises:
        OSError: the file cannot be read.
        ValueError: a variable that it names without a default is not set.
    """
    return {
        name: bool((network or {}).get("internal", False))
        for name, network in _document(path)["networks"].items()
    }


def _document(path: Path) -> Any:
    return _interpolated(yaml.safe_load(path.read_text(encoding="utf-8")), os.environ)


def _service(name: str, service: dict[str, Any], configs: dict[str, Any]) -> Service:
    test = service["healthcheck"]["test"]
    if test[0] != "CMD":
        raise ValueError(f"{name}: healthcheck.test begins with {test[0]}: make it CMD and words")
    volumes = [volume.split(":") for volume in service.get("volumes", [])]
    return Service(
        name=name,
        command=(*service.get("entrypoint", []), *service["command"]),
        environment=service["environment"],
        health=tuple(test[1:]),
        needs=tuple(service.get("depends_on", {})),
        ports=tuple(int(port) for port in service.get("expose", [])),
        published=tuple(_published(name, port) for port in service.get("ports", [])),
        networks={
            network: (name, *(there or {}).get("aliases", []))
            for network, there in _mapping(service["networks"]).items()
        },
        volumes={folder: volume for volume, folder in volumes},
        scratch=tuple(mount.split(":")[0] for mount in service.get("tmpfs", [])),
        secrets=tuple(service.get("secrets", [])),
        configs=tuple(
            Config(config["target"], configs[config["source"]]["content"])
            for config in service.get("configs", [])
        ),
        stop_signal=service.get("stop_signal", "SIGTERM"),
        grace_seconds=float(service.get("stop_grace_period", "10s").removesuffix("s")),
        replicas=service.get("deploy", {}).get("replicas", 1),
    )


def _mapping(networks: list[str] | dict[str, Any]) -> dict[str, Any]:
    return networks if isinstance(networks, dict) else dict.fromkeys(networks)


def _published(name: str, port: str) -> Published:
    parts = port.split(":")
    if len(parts) != 3:
        raise ValueError(f"{name}: port {port} is published to everybody: name HOST:PORT:PORT")
    return Published(parts[0], int(parts[1]), int(parts[2]))


def _interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """`value` with $$, ${NAME} and ${NAME:-default} replaced in every string, as Compose does."""
    if isinstance(value, dict):
        return {key: _interpolated(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_interpolated(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        found = variables.get(match["name"]) or match["default"]
        if found is None:
            raise ValueError(f"docker-compose.yml: ${{{match['name']}}} is not set: export it")
        return found

    return VARIABLE.sub(replacement, value)
