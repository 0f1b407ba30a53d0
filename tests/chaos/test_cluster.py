"""Faults of every kind, at random moments, in real jobs on a real cluster: every job ends with the
answer of an undisturbed run. `make chaos` does 200 of them; `make test` three, always the same.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from deploy.cluster import Cluster
from tests.chaos.faults import EVERY_FAULT, FIRST_FAULTS, Fault, World
from tests.chaos.jobs import Answer, answer_of, calm, mlflow_in_database, table_of
from tests.chaos.machine import set_clock, small_disk
from tests.support.thoroughness import FAULTS, WHOLE
from tuning.cluster.handle import FINAL_STATES, SubmittedJob
from tuning.cluster.submit import submit
from tuning.errors import RayUnreachable, Unreachable
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJob, ClusterJobs

ROOT = Path(__file__).resolve().parents[2]
COUNT = FAULTS
ANY_SEED = random.SystemRandom().randrange(1, 10**6) if WHOLE else 1
SEED = int(os.environ.get("SUREFOOT_CHAOS_SEED", "0")) or ANY_SEED
JOB_SEEDS = (1, 2)  # of the jobs that go on at once
SETTINGS = 40 if WHOLE else 16  # of a job
RECOVERY_SECONDS = 240.0
END_SECONDS = 600.0


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="sf-chaos-", dir="/tmp"))
    folder.chmod(0o711)
    clock, library = tmp_path / "clock", tmp_path / "clock.so"
    set_clock(clock, 0)
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    environment = {
        "PYTHONPATH": str(ROOT),
        "LD_PRELOAD": str(library),
        "SUREFOOT_CLOCK_OFFSET_FILE": str(clock),
    }
    data_disk = folder / "volumes"
    home_disk = data_disk / "surefoot"
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(small_disk(data_disk, 768))
        stack.enter_context(small_disk(home_disk, 16))
        cluster = stack.enter_context(Cluster(folder, workers=2, environment=environment))
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        rng, long = random.Random(SEED), COUNT >= 100
        yield World(cluster, rng, [], clock, data_disk, home_disk, long)


@dataclass
class Round:
    """Jobs on the cluster, again and again, and what each must give."""

    world: World
    tables: list[dict[str, Any]]
    answers: dict[str, Answer]  # by the job's name
    ended: int = 0
    recoveries: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def fill(self) -> None:
        """Keep the jobs going: what has ended is compared, deleted, and submitted again."""
        for job in [job for job in self.world.jobs if job.status() in FINAL_STATES]:
            self.compare(job)
        going = {job.id for job in self.world.jobs}
        for table in self.tables:
            job = self.submitted(table)  # one that is going on is not there twice
            if job.id not in going:
                self.world.jobs.append(job)
        assert len(self.world.jobs) == len(self.tables)

    def submitted(self, table: dict[str, Any]) -> SubmittedJob:
        """As somebody does it who is told that no cluster answers: again. A head on a busy machine
        may end without our doing, and is started again by its restart policy."""
        begin = time.monotonic()
        while True:
            try:
                return submit(table, owner="chaos")
            except RayUnreachable as error:
                head = self.world.cluster.log("ray-head").read_text(encoding="utf-8")
                print(f"{error}; the head's log ends:\n{head[-2000:]}", flush=True)
                assert time.monotonic() < begin + RECOVERY_SECONDS, self.account()
            time.sleep(2.0)

    def compare(self, job: SubmittedJob) -> None:
        """What the job left behind is what an undisturbed run leaves."""
        found = self.database_job(job)
        assert job.status() is State.DONE, f"{found.read('failure.txt')}\n{job.logs()}"
        deadline = time.monotonic() + END_SECONDS
        while not found.entry.complete or found.holder is not None:
            assert time.monotonic() < deadline, job.logs()
            time.sleep(0.5)
        given = answer_of(found, mlflow_in_database(found, self.world.cluster))
        expected = self.answers[found.spec.name]
        assert given.study == expected.study
        assert given.report == expected.report
        assert given.mlflow == expected.mlflow
        print(f"{job.id}: as undisturbed, after {found.entry.attempt} coordinators", flush=True)
        job.delete()
        self.world.jobs.remove(job)
        self.ended += 1

    def inflict(self, fault: Fault) -> None:
        """Do it, and wait until every job has a coordinator again, or has ended."""
        fault(self.world)
        begin = time.monotonic()
        while not self.recovered():
            assert time.monotonic() < begin + RECOVERY_SECONDS, self.account()
            time.sleep(0.2)
        self.recoveries[fault.__name__].append(time.monotonic() - begin)

    def recovered(self) -> bool:
        try:
            return all(job.holder or job.status() in FINAL_STATES for job in self.world.jobs)
        except Unreachable:
            return False

    def account(self) -> str:
        """For whoever must find out what went wrong."""
        logs = "\n".join(f"{job.id} {job.status().value}\n{job.logs()}" for job in self.world.jobs)
        keeper = self.world.cluster.log("keeper").read_text(encoding="utf-8")[-3000:]
        return f"seed {SEED}\n{logs}\n{keeper}"

    def database_job(self, job: SubmittedJob) -> ClusterJob:
        database = ClusterJobs.configured()
        assert database is not None
        return database.job(job.id)


def test_faults_change_nothing(world: World, tmp_path: Path) -> None:
    print(f"\nSUREFOOT_CHAOS_FAULTS={COUNT} SUREFOOT_CHAOS_SEED={SEED}", flush=True)
    tables = [table_of(seed, SETTINGS) for seed in JOB_SEEDS]
    answers = {table["name"]: calm(table, tmp_path / table["name"]) for table in tables}
    chaos = Round(world, tables, answers)
    chaos.fill()
    deck: list[Fault] = [] if WHOLE else [*FIRST_FAULTS]
    begin = time.monotonic()
    for number in range(COUNT):
        if not deck:
            deck = world.rng.sample(EVERY_FAULT, len(EVERY_FAULT))
        fault = deck.pop()
        world.a_while(3.0)
        chaos.fill()
        seconds = time.monotonic() - begin
        print(f"{seconds:6.0f} s  {number + 1:3}/{COUNT}  {fault.__name__}", flush=True)
        chaos.inflict(fault)
    deadline = time.monotonic() + END_SECONDS
    while world.jobs:
        for job in [job for job in world.jobs if job.status() in FINAL_STATES]:
            chaos.compare(job)
        assert time.monotonic() < deadline, chaos.account()
        time.sleep(0.5)
    print(f"{COUNT} faults, {chaos.ended} jobs, all as undisturbed. Seconds to recover:")
    for name, times in sorted(chaos.recoveries.items()):
        print(f"  {name:22} {len(times):3} x  median {median(times):5.1f}  most {max(times):5.1f}")
