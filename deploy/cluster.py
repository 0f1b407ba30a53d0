"""The cluster of docker-compose.yml as processes here: on loopback, or at another site."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.commands import launch
from deploy.compose import COMPOSE_FILE, Service, read
from deploy.loopback import Loopback
from deploy.places import Places, Site
from deploy.postgres import other_user, programs
from deploy.running import Running
from deploy.secret_files import client_environment, make_secrets

__all__ = ["Cluster", "ClusterFailed"]

WORKER = "ray-worker"
START_SECONDS = 180.0
POLL_SECONDS = 0.2
LOG_LINES = 15


class ClusterFailed(RuntimeError):
    """A service did not become healthy; the message has the end of its log."""


class Cluster:
    """`with Cluster(folder) as cluster:` runs until the block is left.

    Services have the names they have in the compose file; the workers are `ray-worker-1` and on.

    Args:
        folder: Data, secrets and logs; made if absent, kept afterwards. The secrets and the data
            that it holds are used again.
        workers: How many `ray-worker`; absent: as many as the compose file says.
        environment: Added to the environment of every Ray process.
        services: Which services of the compose file to run; absent: all.
        compose: The compose file.
        site: Where they run; absent: on loopback, and on free ports of it.

    Attributes:
        environment: What a client exports to use the cluster.

    Raises (on entering):
        ClusterFailed: a service ended, or was not healthy within three minutes.
        OSError: the folder cannot be used, or PostgreSQL is not installed.
        LookupError: root has no other user to run PostgreSQL as.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        workers: int | None = None,
        environment: Mapping[str, str] | None = None,
        services: Sequence[str] | None = None,
        compose: Path = COMPOSE_FILE,
        site: Site | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        whole = read(compose)
        self._secrets = {secret for service in whole.values() for secret in service.secrets}
        self._services = {
            name: service for name, service in whole.items() if services is None or name in services
        }
        self._ray_environment = dict(environment or {})
        self._workers = 0
        if WORKER in self._services:
            self._workers = self._services[WORKER].replicas if workers is None else workers
        self._site = site or Loopback(self._services, self.folder / "ports.json")
        self._started_workers: list[str] = []
        self._running: dict[str, Running] = {}
        self._left = ExitStack()

    # ------------------------------------------------------------------------------ all of them

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._prepare(stack)
            stack.callback(self._stop_all)
            others = [name for name in self._services if name != WORKER]
            self._bring_up([*others, *(self._new_worker() for _ in range(self._workers))])
            self._left = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left.close()

    @property
    def secrets(self) -> Path:
        """The folder of the secrets."""
        return self.folder / "secrets"

    @property
    def environment(self) -> dict[str, str]:
        """What a client exports."""
        return client_environment(
            self.secrets,
            postgres=self.address("postgres", 5432),
            mlflow=self.address("mlflow", 5000),
            ray=self.address("ray-head", 8265),
        )

    def address(self, service: str, port: int) -> str:
        """Host and port here of a port that the compose file names."""
        return self._site.address(service, port)

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the services that have been started and not stopped or killed."""
        return tuple(self._running)

    # -------------------------------------------------------------------------------- one of them

    def start(self, service: str) -> None:
        """Start a service that does not run, and wait until it is healthy.

        Raises:
            ClusterFailed: it did not become healthy.
        """
        self._bring_up([service])

    def stop(self, service: str) -> None:
        """Ask a service to stop, and wait until nothing of it is left."""
        self._running[service].stop()
        self._running.pop(service).wait()

    def kill(self, service: str) -> None:
        """SIGKILL to a service's processes and all that they started. It stays down."""
        self._running[service].kill()
        self._running.pop(service).wait()

    def restart(self, service: str) -> None:
        """Stop a service if it runs, and start it at the same address."""
        if service in self._running:
            self.stop(service)
        self.start(service)

    def pause(self, service: str) -> None:
        """SIGSTOP to all of a service's processes."""
        self._running[service].pause()

    def resume(self, service: str) -> None:
        """SIGCONT to all of a service's processes."""
        self._running[service].signal(signal.SIGCONT)

    def add_worker(self) -> str:
        """Start one more worker, wait until it is healthy, and give its name."""
        name = self._new_worker()
        self.start(name)
        return name

    def pids(self, service: str) -> list[int]:
        """Ids of a service's processes, the first of which is its main one."""
        return self._running[service].pids() if service in self._running else []

    def healthy(self, service: str) -> bool:
        """Whether a service runs and its health check passes now."""
        return service in self._running and self._running[service].healthy()

    def log(self, service: str) -> Path:
        """The file of what a service printed. Ray's own logs are in `ray/` beside it."""
        return self.folder / service / "log"

    # ------------------------------------------------------------------------------------ within

    def _prepare(self, stack: ExitStack) -> None:
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._site.prepare()
        if "postgres" in self._services:
            programs()
            self._check_reachable()
        make_secrets(self.secrets, self._secrets, 0o600)
        # The paths of sockets are limited to 107 bytes: all go through a short one.
        short = Path(tempfile.mkdtemp(prefix="sf-", dir="/tmp"))
        stack.callback(shutil.rmtree, short)
        short.chmod(0o711)
        self._short = short / "c"
        self._short.symlink_to(self.folder)

    def _check_reachable(self) -> None:
        """PostgreSQL's user must reach its data."""
        if (user := other_user()) is None:
            return
        for folder in (self.folder, *self.folder.parents):
            if not folder.stat().st_mode & 0o001:
                raise PermissionError(
                    f"{folder} is closed to the user {user.pw_name}, as whom PostgreSQL runs for "
                    f"root: use a folder below one that all may enter, as /tmp/surefoot"
                )

    def _bring_up(self, names: Sequence[str]) -> None:
        """Start each of `names` as soon as those of them that it needs are healthy."""
        waiting, starting = list(names), list[str]()
        deadline = time.monotonic() + START_SECONDS
        while waiting or starting:
            for name in tuple(waiting):
                if not {*waiting, *starting} & set(self._service(name).needs):
                    waiting.remove(name)
                    starting.append(name)
                    self._launch(name)
            for name in tuple(starting):
                if self.healthy(name):
                    starting.remove(name)
                elif self._running[name].ended:
                    raise self._failed(name, "ended")
            if time.monotonic() > deadline:
                raise self._failed(starting[0], f"was not healthy within {START_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _launch(self, name: str) -> None:
        if name in self._running:
            raise ValueError(f"{name} runs already: stop it, kill it or restart it")
        service = self._service(name)
        home = self.folder / name
        home.mkdir(mode=0o711, exist_ok=True)
        self._running[name] = launch(
            service,
            Places(service, name, self.folder, self._site),
            self._short / name,
            self.log(name),
            self._ray_environment if "ray" in service.command else {},
        )

    def _service(self, name: str) -> Service:
        return self._services[WORKER if name in self._started_workers else name]

    def _new_worker(self) -> str:
        name = f"{WORKER}-{len(self._started_workers) + 1}"
        self._started_workers.append(name)
        self._site.add(name, self._services[WORKER])
        return name

    def _failed(self, name: str, how: str) -> ClusterFailed:
        log = self.log(name)
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return ClusterFailed("\n".join([f"{name} {how}; the end of {log}:", *end]))

    def _stop_all(self) -> None:
        while self._running:
            needed = {need for name in self._running for need in self._service(name).needs}
            unneeded = [name for name in self._running if name not in needed]
            for name in unneeded:
                self._running[name].stop()
            for name in unneeded:
                self._running.pop(name).wait()
