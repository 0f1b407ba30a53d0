"""From a service of the compose file to the same service as processes of this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.compose import Service
from deploy.places import Places
from deploy.postgres import programs
from deploy.running import Running

__all__ = ["launch"]

HERE = Path(__file__).resolve().parent


def launch(
    service: Service, places: Places, short: Path, log: Path, extra: Mapping[str, str]
) -> Running:
    """Start a service.

    Args:
        service: What the compose file says.
        places: Where its ports and paths are here.
        short: The service's folder by a short path, for sockets.
        log: Where its output goes.
        extra: Added to its environment.

    Raises:
        OSError: a file cannot be written, or a program does not exist.
    """
    _make_files(service, places)
    environment = {
        "HOME": str(places.home),
        "LANG": "C.UTF-8",
        "PATH": f"{HERE}:{Path(sys.executable).parent}:{_postgres_programs()}/usr/bin:/bin",
        "PYTHONPATH": str(HERE.parent),
        **{name: places.here(value) for name, value in service.environment.items()},
        **extra,
    }
    return Running(
        places.command(_command(service, places, short)),
        environment,
        places.home,
        log,
        places.command([places.here(word) for word in service.health]),
        service.stop_signal,
        service.grace_seconds,
    )


def _make_files(service: Service, places: Places) -> None:
    for target in (*service.volumes, *service.scratch):
        # PostgreSQL makes its own data folder, of which it must be the owner.
        places.paths[target].parent.mkdir(parents=True, exist_ok=True)
        if service.name != "postgres":
            places.paths[target].mkdir(mode=0o700, exist_ok=True)
    for config in service.configs:
        path = places.paths[config.target]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(places.here(config.content), encoding="utf-8")


def _command(service: Service, places: Places, short: Path) -> list[str]:
    command = [places.here(word) for word in service.command]
    if "ray" in command:
        # A head that was killed left its address here, and other nodes, which a container would not
        # see, still name it: Ray would take them for the head and refuse to start.
        (places.home / "ray" / "ray_current_cluster").unlink(missing_ok=True)
        # Each node keeps its sockets and logs apart.
        return [*command, f"--temp-dir={short / 'ray'}"]
    if command[0] == "postgres":
        data, scripts = (
            places.paths[next(iter(service.volumes))],
            places.paths[service.configs[0].target].parent,
        )
        entrypoint = [sys.executable, "-m", "deploy.postgres"]
        (short / "sockets").mkdir(exist_ok=True)
        return [*entrypoint, str(data), str(scripts), str(short / "sockets"), *command]
    return command


def _postgres_programs() -> str:
    try:
        return f"{programs()}:"
    except FileNotFoundError:  # a cluster without PostgreSQL
        return ""
