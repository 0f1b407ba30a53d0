"""A user of the cluster: the command line in a process of its own, and a problem that is nowhere
but beside the job files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.cluster import Cluster
from tests.support.inline_jobs import RUN, carry_on, new_store
from tests.support.surefoot_command import Ran, without_run
from tuning.analysis.build import build_report
from tuning.analysis.problem_info import problem_facts
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJobs
from tuning.jobs.files import REPORT
from tuning.spec.job import folder_of, read_spec

__all__ = ["IN_THE_CLUSTER", "ROOT", "Client", "ended", "listed", "until", "without"]

ROOT = Path(__file__).resolve().parents[2]
#: Set for Ray's processes alone: there, the valley does what the files in its folder say.
IN_THE_CLUSTER = "VALLEY_IN_THE_CLUSTER"
ENDED = (State.DONE, State.FAILED, State.STOPPED)
SECONDS = 240.0  # for what takes seconds, on a machine with other things to do

PACKAGE = {
    "__init__.py": "",
    "floor.py": """
import numpy as np
from trainers import Problem

class Valley(Problem):
    parameters = 2
    known_minimum = 0.0

    def __init__(self, folder):
        self.folder = folder

    def initial(self, rng):
        from valley.marks import pass_by  # after the modules were collected
        pass_by(self.folder)
        return rng.standard_normal(2)

    def loss_and_gradient(self, w):
        x, y = w.T
        return (x * x - 1) ** 2 / 4 + y * y / 2, np.stack([(x * x - 1) * x, y], axis=1)
""",
    "marks.py": f"""
import os, time
from contextlib import suppress
from pathlib import Path

import tuning

print("the valley is entered with", tuning.__file__, flush=True)

def pass_by(folder):
    if "{IN_THE_CLUSTER}" not in os.environ:
        return
    here = Path(folder)
    with open(here / "times", "a") as file:
        file.write(f"{{os.getpid()}} {{time.time()}}\\n")
    if (here / "raise").exists():
        raise ArithmeticError("the valley is closed")
    if (here / "memory").exists():
        raise MemoryError("the valley is full")
    with suppress(FileNotFoundError):
        (here / "hang").unlink()
        time.sleep(1e6)
    time.sleep(float((here / "seconds").read_text()))
