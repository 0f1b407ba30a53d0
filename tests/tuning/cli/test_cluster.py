"""The cluster's commands, through the real command line: what they print, and one line for what
is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.fake_cluster import ADDRESS, FakeRay, add, new_url, tell
from tests.support.postgres_server import PASSWORD, Postgres
from tests.support.surefoot_command import Ran, complaint, surefoot
from tuning.cli import cluster, follow
from tuning.cli.exit_codes import ExitCode
from tuning.cluster import launch, submit
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import FAILURE, HEADER, MLFLOW_MISSING, REPORT
from tuning.storage.postgres_lease import PostgresLease

JOB = """
name = "wells"
[problem]
name = "double-well"
[search]
sampler = "tpe"
settings = 2
[training]
restarts = 4
steps = 5
"""
NOBODY = "postgresql+psycopg://ann:hush@127.0.0.1:1/none"
Call = Callable[..., Ran]


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return new_url(postgres)


@pytest.fixture(scope="module")
def with_held(postgres: Postgres) -> str:
    """A database with one job, which has not begun."""
    url = new_url(postgres)
    add(ClusterJobs(url), "held")
    return url


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(submit, "RayJobs", fake)
    monkeypatch.setattr(launch, "RayJobs", fake)
    return fake


@pytest.fixture
def call(url: str, ray: FakeRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:  # noqa: ARG001
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", url)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", ADDRESS)
    monkeypatch.setenv("SUREFOOT_OWNER", "ann")
    monkeypatch.setattr(follow, "_POLL_SECONDS", 0.01)

    def calling(*arguments: str) -> Ran:
        return surefoot(tmp_path, *arguments)

    return calling


def job_of(url: str, ran: Ran) -> ClusterJob:
    return ClusterJob(ClusterJobs(url), ran.out.strip())


def test_a_job_from_its_submission_to_its_deletion(
    call: Call, write: Callable[..., str], url: str, ray: FakeRay, tmp_path: Path
) -> None:
    path = write(JOB + f'[tracking]\nuri = "sqlite:///{tmp_path}/mlflow.db"\n')
    sent = call("submit", path, "--no-wait")
    assert (sent.code, sent.err) == (0, "")
    job = job_of(url, sent)
    facts = json.loads(call("submit", path, "--no-wait", "--json").out)
    assert facts == {"id": job.id, "state": "waiting", "owner": "ann"}
    other = call("submit", path, "--no-wait", "--owner", "bob")
    assert len(ray.submitted) == 2

    rows = json.loads(call("list", "--json").out)
    assert [(row["id"], row["owner"], row["done"]) for row in rows] == [
        (job.id, "ann", 0), (other.out.strip(), "bob", 0),
    ]  # fmt: skip
    assert call("list", "--owner", "bob").out.split()[0] == other.out.strip()
    assert call("list", "--owner", "eve").out == "no jobs in the cluster\n"

    tell(job, 0, 1, 2)
    with PostgresLease(url, job.id):
        facts = json.loads(call("status", job.id, "--json").out)
        assert complaint(call("delete", job.id)) == (
            f"surefoot: job {job.id} is at work: surefoot stop {job.id} first"
        )
        assert "is at work already" in complaint(call("resume", job.id))
    wanted = {
        "id": job.id, "state": "running", "settings": 2, "done": 2, "confirmations": 1,
        "owner": "ann", "coordinators": 1,
    }  # fmt: skip
    assert {key: facts[key] for key in wanted} == wanted
    assert "***" in facts["database"]

    assert call("logs", job.id).out.endswith(" submitted by ann\n")
    assert call("logs", job.id, "--ray").out == f"printed by {ray.submitted[0][0]}\n"
    stopped = call("stop", job.id)
    assert stopped.out == f"job {job.id} shall stop; surefoot resume {job.id} goes on with it\n"
    followed = call("logs", job.id, "-f")
    assert [line.split(" ", 1)[1] for line in followed.out.splitlines()] == [
        "submitted by ann", "told to stop",
    ]  # fmt: skip
    ended = call("submit", path)
    assert (ended.code, ended.out.splitlines()[0]) == (1, job.id)
    assert ended.err.splitlines()[-1] == (
        f"surefoot: job {job.id} was stopped; surefoot resume {job.id} goes on"
    )
    assert call("delete", job.id).out == f"job {job.id} is deleted\n"
    assert f"no job {job.id!r} in " in complaint(call("status", job.id))


@pytest.mark.parametrize("quiet", [False, True])
def test_following_waits_for_a_database_that_is_away(
    call: Call, write: Callable[..., str], url: str, postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch, quiet: bool,
) -> None:  # fmt: skip
    path = write(JOB.replace("steps = 5", f"steps = {6 + quiet}"))
    job = job_of(url, call("submit", path, "--no-wait"))
    job.say("going")
    waits: Iterator[Callable[[], None]] = iter(
        [postgres.stop, lambda: None, postgres.start, lambda: job.write(FAILURE, "bad\n")]
    )

    class Clock:
        """What happens while it is waited."""

        @staticmethod
        def sleep(_: float) -> None:
            next(waits)()

    monkeypatch.setattr(follow, "time", Clock)
    ran = call("submit", path, *(["-q"] if quiet else []))
    assert ran.code == ExitCode.FAILED
    first, away, last = ran.err.splitlines()
    assert first.startswith(f"surefoot: job {job.id} has been submitted before; it is waiting")
    assert away.startswith("surefoot: cannot reach the database postgresql+psycopg://surefoot:***")
    assert last == f"surefoot: job {job.id} failed: bad"
    lines = [] if quiet else ["submitted by ann", "going"]
    assert ran.out.splitlines()[0] == job.id
    assert [line.split(" ", 1)[1] for line in ran.out.splitlines()[1:]] == lines


def test_ctrl_c_leaves_the_job_to_itself(
    call: Call, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        @staticmethod
        def sleep(_: float) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr(follow, "time", Clock)
    ran = call("submit", write(JOB.replace("steps = 5", "steps = 9")))
    assert ran.code == ExitCode.INTERRUPTED
    assert "surefoot: the job goes on; see surefoot status wells-" in ran.err


def test_jobs_of_this_machine_are_not_the_cluster_s(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "local-1"
    folder.mkdir(parents=True)
    (folder / HEADER).write_text("{}", encoding="utf-8")
    line = complaint(call("logs", "local-1"))
    assert line.endswith(f"on this machine ({folder}), not on the cluster")
    line = complaint(call("stop", "local-1"))
    assert line.endswith("nobody is at work on job local-1: it is interrupted")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["submit", "JOB", "--address", "ray://x"], "address 'ray://x' is not valid; write http:"),
        (["submit", "JOB", "--address", "http://u:hush@h:1"], "address 'h:1' is not valid; write"),
        (["submit", "JOB", "--address", "http://h:99999"], "address 'http://h:99999' is not valid"),
        (["submit", "JOB", "--storage", "sqlite:///x"], "storage.url = 'sqlite:///x' is not valid"),
        (["submit", "JOB", "--owner", "a\nb"], "owner 'a\\nb' is not valid: 1 to 64 printable"),
        (["submit", "absent.toml"], "absent.toml: "),
        (["submit"], "Missing argument 'JOB.toml'.; see surefoot submit --help"),
        (["status", "none"], "no job 'none' in postgresql+psycopg://surefoot:***@127.0.0.1:"),
        (["status", "a\udcffb"], "no job 'a\\udcffb' in "),
        (["status", "'; drop table surefoot_job --"], 'no job "\'; drop table surefoot_job --" in'),
        (["logs", "none", "-f"], "no job 'none' in "),
        (["stop", "none"], "no job 'none' in "),
        (["resume", "none"], "no job 'none' in "),
        (["delete", "none"], "no job 'none' in "),
        (["report", "none"], "no job 'none' in "),
        (["coordinate", "none"], "no job 'none' in "),
        (["resume", "held", "--workers", "2"], "job held is on the cluster, which has its own"),
        (["report", "held"], "job held has no results yet; surefoot status held tells"),
        (["keep", "more"], "Got unexpected extra argument (more); see surefoot keep --help"),
    ],
)
def test_bad_use_is_one_line(
    write: Callable[..., str], arguments: list[str], said: str, with_held: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUREFOOT_STORAGE_URL", with_held)
        patch.setenv("RAY_API_SERVER_ADDRESS", ADDRESS)
        job = write(JOB)
        ran = surefoot(Path(job).parent, *(job if word == "JOB" else word for word in arguments))
    line = complaint(ran)
    assert line.startswith(f"surefoot: {said}")
    assert PASSWORD not in line
    assert "hush" not in line


@pytest.mark.parametrize(
    "arguments", [["list"], ["status", "x"], ["logs", "x"], ["stop", "x"], ["delete", "x"],
                  ["report", "x"], ["resume", "x"], ["coordinate", "x"],
                  ["submit", "JOB", "--no-wait"]],
)  # fmt: skip
def test_a_database_that_does_not_answer_is_one_line_and_code_1(
    call: Call, write: Callable[..., str], arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", NOBODY)
    job = write(JOB)
    ran = call(*(job if word == "JOB" else word for word in arguments))
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("surefoot: cannot reach the database postgresql+psycopg://ann:***@")
    assert ran.err.count("\n") == 1


def test_a_ray_that_does_not_answer_is_one_line_and_code_1(
    write: Callable[..., str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real client, and a port at which nobody listens."""
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", url)
    before = len(ClusterJobs(url).entries())
    ran = surefoot(tmp_path, "submit", write(JOB), "--address", "http://127.0.0.1:1")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "surefoot: no Ray cluster answers at http://127.0.0.1:1: check the address (RAY_API_SERVER_"
        "ADDRESS or --address), the tunnel to it, and that the cluster is up\n"
    )
    assert len(ClusterJobs(url).entries()) == before


