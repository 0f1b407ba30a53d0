"""Killed ten times at random moments, and the answer is the same: `make chaos`. In `make test` it
is killed four times.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.chaos.jobs import answer_of, mlflow_in_home
from tests.support.processes import end, living, wait_until_gone
from tests.support.thoroughness import WHOLE
from tuning.jobs.files import LEASE, STUDY
from tuning.jobs.local import LocalJob, LocalJobs
from tuning.search.records import results_of
from tuning.storage.file_lease import holder
from tuning.study import StudyStore

ROOT = Path(__file__).resolve().parents[2]
KILLS = 10 if WHOLE else 4
WITH_RAY = (5,) if WHOLE else (2,)  # these rounds have two Ray workers, the others none
IN_START = (0, 4, 8) if WHOLE else (0,)  # these are killed while they start, the others at work
LONGEST_DELAY_SECONDS = 1.0  # of a kill while it works, after the result that it waits for
PATIENCE_SECONDS = 120.0

#: Several seconds of work; traps, divergence, confirmations.
JOB = """
name = "chaos"

[problem]
name = "mlp"
data = "wine"
hidden = [2]
weight_decay = 0.003

[search]
optimizers = ["gd", "momentum"]
learning_rate = { low = 1e-2, high = 100.0 }
sampler = "tpe"
settings = 10

[training]
restarts = 20
steps = 200

[stability]
max_unstable = 0.15
"""


@dataclass
class World:
    """A home, and a folder for temporary files by which every process begun here is known."""

    home: Path
    temporary: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command, in a process group of its own."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tuning", *arguments],
            cwd=ROOT,
            env={**os.environ, "SUREFOOT_HOME": str(self.home), "TMPDIR": str(self.temporary)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    @property
    def job(self) -> LocalJob:
        """The one that was begun last."""
        return LocalJobs(self.home).jobs()[-1]

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to the coordinator and its group at once, and to whatever Ray leaves behind."""
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        wait_until_gone(self.temporary, 5.0)
        end(self.temporary)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    # Not pytest's folder: the paths of Ray's sockets must be short.
    temporary = Path(tempfile.mkdtemp(prefix="sf-"))
    made = World(tmp_path / "home", temporary)
    try:
        yield made
    finally:
        for process in made.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        end(temporary)
        shutil.rmtree(temporary, ignore_errors=True)


def test_kills_change_nothing(world: World, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6) if WHOLE else 1
    print(f"seed {seed}")
    rng = random.Random(seed)
    file = tmp_path / "chaos.toml"
    file.write_text(JOB, encoding="utf-8")

    begin = time.monotonic()
    process = world.start("run", str(file), "--workers", "inline", "-q")
    starting = wait_until_it_works(world, process)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors.decode()
    print(f"left alone: {time.monotonic() - begin:.1f} s, {starting:.1f} s of it to start")
    calm = world.job
    total = told(calm)

    # In the beginning, all over the work, and while the report and MLflow are written.
    moments = sorted(rng.uniform(0.0, 1.3 * total) for _ in range(KILLS - len(IN_START)))
    process = world.start("run", str(file), "--workers", "inline", "-q")
    wait_until_it_works(world, process, calm)
    job = world.job
    killed: list[str] = []
    while len(killed) < KILLS:
        if len(killed) in IN_START:
            delay = rng.uniform(0.0, starting)
        else:
            wait_until_it_works(world, process, calm)
            wait_until_told(process, job, min(total, moments.pop(0)))
            delay = rng.uniform(0.0, LONGEST_DELAY_SECONDS)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            world.kill(process)
            killed.append(f"{told(job)} {job.state}")
        else:  # it was done before that
            assert process.returncode == 0
            moments = moments or [total]
        workers = "2" if len(killed) in WITH_RAY else "inline"
        process = world.start("resume", job.id, "--workers", workers, "-q")
    print(f"told when killed, of {total}: {', '.join(killed)}")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, errors.decode()

    assert living(world.temporary) == []
    given, expected = (answer_of(one, mlflow_in_home(one, world.home)) for one in (job, calm))
    assert given.report == expected.report
    assert given.study == expected.study
    assert given.mlflow == expected.mlflow


def wait_until_it_works(world: World, process: subprocess.Popen[bytes], *others: LocalJob) -> float:
    """Seconds until the process holds the lease of a job that is none of `others`, or has ended."""
    begin = time.monotonic()
    while process.poll() is None:
        held = [
            holder(job.folder / LEASE) for job in LocalJobs(world.home).jobs() if job not in others
        ]
        if any(one is not None and one.pid == process.pid for one in held):
            break
        assert time.monotonic() - begin < PATIENCE_SECONDS
        time.sleep(0.02)
    return time.monotonic() - begin


def wait_until_told(process: subprocess.Popen[bytes], job: LocalJob, count: float) -> None:
    """Until the study has `count` results, or the process has ended."""
    begin = time.monotonic()
    while process.poll() is None and told(job) < count:
        assert time.monotonic() - begin < PATIENCE_SECONDS
        time.sleep(0.05)


def told(job: LocalJob) -> int:
    path = job.folder / STUDY
    return len(results_of(StudyStore.open(job.study_url, job.id))) if path.exists() else 0
