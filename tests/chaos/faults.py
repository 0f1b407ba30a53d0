"""What goes wrong: each fault is done to a real cluster, lasts a while, and is over when its
function returns.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.cluster import Cluster, ClusterFailed
from tests.chaos.machine import full, set_clock
from tuning.cluster.handle import SubmittedJob

__all__ = ["EVERY_FAULT", "FIRST_FAULTS", "LONG_SECONDS", "Fault", "World"]

#: An outage of the database or of MLflow; some in a long run are of this length.
LONG_SECONDS = 60.0
WORKERS = ("ray-worker-1", "ray-worker-2")


@dataclass
class World:
    """What the faults are done to.

    Attributes:
        jobs: those that are going on. clock: the file from which the Ray processes' clocks take
            their error. data_disk: small, and that of PostgreSQL and of MLflow's files. home_disk:
            the same of SUREFOOT_HOME on the head. long: whether outages may last a minute.
    """

    cluster: Cluster
    rng: random.Random
    jobs: list[SubmittedJob]
    clock: Path
    data_disk: Path
    home_disk: Path
    long: bool

    def back(self, service: str) -> None:
        """Start a service again, as often as it takes: Ray gives a node half a minute to join, and
        Docker would try for ever."""
        for last in (False, False, True):
            try:
                return self.cluster.restart(service)
            except ClusterFailed:
                if last:
                    raise

    def well(self, service: str) -> None:
        """Wait until a service that may have ended by itself is well again."""
        deadline = time.monotonic() + 60.0
        while not self.cluster.healthy(service):
            assert time.monotonic() < deadline, self.cluster.log(service).read_text()[-3000:]
            time.sleep(0.2)

    def a_while(self, longest: float = 4.0) -> None:
        """Let some time pass."""
        time.sleep(self.rng.uniform(0.2, longest))

    def outage(self) -> None:
        """Let as much time pass as an outage lasts."""
        if self.long and self.rng.random() < 0.15:
            time.sleep(LONG_SECONDS)
        else:
            self.a_while(8.0)


Fault = Callable[[World], None]


def worker_killed(world: World) -> None:
    """SIGKILL to a Ray worker, busy or not."""
    if pids := _ray_workers(world):
        _signal(world.rng.choice(pids), signal.SIGKILL)


def node_lost(world: World) -> None:
    """SIGKILL to a whole node, which comes back later."""
    name = world.rng.choice(WORKERS)
    world.cluster.kill(name)
    world.a_while()
    world.back(name)


def node_frozen(world: World) -> None:
    """A node does nothing for some seconds."""
    name = world.rng.choice(WORKERS)
    world.cluster.pause(name)
    world.a_while(6.0)
    world.cluster.resume(name)


def coordinator_killed(world: World) -> None:
    """SIGKILL to a coordinator, at whatever instruction it is."""
    if pids := _coordinators(world):
        _signal(world.rng.choice(pids), signal.SIGKILL)


def head_lost(world: World) -> None:
    """SIGKILL to all of the Ray head, coordinators included; a new one comes at its address."""
    world.cluster.kill("ray-head")
    world.a_while()
    world.back("ray-head")


def database_killed(world: World) -> None:
    """SIGKILL to all of PostgreSQL, which recovers."""
    world.cluster.kill("postgres")
    world.a_while(2.0)
    world.back("postgres")


def database_away(world: World) -> None:
    """PostgreSQL is stopped for a while."""
    world.cluster.stop("postgres")
    world.outage()
    world.back("postgres")


def database_frozen(world: World) -> None:
    """PostgreSQL keeps its connections and does not answer."""
    world.cluster.pause("postgres")
    world.a_while(8.0)
    world.cluster.resume("postgres")


def mlflow_killed(world: World) -> None:
    """SIGKILL to the MLflow server."""
    world.cluster.kill("mlflow")
    world.a_while(2.0)
    world.back("mlflow")


def mlflow_away(world: World) -> None:
    """MLflow is stopped for a while."""
    world.cluster.stop("mlflow")
    world.outage()
    world.back("mlflow")


def keeper_killed(world: World) -> None:
    """SIGKILL to the keeper."""
    world.cluster.kill("keeper")
    world.a_while()
    world.back("keeper")


def out_of_memory(world: World) -> None:
    """A worker gets no more memory from the system, for a while."""
    if not (pids := _ray_workers(world)):
        return
    pid = world.rng.choice(pids)
    with suppress(ProcessLookupError, OSError):
        statm = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
        now = int(statm.split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (now + 2**20, resource.RLIM_INFINITY))
        world.a_while()
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def task_hangs(world: World) -> None:
    """A worker is frozen and stays so: whoever waits for it must end it."""
    if pids := _ray_workers(world):
        _signal(world.rng.choice(pids), signal.SIGSTOP)


def home_disk_full(world: World) -> None:
    """Nothing more can be written to SUREFOOT_HOME on the head."""
    with full(world.home_disk):
        world.a_while()


def data_disk_full(world: World) -> None:
    """Nothing more can be written by PostgreSQL, which gives up when its log is concerned, nor to
    MLflow's files."""
    with full(world.data_disk):
        world.a_while()
    world.well("postgres")