def test_what_is_not_named_is_asked_for(
    write: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUREFOOT_STORAGE_URL", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    job = write(JOB)
    assert "set SUREFOOT_STORAGE_URL, or storage.url" in complaint(
        surefoot(tmp_path, "submit", job)
    )
    line = complaint(surefoot(tmp_path, "submit", job, "--storage", NOBODY))
    assert line.startswith("surefoot: no cluster is named: give --address http://HOST:8265, or set")
    for command in (["keep"], ["coordinate", "x"], ["list", "--owner", "x"]):
        assert "SUREFOOT_STORAGE_URL" in complaint(surefoot(tmp_path, *command))
    assert complaint(surefoot(tmp_path, "logs", "x")).startswith("surefoot: no job 'x' in ")


def test_the_keeper_says_that_it_is_there_and_ends_quietly(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuning.cluster import supervisor

    def interrupted(_: supervisor.Supervisor) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor.Supervisor, "run", interrupted)
    ran = call("keep")
    said = "the keeper looks after the cluster's jobs; Ctrl-C ends it\n"
    assert (ran.code, ran.out, ran.err) == (0, said, "")
    assert cluster.keep.help is not None


FAILED = "the problem raised in setting 2: OSError: no"


def test_a_failure_is_in_the_status(call: Call, url: str) -> None:
    job = add(ClusterJobs(url), "failing")
    job.write(FAILURE, "the problem raised in setting 2:\nTraceback\nOSError: no\n")
    job.write(MLFLOW_MISSING, "MLflow lacks 3 runs\n")
    facts = json.loads(call("status", "failing", "--json").out)
    assert (facts["state"], facts["failure"]) == ("failed", FAILED)
    assert facts["mlflow"] == "MLflow lacks 3 runs"
    job.write(REPORT, "{}")
    assert "state          done" in call("status", "failing").out
