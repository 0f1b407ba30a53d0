"""Jobs that fail or are interrupted, and what `surefoot ui` leaves behind: nothing is lost."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest

from tests.support.processes import end, living, wait_until_gone
from tests.support.surefoot_command import WELLS, complaint, results_in, surefoot, without_run
from trainers import InvalidInput
from tuning.cli.exit_codes import ExitCode
from tuning.jobs.base import State
from tuning.jobs.files import LEASE
from tuning.jobs.local import LocalJobs
from tuning.storage.file_lease import holder

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("no_pictures")]

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 60.0


# ------------------------------------------------------------------- a problem's own code raises

STEEP = """
from trainers import Problem

class Steep(Problem):
    known_minimum, parameters = 0.0, 2

    def initial(self, rng):
        return rng.uniform(-1, 1, 2)

    def loss_and_gradient(self, w):
        %s
        return (w * w).sum(axis=1) / 2, w.copy()
"""
RAISING = STEEP % "if abs(w).max() > 50: raise ArithmeticError('beyond the table')"
STEEP_JOB = """
[problem]
name = "steep_wells:Steep"
[search]
sampler = "tpe"
settings = 4
try_first = [0.01, 0.1, 5.0]
in_flight = 1
[training]
restarts = 16
steps = 40
[stability]
max_unstable = 0.2
"""


@pytest.fixture
def module(tmp_path: Path, write: Callable[..., str]) -> Iterator[Callable[[str], None]]:
    """Writes the user's module, and has it imported again."""

    def renew(text: str) -> None:
        write(text, "steep_wells.py")
        sys.modules.pop("steep_wells", None)
        importlib.invalidate_caches()

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        patch.setattr(sys, "dont_write_bytecode", True)
        yield renew
    sys.modules.pop("steep_wells", None)


def test_a_problem_that_raises(
    tmp_path: Path, write: Callable[..., str], module: Callable[[str], None]
) -> None:
    home, job = tmp_path / "home", write(STEEP_JOB)
    module(RAISING)
    ran = surefoot(home, "run", job, "--workers", "inline", "-q")
    assert ran.code == ExitCode.FAILED
    assert ran.out == ""
    first, *trace = ran.err.splitlines()
    wanted = "job Steep-1 failed: the problem raised in setting 2 (learning rate 5):"
    assert first == f"surefoot: {wanted}"
    assert "Traceback (most recent call last):" in trace
    assert any(f'{tmp_path / "steep_wells.py"}", line 11, in loss_and_gradient' in t for t in trace)
    assert "ArithmeticError: beyond the table" in trace
    assert trace[-1].endswith("Once mended, go on with: surefoot resume Steep-1")
    events = (home / "jobs" / "Steep-1" / "coordinator-events.txt").read_text(encoding="utf-8")
    assert events in ran.err
    assert events.endswith("raised (ArithmeticError: beyond the table): the job fails\n")

    # What was done is kept, and can be looked at.
    facts = json.loads(surefoot(home, "status", "Steep-1", "--json").out)
    assert (facts["state"], facts["done"]) == ("failed", 2)
    brief = "ArithmeticError: beyond the table"
    assert facts["failure"] == f"{wanted.partition(': ')[2]} {brief}"
    assert json.loads(surefoot(home, "list", "--json").out)[0]["state"] == "failed"
    partial = json.loads(surefoot(home, "report", "Steep-1", "--format", "json").out)
    assert [row["learning_rate"] for row in partial["settings"]] == [0.01, 0.1]

    # Not mended, it fails again; mended, it goes on, to what an undisturbed job gives.
    assert surefoot(home, "resume", "Steep-1", "--workers", "inline", "-q").code == 1
    module(STEEP % "pass")
    mended = surefoot(home, "resume", "Steep-1", "--workers", "inline", "--json")
    fresh = surefoot(tmp_path / "other", "run", job, "--workers", "inline", "--json")
    assert (mended.code, fresh.code) == (0, 0)
    assert without_run(mended.out) == without_run(fresh.out)
    facts = json.loads(surefoot(home, "status", "Steep-1", "--json").out)
    assert facts["state"] == "done"
    assert "failure" not in facts


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_problem_that_raises_at_once(
    tmp_path: Path, write: Callable[..., str], module: Callable[[str], None], command: str
) -> None:
    module(STEEP % "raise ArithmeticError('no such table')")
    ran = surefoot(tmp_path / "home", command, write(STEEP_JOB))
    assert ran.code == ExitCode.FAILED
    assert "ArithmeticError: no such table" in ran.err
    assert 'steep_wells.py", line 11' in ran.err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("option", ["--json", "-q"])
def test_what_a_problem_prints_does_not_spoil_the_output(
    tmp_path: Path, write: Callable[..., str], module: Callable[[str], None], option: str
) -> None:
    module(STEEP % "print('step by step')")
    job = write(STEEP_JOB.replace("settings = 4", "settings = 3"))
    ran = surefoot(tmp_path / "home", "run", job, "--workers", "inline", option)
    assert ran.code == 0
    assert "step by step" in ran.err
    assert "step by step" not in ran.out
    if option == "--json":
        assert json.loads(ran.out)["job"]["name"] == "Steep"


def test_a_problem_of_the_wrong_shape(
    tmp_path: Path, write: Callable[..., str], module: Callable[[str], None]
) -> None:
    module(STEEP % "return w.sum(), w")
    line = complaint(surefoot(tmp_path / "home", "run", write(STEEP_JOB)))
    assert "Steep.loss_and_gradient returned a loss of type float64; give an array" in line
    assert not (tmp_path / "home").exists()