""",
}
VALLEY = """
name = "{name}"
[problem]
name = "valley.floor:Valley"
folder = "{marks}"
[search]
optimizers = ["gd"]
settings = {settings}
learning_rate = {{ low = 0.01, high = 0.5 }}
sampler = "random"
[training]
restarts = 16
steps = 20
[stability]
max_unstable = 0.2
margin = 1.0
[cluster]
{cluster}
"""


class Client:
    """Somebody with the cluster's addresses, token and passwords, whose files are in `folder`.

    `where`: the words before the command, if it shall run elsewhere than here.
    """

    def __init__(self, cluster: Cluster, folder: Path, where: Sequence[str] = ()) -> None:
        self.cluster, self.folder, self._where = cluster, folder, where
        for name, text in PACKAGE.items():
            self.write(text, f"valley/{name}")
        host = cluster.address("postgres", 5432)
        passwords = cluster.environment["PGPASSFILE"]
        self.database = ClusterJobs(
            f"postgresql+psycopg://surefoot@{host}/surefoot?passfile={passwords}"
        )

    # ---------------------------------------------------------------------------------- its files

    def write(self, text: str, name: str) -> Path:
        """A file, whole at any time: a worker may read it just now."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_text(text, encoding="utf-8")
        return new.replace(path)

    def valley(
        self, name: str, *, settings: int = 3, seconds: float = 0.0, cluster: str = ""
    ) -> Path:
        """A job on the user's own problem. On the cluster each restart waits for `seconds`."""
        marks = self.folder / f"{name}.marks"
        self.write(str(seconds), f"{name}.marks/seconds")
        text = VALLEY.format(name=name, marks=marks, settings=settings, cluster=cluster)
        return self.write(text, f"{name}.toml")

    def marks(self, job_file: Path) -> Path:
        """Where the valley of `job_file` looks what to do, and writes `times`."""
        return job_file.with_suffix(".marks")

    def times(self, job_file: Path) -> list[tuple[int, float]]:
        """Process id and time of each start that was drawn on the cluster, in order of time."""
        path = self.marks(job_file) / "times"
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return sorted(((int(pid), float(at)) for pid, at in rows), key=lambda row: row[1])

    # -------------------------------------------------------------------------------- the command

    def environment(self, **changes: str | None) -> dict[str, str]:
        """Of its processes; None takes a variable away."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RAY_", "MLFLOW_", "SUREFOOT_", "PG"))
        }
        all_of_them: dict[str, str | None] = {
            **kept,
            **self.cluster.environment,
            "PYTHONPATH": str(ROOT),
            "SUREFOOT_HOME": str(self.folder / "home"),
            "SUREFOOT_OWNER": "ada",
            "COLUMNS": "200",
            **changes,
        }
        return {name: value for name, value in all_of_them.items() if value is not None}

    @contextmanager
    def process(self, *arguments: str, **changes: str | None) -> Iterator[subprocess.Popen[str]]:
        """`surefoot` at work; killed at the end if it still is."""
        running = subprocess.Popen(
            [*self._where, sys.executable, "-m", "tuning", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with running:
            try:
                yield running
            finally:
                running.kill()

    def surefoot(self, *arguments: object, **changes: str | None) -> Ran:
        """What `surefoot` did, to its end."""
        with self.process(*map(str, arguments), **changes) as running:
            return ended(running)

    def submit(self, job_file: Path | str, *arguments: str, **changes: str | None) -> str:
        """The id of a job that is left to itself."""
        ran = self.surefoot("submit", job_file, "--no-wait", *arguments, **changes)
        assert ran.code == 0, ran
        return ran.out.strip()

    def doctor(self, code: int, **changes: str | None) -> dict[str, dict[str, Any]]:
        """What `surefoot doctor` finds, by what it is about; `code` is its exit code."""
        ran = self.surefoot("doctor", "--json", **changes)
        assert (ran.code, ran.err) == (code, ""), ran
        findings = {finding["what"]: finding for finding in json.loads(ran.out)}
        for finding in findings.values():
            assert finding["ok"] is not bool(finding["remedy"]), finding
        return findings

    def python(self, code: str) -> str:
        """What a program of the user prints."""
        done = subprocess.run(
            [*self._where, sys.executable, str(self.write(code, "program.py"))],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    # ------------------------------------------------------------------------------------ its jobs

    def state(self, job_id: str) -> State:
        return self.database.job(job_id).state

    def wait(self, job_id: str, *states: State) -> None:
        """Until the job is in one of `states` (by default: at its end)."""
        wanted = states or ENDED
        until(lambda: self.state(job_id) in wanted, lambda: self.lines(job_id))

    def idle(self, job_id: str) -> None:
        """Until nobody is at work on it."""
        until(lambda: self.database.job(job_id).holder is None, lambda: self.lines(job_id))

    def lines(self, job_id: str) -> str:
        return "\n".join(line.text for line in self.database.job(job_id).lines())

    def answer(self, job_id: str) -> dict[str, Any]:
        """The job's report, without the facts of the run."""
        content = self.database.job(job_id).read(REPORT)
        assert content is not None, self.lines(job_id)
        return without_run(content)

    def here(self, job_file: Path) -> dict[str, Any]:
        """The report of the same job file carried out in this process, without the cluster."""
        spec = read_spec(job_file)
        problem = spec.make_problem(folder_of(job_file))
        results, _ = carry_on(spec, new_store(self.folder, job_file.stem), problem=problem)
        report = build_report(spec, problem_facts(spec.problem.name, problem), results, RUN)
        return without_run(report.to_json())


def ended(running: subprocess.Popen[str]) -> Ran:
    """What a process did, when it has ended."""
    out, err = running.communicate(timeout=SECONDS)
    return Ran(running.returncode, out, err)


def until(condition: Callable[[], bool], said: Callable[[], object] = lambda: "") -> None:
    """Wait for `condition`; what was `said` explains why it does not come."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)


def listed(client: Client) -> list[dict[str, Any]]:
    """`surefoot list --json`."""
    rows: list[dict[str, Any]] = json.loads(client.surefoot("list", "--json").out)
    return rows


@contextmanager
def without(client: Client, *services: str) -> Iterator[None]:
    """While `services` are stopped; the first is started again first."""
    for service in reversed(services):
        client.cluster.stop(service)
    try:
        yield
    finally:
        for service in services:
            client.cluster.start(service)
