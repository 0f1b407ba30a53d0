"""The same job is there once; another one is another; no password is anywhere."""

from __future__ import annotations

import copy
import getpass
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuning
from tests.support.fake_cluster import ADDRESS, TABLE, FakeRay, new_url, tell
from tests.support.postgres_server import PASSWORD, Postgres
from tests.support.surefoot_command import surefoot
from trainers import InvalidInput, ProblemFailed
from tuning import tracking
from tuning.cli.exit_codes import ExitCode
from tuning.cluster import launch
from tuning.cluster import submit as submitting
from tuning.cluster.handle import SubmittedJob
from tuning.cluster.submit import submit
from tuning.errors import RayUnreachable
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import FAILURE, HEADER, REPORT
from tuning.storage.postgres_lease import PostgresLease

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(submitting, "RayJobs", fake)
    monkeypatch.setattr(launch, "RayJobs", fake)
    monkeypatch.setattr(launch, "MAX_COORDINATORS", 1000)  # nobody works on these jobs
    return fake


Send = Callable[..., SubmittedJob]


@pytest.fixture
def send(url: str, ray: FakeRay) -> Send:  # noqa: ARG001
    """Submits `TABLE` with the changes given; keys as search__settings."""

    def sending(owner: str = "ann", said: list[str] | None = None, **changes: Any) -> SubmittedJob:
        table = copy.deepcopy(TABLE)
        for key, value in changes.items():
            outer, _, inner = key.partition("__")
            if inner:
                table.setdefault(outer, {})[inner] = value
            else:
                table[outer] = value
        say = None if said is None else said.append
        return submit(table, address=ADDRESS, storage=url, owner=owner, announce=say)

    return sending


def test_the_same_job_again_is_the_same_one(send: Send, ray: FakeRay, url: str) -> None:
    said: list[str] = []
    first, again = send(said=said), send(said=said)
    assert first.id == again.id
    assert first.id.startswith("wells-")
    assert len(ray.submitted) == 1
    assert said == [f"job {first.id} has been submitted before; it is waiting"]
    assert (first.owner, first.status()) == ("ann", State.WAITING)
    assert [line.text for line in first.lines()] == ["submitted by ann"]
    assert first.logs().endswith(" submitted by ann\n")
    # What says where and how it is carried out makes no other job of it.
    for change in (
        {"cluster__max_tasks": 2, "cluster__cpus_per_task": 0.5},
        {"tracking__uri": "http://127.0.0.1:1"},
        {"storage__url": url},
    ):
        assert send(**change).id == first.id
    others = [
        send(owner="bob"),
        send(seed=1),
        send(name="wells2"),
        send(search__settings=3),
        send(training__steps=6),
    ]
    assert len({first.id, *(job.id for job in others)}) == 6
    assert len(ray.submitted) == 6


@pytest.mark.usefixtures("ray")
def test_other_data_or_another_module_are_another_job(url: str, tmp_path: Path) -> None:
    def ids(rows: str, extra: str) -> str:
        (tmp_path / "rows.csv").write_text(rows, encoding="utf-8")
        (tmp_path / "extra.py").write_text(extra, encoding="utf-8")
        (tmp_path / "job.toml").write_text(
            'name = "table"\n[problem]\nname = "mlp"\ndata = "rows.csv"\ntarget = "y"\n'
            'hidden = [2]\n[training]\nsteps = 5\n[cluster]\ninclude = ["extra.py"]\n',
            encoding="utf-8",
        )
        return submit(tmp_path / "job.toml", address=ADDRESS, storage=url, owner="ann").id

    rows = "x,y\n" + "".join(f"{i * i % 17},{i % 2}\n" for i in range(60))
    first = ids(rows, "a = 1")
    assert ids(rows, "a = 1") == first
    assert len({first, ids(rows.replace("16,", "15,"), "a = 1"), ids(rows, "a = 2")}) == 3
    header = json.loads(ClusterJob(ClusterJobs(url), first).read(HEADER) or "")
    assert header["table"] == "rows.csv"


