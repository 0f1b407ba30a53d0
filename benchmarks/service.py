"""(d) A cluster, warm and idle: from `surefoot submit` to the first training step, and to the
report; `status` and `list`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.cluster import Cluster
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.search.records import results_of

__all__ = ["service"]

_ROUNDS = 5
_FIRST_STEP_SECONDS, _ANSWER_SECONDS = 15.0, 2.0  # what is asked for
_ROOT = Path(__file__).resolve().parent.parent
_JOB = """
name = "round-{number}"
seed = {number}
[problem]
name = "double-well"
[search]
sampler = "tpe"
settings = 4
[training]
restarts = 16
steps = 40
"""


@dataclass(frozen=True)
class _Round:
    """Seconds from the start of the command to each event, and what the small commands took."""

    submitted: float
    coordinator: float
    first_step: float
    report: float
    status: float
    listing: float
    load: float


class _Client:
    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            **cluster.environment,
            "PYTHONPATH": str(_ROOT),
            "SUREFOOT_HOME": str(folder / "home"),
        }
        url, passwords = (
            self._environment[name] for name in ("SUREFOOT_STORAGE_URL", "PGPASSFILE")
        )
        self._database = ClusterJobs(f"{url}?passfile={passwords}")

    def round(self, number: int) -> _Round:
        file = self._folder / f"{number}.toml"
        file.write_text(_JOB.format(number=number), encoding="utf-8")
        begin, load = time.time(), os.getloadavg()[0]
        job_id = self._surefoot("submit", str(file), "-q").strip()
        ended = time.time()
        job = self._database.job(job_id)
        while not job.entry.complete:  # else the next round would meet its end
            time.sleep(0.2)
        said = {line.text.split()[0]: line.at.timestamp() for line in reversed(job.lines())}
        return _Round(
            submitted=said["submitted"] - begin,
            coordinator=said["coordinator"] - begin,
            first_step=_first_step(job) - begin,
            report=ended - begin,
            status=self._seconds("status", job_id),
            listing=self._seconds("list"),
            load=load,
        )

    def _seconds(self, *arguments: str) -> float:
        begin = time.perf_counter()
        self._surefoot(*arguments)
        return time.perf_counter() - begin

    def _surefoot(self, *arguments: str) -> str:
        # 3 is also an end: no rate may be stable on so few restarts.
        done = subprocess.run(
            [sys.executable, "-m", "tuning", *arguments],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        if done.returncode not in (0, 3):
            done.check_returncode()
        return done.stdout


def _first_step(job: ClusterJob) -> float:
    results = results_of(job.study())
    return min(r.finished_at - r.training_seconds - r.classifying_seconds for r in results)


def service() -> list[str]:
    """A table in Markdown: the smallest of each part, and of the whole."""
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)  # PostgreSQL's user must enter it
        with Cluster(Path(name) / "cluster", workers=2) as cluster:
            client = _Client(cluster, Path(name))
            client.round(0)  # warms it
            rounds = [client.round(number + 1) for number in range(_ROUNDS)]
    parts = {
        "from `submit` to the job's being kept": [r.submitted for r in rounds],
        "until its coordinator begins": [r.coordinator - r.submitted for r in rounds],
        "until the first training step": [r.first_step - r.coordinator for r in rounds],
        f"**`submit` to the first training step** (asked: {_FIRST_STEP_SECONDS:g})": [
            r.first_step for r in rounds
        ],
        "`submit` to its end, with the report": [r.report for r in rounds],
        f"`status` (asked: {_ANSWER_SECONDS:g})": [r.status for r in rounds],
        f"`list` (asked: {_ANSWER_SECONDS:g})": [r.listing for r in rounds],
    }
    loads = [r.load for r in rounds]
    return [
        "| | seconds, the smallest | the median |",
        "| --- | --- | --- |",
        *(
            f"| {what} | {min(seconds):.1f} | {sorted(seconds)[_ROUNDS // 2]:.1f} |"
            for what, seconds in parts.items()
        ),
        "",
        f"{_ROUNDS} rounds on {os.cpu_count()} cores; load before each: "
        + ", ".join(f"{load:.1f}" for load in loads)
        + ".",
    ]
