"""Files, folders and modules that move, or were never where one would look: what is found is right,
and what is not is said in one line.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient

import tuning
from tests.support.mlflow_server import PATIENCE, Server, wait_until
from tests.support.surefoot_command import Ran, complaint, surefoot
from tuning.jobs.local import LocalJobs
from tuning.runner.local_api import create_job, prepare
from tuning.tracking.address import sqlite_address, sqlite_file

pytestmark = pytest.mark.usefixtures("no_pictures")

JOB = """
name = "placed"
[problem]
name = "{problem}"
[search]
settings = 2
sampler = "grid"
try_first = []
learning_rate = {{ low = 0.1, high = 1.0 }}
[training]
restarts = 64
steps = 40
"""
VALLEY = """
from trainers import Problem

class Valley(Problem):
    known_minimum = 0.0
    parameters = 1

    def initial(self, rng):
        return rng.uniform(-1.0, 1.0, 1)

    def loss_and_gradient(self, w, *batch):
        return (w**2).sum(axis=1), 2.0 * w
"""


def written(file: Path, *, problem: str = "single-weight", more: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(JOB.format(problem=problem) + more, encoding="utf-8")
    return file


def run(home: Path, file: Path) -> Ran:
    ran = surefoot(home, "run", str(file), "--workers", "inline", "-q")
    assert ran.code == 0, ran
    return ran


# ------------------------------------------------------------------------------ relative addresses


def test_a_relative_address_means_the_job_file_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, home = (tmp_path / name for name in ("here", "there", "home"))
    there.mkdir()
    file = written(
        here / "job.toml",
        more='[storage]\nurl = "journal:///study.log"\n[tracking]\nuri = "sqlite:///runs.db"\n',
    )
    monkeypatch.chdir(there)
    said = run(home, file).out
    assert {path.name for path in here.iterdir()} >= {"job.toml", "study.log", "runs.db"}
    report = surefoot(home, "report", "placed-1", "--format", "json").out
    for folder in (here, tmp_path):
        monkeypatch.chdir(folder)
        assert surefoot(home, "report", "placed-1", "--format", "json").out == report
        assert surefoot(home, "resume", "placed-1", "--workers", "inline", "-q").code == 0
        assert "done" in surefoot(home, "status", "placed-1").out
    assert list(there.iterdir()) == []
    # What is printed as the way to see the runs is true for the store in use.
    assert f"mlflow server --backend-store-uri sqlite:///{here}/runs.db" in said
    assert len(MlflowClient(f"sqlite:///{here}/runs.db").search_experiments()) == 2
    monkeypatch.chdir(there)
    assert surefoot(home, "delete", "placed-1").code == 0
    assert len(MlflowClient(f"sqlite:///{here}/runs.db").search_experiments()) == 1
    assert not (here / "study.log").exists()  # it held no other study


def test_data_of_the_working_directory_are_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    rows = "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40))
    (work / "t.csv").write_text(f"a,b,y\n{rows}", encoding="utf-8")
    file = written(tmp_path / "jobs" / "job.toml", problem="mlp")
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace('"mlp"', '"mlp"\ndata = "t.csv"\ntarget = "y"\nhidden = [2]'),
        encoding="utf-8",
    )
    monkeypatch.chdir(work)
    run(home, file)
    monkeypatch.chdir(tmp_path)
    for words in (
        ["replay", "placed-1", "--setting", "0", "--restart", "0"],
        ["resume", "placed-1", "--workers", "inline", "-q"],
    ):
        ran = surefoot(home, *words)
        assert ran.code == 0, ran


# ----------------------------------------------------------------------------------- SUREFOOT_HOME

NAMES = ["x%2Fy", "x%20y", "x?mode=ro", "x#y ü", "a'b\"c;d&e=f", "a\\b:c@d $HOME*[e]"]


@pytest.mark.parametrize("name", NAMES)
def test_a_home_may_have_any_name(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    job = written(tmp_path / "jobs" / "job.toml")
    run(home, job)
    before = surefoot(home, "report", "placed-1", "--format", "json").out
    assert {path.name for path in tmp_path.iterdir()} == {"jobs", name}
    assert {path.name for path in home.iterdir()} >= {"jobs", "mlflow.db", "mlflow-artifacts"}
    client = MlflowClient(sqlite_address(home / "mlflow.db"))
    (found,) = [e for e in client.search_experiments() if e.name == "placed-1"]
    assert len(client.search_runs([found.experiment_id])) >= 3
    assert not (home / "jobs" / "placed-1" / "mlflow-missing.txt").exists()
    # Moved as a whole it goes on.
    moved = tmp_path / f"moved {name}"
    home.rename(moved)
    assert surefoot(moved, "report", "placed-1", "--format", "json").out == before
    assert surefoot(moved, "resume", "placed-1", "--workers", "inline", "-q").code == 0
    assert surefoot(moved, "delete", "placed-1").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"jobs", moved.name}


@pytest.mark.parametrize("path", ["/a/b.db", "rel/b.db", "/x%2Fy/b.db", "/a?b/c.db", "/ü #'/b"])
def test_an_sqlite_address_is_read_back(path: str) -> None:
    assert sqlite_file(sqlite_address(Path(path))) == Path(path)


@pytest.mark.cluster
def test_the_files_in_a_home_of_an_odd_name_are_served(tmp_path: Path) -> None:
    home = tmp_path / "x%2F?y#z"
    run(home, written(tmp_path / "job.toml"))
    server = Server(home, "mlflow-artifacts")
    try:
        server.start()
        wait_until(server.answers)
        client = MlflowClient(server.address)
        found = client.get_experiment_by_name("placed-1")
        assert found is not None
        runs = client.search_runs([found.experiment_id], "tags.role = 'report'")
        where = f"get-artifact?path=report.md&run_uuid={runs[0].info.run_id}"
        shown = urllib.request.urlopen(f"{server.address}/{where}", timeout=PATIENCE).read()
        assert shown == (home / "jobs" / "placed-1" / "report.md").read_bytes()
    finally:
        server.kill()


# ---------------------------------------------------------------------- a module that is not there


@pytest.fixture(scope="module")
def orphaned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two jobs, one by name and one of an object, whose module is gone."""
    folder = tmp_path_factory.mktemp("orphaned")
    (folder / "valley_of_places.py").write_text(VALLEY, encoding="utf-8")
    file = written(folder / "job.toml", problem="valley_of_places:Valley")
    script = (
        "import sys, tuning, valley_of_places\n"
        f"tuning.tune({str(file)!r}, workers='inline', home='home')\n"
        "tuning.tune(problem=valley_of_places.Valley(), name='object', workers='inline',\n"
        "            search={'settings': 2, 'sampler': 'random'}, home='home',\n"
        "            training={'restarts': 64, 'steps': 40})\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=folder)
    (folder / "valley_of_places.py").rename(folder / "elsewhere.txt")
    return folder / "home"


JOBS = ["placed-1", "object-1"]


@pytest.mark.parametrize("job", JOBS)
def test_without_the_module_all_that_does_not_train_works(orphaned: Path, job: str) -> None:
    for command in (
        ["status", job],
        ["report", job],
        ["report", job, "--format", "md"],
        ["list"],
        ["explain", job, "--setting", "0", "--restart", "0"],
    ):
        ran = surefoot(orphaned, *command)
        assert ran.code == 0, ran
    report = tuning.load_report(job, home=orphaned)
    (said,) = [line for line in report.warnings if "are not drawn" in line]
    assert "valley_of_places" in said
    kept = json.loads((orphaned / "jobs" / job / "report.json").read_text(encoding="utf-8"))
    assert report.best_stable is not None
    assert report.best_stable.learning_rate == kept["best_stable"]["learning_rate"]


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    "command",
    [
        ["resume", "{}", "--workers", "inline", "-q"],
        ["replay", "{}", "--setting", "0", "--restart", "0"],
        ["explain", "{}", "--setting", "0", "--restart", "0", "--train-again"],
    ],
)
def test_without_the_module_what_trains_says_so_in_a_line(
    orphaned: Path, job: str, command: list[str]
) -> None:
    said = complaint(surefoot(orphaned, *(word.format(job) for word in command)))
    assert "no module" in said.lower()
    assert "valley_of_places" in said


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (VALLEY.replace("Valley", "Gorge"), "AttributeError"),
        ("raise RuntimeError('no licence')\n", "RuntimeError: no licence"),
        (VALLEY, None),  # it is back, in the folder where the job was made
    ],
)
def test_a_module_that_has_changed(
    orphaned: Path, module: str, says: str | None, tmp_path: Path
) -> None:
    file = orphaned.parent / "valley_of_places.py"
    file.write_text(module, encoding="utf-8")
    words = ["replay", "object-1", "--setting", "0", "--restart", "0"]
    ran = subprocess.run(
        [sys.executable, "-m", "tuning", *words],
        env={**os.environ, "SUREFOOT_HOME": str(orphaned)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    file.unlink()
    if says is None:
        assert ran.returncode == 0, ran.stderr
    else:
        assert ran.returncode == 2
        (line,) = ran.stderr.splitlines()
        assert says in line


def test_a_stored_problem_that_was_cut(orphaned: Path) -> None:
    file = orphaned / "jobs" / "object-1" / "problem.pkl"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    try:
        words = ["replay", "object-1", "--setting", "0", "--restart", "0"]
        assert "cannot be read" in complaint(surefoot(orphaned, *words))
        assert surefoot(orphaned, "report", "object-1").code == 0
    finally:
        file.write_bytes(whole)


# ------------------------------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    ("uri", "mode"),
    [("http://bob:s3cret@127.0.0.1:9", 0o600), ("http://127.0.0.1:9", 0o644)],
)
def test_a_job_file_that_holds_a_password_is_its_owner_s(
    tmp_path: Path, uri: str, mode: int
) -> None:
    old = os.umask(0o022)
    try:
        job = written(tmp_path / "job.toml", more=f'[tracking]\nuri = "{uri}"\n')
        spec, problem, _ = prepare(job)
        made = create_job(LocalJobs(tmp_path / "home"), spec, problem, tmp_path)
    finally:
        os.umask(old)
    assert stat.S_IMODE((made.folder / "job.json").stat().st_mode) == mode
    for file in made.folder.iterdir():
        if file.name != "job.json":
            assert b"s3cret" not in file.read_bytes(), file