PROGRAM = """
import sys
import numpy as np
from tests.support.fake_cluster import ADDRESS, FakeRay
from trainers import Problem
from tuning.cluster import submit as submitting
class Well(Problem):
    known_minimum, parameters = 0.0, 1
    def initial(self, rng):
        return rng.normal(size=1)
    def loss_and_gradient(self, w):
        return (w * w).sum(1), 2 * w
submitting.RayJobs = ray = FakeRay()
print("ready", flush=True)
sys.stdin.readline()
job = submitting.submit(problem=Well(), training={"restarts": 4, "steps": 5}, address=ADDRESS)
print(job.id, len(ray.submitted))
"""


def test_two_processes_at_once_give_one_job_and_one_launch(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Also of a problem that is an object of the program's own class."""
    url = new_url(postgres)
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    programs = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "program.py")],
            env={**os.environ, "PYTHONPATH": str(ROOT), "SUREFOOT_STORAGE_URL": url},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
        for program in programs:
            assert program.stdin is not None
            program.stdin.write("\n")
            program.stdin.flush()
        ended = [program.communicate(timeout=60) for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.wait()
    assert [err for _, err in ended] == ["", ""]
    ids, launches = zip(*(out.split() for out, _ in ended), strict=True)
    assert len(set(ids)) == 1
    assert sorted(launches) == ["0", "1"]
    assert ClusterJob(ClusterJobs(url), ids[0]).entry.attempt == 1


def test_what_the_search_has_no_use_for_is_said(send: Send) -> None:
    said: list[str] = []
    send(search={"sampler": "cliff", "settings": 3}, said=said)
    (line,) = said
    assert line.startswith("search.settings and training.restarts are for the other samplers")


def test_a_submission_that_was_cut_off_is_completed_by_the_next(send: Send, ray: FakeRay) -> None:
    said: list[str] = []
    ray.sick = "wells-"
    job = send(seed=7, said=said)
    assert len(said) == 1
    assert said[0].endswith("the job is kept and begins when it does")
    with job._job.database.session() as session:  # as if its process had been killed before that
        session.execute("update surefoot_job set attempt = 0 where id = %s", [job.id])
    ray.sick = "\0"
    assert send(seed=7).id == job.id
    assert len(ray.submitted) == 1


def test_a_ray_that_is_away_costs_nothing(send: Send, ray: FakeRay, url: str) -> None:
    before = len(ClusterJobs(url).entries())
    ray.away = True
    with pytest.raises(RayUnreachable):
        send(seed=8)
    assert len(ClusterJobs(url).entries()) == before


def test_stop_resume_and_delete(send: Send, ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[tuple[str, str]] = []  # MLflow itself: test_cluster_commands
    monkeypatch.setattr(tracking, "delete_experiment", lambda *what: deleted.append(what))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    job = send(seed=9)
    first = ray.submitted[0][0]
    assert job.ray_log() == f"printed by {first}\n"
    job.stop()
    assert ray.stopped == [first]
    assert job.status() is State.STOPPED
    with pytest.raises(InvalidInput, match=f"was stopped; surefoot resume {job.id} goes on"):
        job.wait()
    job.resume()
    assert job.status() is State.WAITING
    assert len(ray.submitted) == 2
    with pytest.raises(TimeoutError, match=f"job {job.id} is waiting after 0 s"):
        job.wait(timeout=0)
    ray.away = True
    with pytest.raises(RayUnreachable):
        job.stop()
    assert job.status() is State.STOPPED
    with pytest.raises(RayUnreachable):
        job.resume()
    assert job.status() is State.WAITING
    ray.away = False
    url = job._job.database.url
    with PostgresLease(url, job.id):
        assert job.status() is State.RUNNING
        with pytest.raises(InvalidInput, match="is at work already: process"):
            job.resume()
        with pytest.raises(InvalidInput, match=f"is at work: surefoot stop {job.id} first"):
            job.delete()
    job.delete()  # no coordinator has made its study
    assert ClusterJobs(url).find(job.id) is None
    with pytest.raises(InvalidInput, match=f"job {job.id} has been deleted"):
        job.status()
    # Submitted again, it is a new submission to Ray, which remembers the old one.
    assert deleted == [("http://mlflow:5000", job.id)]
    again = send(seed=9)
    assert again.id == job.id
    assert again.status() is State.WAITING


def test_a_failure_is_told_and_forgotten_by_resume(send: Send) -> None:
    job = send(seed=10)
    job._job.write(FAILURE, "it raised\nin line 3\n")
    assert job.status() is State.FAILED
    with pytest.raises(ProblemFailed, match=r"^it raised\nin line 3$"):
        job.wait()
    job.resume()
    assert (job.status(), job.read(FAILURE)) == (State.WAITING, None)


def test_jobs_are_found_again_from_another_program(
    send: Send, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = send(seed=13, owner="eve"), send(seed=13, owner="fay")
    assert mine.id in [job.id for job in tuning.list_jobs(storage=url)]
    assert theirs.id in [job.id for job in tuning.list_jobs(storage=url)]
    [found] = tuning.list_jobs(owner="eve", storage=url)
    assert (found.id, found.owner, found.status()) == (mine.id, "eve", State.WAITING)
    assert tuning.list_jobs(owner="nobody", storage=url) == []
    with pytest.raises(InvalidInput, match="database is not named: set SUREFOOT_STORAGE_URL"):
        tuning.load_job(theirs.id)
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", url)
    loaded = tuning.load_job(theirs.id)
    assert loaded.logs() == theirs.logs() != ""
    loaded.stop()
    assert theirs.status() is State.STOPPED
    with pytest.raises(InvalidInput, match=f"no job {mine.id[:-1]!r} in .* mean {mine.id!r}"):
        tuning.load_job(mine.id[:-1])


def test_a_complete_job_is_not_stopped(send: Send, ray: FakeRay) -> None:
    job = send(seed=11)
    job._job.write(REPORT, "{}")
    job._job.completed()
    job.stop()
    assert ray.stopped == []
    assert job.status() is State.DONE
    assert job._job.entry.wanted == "run"


def test_what_an_owner_may_be(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_OWNER", "from the environment")
    assert send(owner="").owner == "from the environment"
    for odd in ("O'Brien; drop table surefoot_job --", "%s {0} $1 \\", "é" * 64):
        assert send(owner=odd).owner == odd
    for wrong in ("x" * 65, "a\nb", "a\0b", "\udcff"):
        with pytest.raises(InvalidInput, match=r"^owner .* is not valid: 1 to 64 printable"):
            send(owner=wrong)

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.delenv("SUREFOOT_OWNER")
    monkeypatch.setattr(getpass, "getuser", nobody)
    with pytest.raises(InvalidInput, match="give --owner, or set SUREFOOT_OWNER"):
        send(owner="")


def test_no_password_is_kept_or_shown(
    send: Send, ray: FakeRay, url: str, postgres: Postgres, tmp_path: Path
) -> None:
    job = send(seed=12, storage__url=url)
    study = job._job
    tell(study, 0)
    shown = [repr(job), repr(study), repr(study.database), repr(study.entry), study.place, str(job)]
    with study.database.session() as session:
        tables = ("surefoot_job", "surefoot_file", "surefoot_line")
        shown += [str(session.execute(f"select * from {name}").fetchall()) for name in tables]
    shown.append(repr(ray.submitted))
    wrong = url.replace(PASSWORD, "not-" + PASSWORD)
    for call in (
        lambda: ClusterJobs(url).job("none"),
        lambda: ClusterJobs(wrong).entries(),
        lambda: submit(TABLE, address=ADDRESS, storage=wrong),
        lambda: submit({**TABLE, "storage": {"url": wrong}}, address=ADDRESS),
    ):
        with pytest.raises(InvalidInput) as refused:
            call()
        shown += traceback.format_exception(refused.value)
    postgres.stop()
    try:
        for command in (["list"], ["status", job.id], ["logs", job.id], ["delete", job.id]):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("SUREFOOT_STORAGE_URL", url)
                ran = surefoot(tmp_path, *command)
            assert ran.code == ExitCode.FAILED
            assert ran.err.startswith("surefoot: cannot reach the database postgresql+psycopg://")
            assert ran.err.count("\n") == 1
            shown += [ran.out, ran.err]
    finally:
        postgres.start()
    assert [text for text in shown if PASSWORD in text] == []