def test_a_module_beside_the_job_is_found(tmp_path: Path, write: Callable[..., str]) -> None:
    """By the installed command too, which unlike `python -m` leaves the folder out."""
    write(STEEP % "pass", "steep_wells.py")
    done = subprocess.run(
        [Path(sys.executable).with_name("surefoot"), "check", write(STEEP_JOB)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["job.toml", "steep_wells.py"]


# ------------------------------------------------------------------------------------ interrupted


@dataclass
class Outside:
    """Commands in processes of their own, each in its own group; none outlives the test."""

    home: Path
    temporary: Path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tuning", *arguments],
            cwd=ROOT,
            env={**os.environ, "SUREFOOT_HOME": str(self.home), "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    # Not pytest's folder: the paths of Ray's sockets must be short.
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as temporary:
        try:
            yield Outside(tmp_path / "home", Path(temporary))
        finally:
            end(Path(temporary))


#: Ctrl-C reaches every process of the terminal, Ray's too; `kill` reaches the one it names.
INTERRUPTIONS = {
    "Ctrl-C": ("2", os.killpg, (signal.SIGINT,)),
    "Ctrl-C, no Ray": ("inline", os.killpg, (signal.SIGINT,)),
    "Ctrl-C twice": ("2", os.killpg, (signal.SIGINT, signal.SIGINT)),
    "kill": ("2", os.kill, (signal.SIGTERM,)),
    "kill, no Ray": ("inline", os.kill, (signal.SIGTERM,)),
}


def _has_results(home: Path) -> bool:
    with suppress(InvalidInput):  # the job, or its study, is just being made
        return bool(results_in(home, "wells-1"))
    return False


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=pytest.mark.cluster) if workers == "2" else how
        for how, (workers, *_) in INTERRUPTIONS.items()
    ],
)
def test_an_interrupted_job_goes_on(outside: Outside, write: Callable[..., str], how: str) -> None:
    workers, send, numbers = INTERRUPTIONS[how]
    job = write(WELLS.replace("settings = 6", "settings = 24").replace("= 40", "= 3000"))
    process = outside.start("run", job, "--workers", workers, "--json", "-q")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _has_results(outside.home):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running = LocalJobs(outside.home).job("wells-1")
    assert running.state is State.RUNNING
    who = holder(running.folder / LEASE)
    assert who is not None
    assert who.pid == process.pid
    first, *again = numbers
    send(process.pid, first)
    heard = ""
    for number in again:  # two at once would be one
        assert process.stderr is not None
        heard += process.stderr.readline()
        send(process.pid, number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    err = heard + err
    assert process.returncode == ExitCode.INTERRUPTED, err
    *before, last = err.splitlines()
    wanted = "interrupted; what was done is kept. Go on with: surefoot resume wells-1"
    assert last == f"surefoot: {wanted}"
    if numbers == (signal.SIGINT,):
        # What was in flight is told, and of all that there is a report.
        (ending,) = before
        assert re.fullmatch(
            r"surefoot: ending with what is in flight \(\d+ tasks?\); Ctrl-C again leaves at once",
            ending,
        )
        assert json.loads(out)["explanation"].startswith("Not finished: ")
    else:
        assert out == ""
        assert len(before) <= (how == "Ctrl-C twice")
    assert wait_until_gone(outside.temporary, 5.0) == []

    done = len(results_in(outside.home, "wells-1"))
    assert 1 <= done < 24
    facts = json.loads(surefoot(outside.home, "status", "wells-1", "--json").out)
    assert (facts["state"], facts["done"]) == ("interrupted", done)
    assert json.loads(surefoot(outside.home, "list", "--json").out)[0]["state"] == "interrupted"
    ran = surefoot(outside.home, "resume", "wells-1", "--workers", "inline", "-q")
    assert (ran.code, ran.err) == (0, "")
    told = [r.setting.number for r in results_in(outside.home, "wells-1")]
    assert told == list(range(len(told)))
    assert json.loads(surefoot(outside.home, "list", "--json").out)[0]["state"] == "done"


# --------------------------------------------------------------------------------------------- ui


def test_ui_serves_until_ctrl_c(wells: Path, outside: Outside) -> None:
    process = replace(outside, home=wells).start("ui")
    try:
        assert process.stdout is not None
        base = reading(process.stdout, r"MLflow UI: (http://127\.0\.0\.1:\d+)\n")
        report = r"/#/experiments/\d+/runs/\w+/artifacts/report.html\?\S+"
        view = reading(process.stdout, rf"  wells-1: {base}({report})\n")
        reading(process.stdout, "Ctrl-C stops it.\n")
        with urllib.request.urlopen(f"{base}/", timeout=20) as answer:
            assert answer.status == 200
            assert b"MLflow" in answer.read()
        experiment = view.split("/")[3]
        api = f"{base}/api/2.0/mlflow/experiments/get?experiment_id={experiment}"
        with urllib.request.urlopen(api, timeout=20) as answer:
            assert json.load(answer)["experiment"]["name"] == "wells-1"
        port = base.rpartition(":")[2]
        assert "choose another, or 0" in complaint(surefoot(wells, "ui", "--port", port))
    finally:
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert living(outside.temporary) == []


def reading(lines: IO[str], pattern: str) -> str:
    """The first group in the next line, which has that form; the line itself without groups."""
    line = lines.readline()
    match = re.fullmatch(pattern, line)
    assert match, line
    return match[match.re.groups and 1]