def clock_jumps(world: World) -> None:
    """The clocks of all Ray processes jump, by up to a day, back or ahead; later they are right."""
    jump = round(world.rng.choice((-1, 1)) * 10 ** world.rng.uniform(0.0, 4.9))
    set_clock(world.clock, jump)
    world.a_while(6.0)
    set_clock(world.clock, 0)


def second_coordinator(world: World) -> None:
    """Somebody starts another coordinator for a job that has one."""
    running = [job for job in world.jobs if job.holder is not None]
    heads = world.cluster.pids("ray-head")
    if not running or not heads:
        return
    job = world.rng.choice(running)
    content = Path(f"/proc/{heads[0]}/environ").read_bytes().decode().split("\0")
    environment = dict(entry.split("=", 1) for entry in content if "=" in entry)
    process = subprocess.Popen(
        [sys.executable, "-m", "tuning", "coordinate", job.id],
        env={**environment, "RAY_ADDRESS": world.cluster.address("ray-head", 6379)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said, _ = process.communicate(timeout=15.0)
    except subprocess.TimeoutExpired:  # the first had gone just then: this one has taken over
        process.kill()
        process.communicate()
        return
    assert process.returncode in (0, 1), said
    assert "Traceback" not in said, said


def stopped_and_resumed(world: World) -> None:
    """The owner stops a job, and thinks better of it."""
    job = world.rng.choice(world.jobs)
    job.stop()
    world.a_while()
    deadline = time.monotonic() + 60.0
    while job.holder is not None:
        assert time.monotonic() < deadline, f"{job.id} goes on, a minute after it was stopped"
        time.sleep(0.2)
    job.resume()


#: One of each kind that every job must stand: of a worker, a coordinator, the database.
FIRST_FAULTS: tuple[Fault, ...] = (worker_killed, coordinator_killed, database_killed)
EVERY_FAULT: tuple[Fault, ...] = (
    worker_killed,
    node_lost,
    node_frozen,
    coordinator_killed,
    head_lost,
    database_killed,
    database_away,
    database_frozen,
    mlflow_killed,
    mlflow_away,
    keeper_killed,
    out_of_memory,
    task_hangs,
    home_disk_full,
    data_disk_full,
    clock_jumps,
    second_coordinator,
    stopped_and_resumed,
)


def _ray_workers(world: World) -> list[int]:
    """Ray's worker processes on the worker nodes; the busy ones if there are any."""
    found = {
        pid: name
        for node in WORKERS
        for pid in world.cluster.pids(node)
        if (name := _command(pid)).startswith("ray::") and "Agent" not in name
    }
    busy = [pid for pid, name in found.items() if not name.startswith("ray::IDLE")]
    return busy or list(found)


def _coordinators(world: World) -> list[int]:
    commands = {pid: _command(pid) for pid in world.cluster.pids("ray-head")}
    return [pid for pid, name in commands.items() if "-m tuning coordinate" in name]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:  # it has gone
        return ""


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
