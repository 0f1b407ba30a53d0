"""The cluster's jobs in PostgreSQL: rows, files, lines, states, and who may do what."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread

import pytest

from tests.support.fake_cluster import ADDRESS, add, emptied, new_url, tell
from tests.support.postgres_server import Postgres
from trainers import InvalidInput
from tuning.cluster.launch import submission_of
from tuning.errors import LeaseHeld
from tuning.jobs.base import Job, State
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import FAILURE, HEADER, REPORT
from tuning.jobs.local import LocalJob
from tuning.jobs.schema import Entry
from tuning.spec.job import read_spec
from tuning.storage.file_lease import Holder
from tuning.storage.postgres_lease import PostgresLease
from tuning.study.counts import counts


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return new_url(postgres)


@pytest.fixture
def database(url: str) -> Iterator[ClusterJobs]:
    with emptied(ClusterJobs(url)) as database:
        yield database


def test_an_empty_database(postgres: Postgres) -> None:
    database = ClusterJobs(new_url(postgres))
    assert database.entries() == []
    assert database.find("job") is None
    with pytest.raises(InvalidInput, match=r"^no job 'job' in .*; no job has been submitted yet$"):
        database.job("job")


def test_the_tables_are_made_once_by_however_many(postgres: Postgres) -> None:
    database = ClusterJobs(new_url(postgres))
    barrier, made = Barrier(6), list[bool]()

    def adding() -> None:
        barrier.wait(20)
        made.append(database.add("job", "ann", ADDRESS, 2, {"a": b"1"}))

    threads = [Thread(target=adding) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 5 + [True]
    assert [entry.id for entry in database.entries()] == ["job"]


def test_files_are_there_whole_or_not_at_all(database: ClusterJobs) -> None:
    job = add(database)
    assert job.read("a/b.txt") is None
    for content in ("é", bytes(range(256)) * 4000, b""):
        job.write("a/b.txt", content)
        raw = content if isinstance(content, bytes) else content.encode()
        assert job.read_bytes("a/b.txt") == raw
    job.remove("a/b.txt")
    job.remove("a/b.txt")
    assert job.read_bytes("a/b.txt") is None


def test_entries_are_found_by_owner_and_id(database: ClusterJobs) -> None:
    odd = "'; delete from surefoot_job; --"
    for job_id, owner in (("a", "ann"), ("b", "bob"), (odd, odd), ("%s", "ann")):
        add(database, job_id, owner)
    assert [entry.id for entry in database.entries()] == ["a", "b", odd, "%s"]
    assert [entry.id for entry in database.entries(owner="ann")] == ["a", "%s"]
    assert [entry.id for entry in database.entries(owner=odd)] == [odd]
    assert [entry.id for entry in database.entries(job_id=odd)] == [odd]
    for unknown in ("", "c", "' or '1'='1", "a\0b", "\udcff", "%"):
        assert database.entries(owner=unknown) == []
        assert database.find(unknown) is None
        with pytest.raises(InvalidInput, match=r"^no job "):
            database.job(unknown)


def test_a_submission_s_name_is_the_same_in_every_time_zone(
    database: ClusterJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, found = add(database), set[str]()
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        monkeypatch.setenv("PGTZ", zone)
        found.add(submission_of(job.entry))
    assert len(found) == 1


def test_delete_takes_all_of_it_unless_somebody_is_at_work(database: ClusterJobs) -> None:
    job, other = add(database), add(database, "other")
    for each in (job, other):
        each.say("a line")
        tell(each, 0, 1)
    assert (job.told, other.told) == (2, 2)
    with PostgresLease(database.url, "job"), pytest.raises(LeaseHeld):
        job.erase()
    assert (job.told, len(job.lines())) == (2, 1)
    job.erase()
    assert counts(database.url) == {"other": 2}
    assert (job.lines(), job.read_bytes(HEADER)) == ([], None)
    assert [entry.id for entry in database.entries()] == ["other"]
    # Nothing of it is found by a job of the same name.
    again = add(database)
    assert (again.told, again.lines(), again.state) == (0, [], State.WAITING)
    again.erase()  # one whose study nobody has made


def test_a_coordinator_that_comes_after_delete_leaves_nothing(database: ClusterJobs) -> None:
    job = add(database)
    tell(job, 0)
    job.erase()
    job.write(FAILURE, "why")
    job.want("run")
    job.completed()
    with pytest.raises(InvalidInput, match=r"^job job has been deleted$"), job.writing():
        pytest.fail("it works on nothing")
    assert (job.read(FAILURE), counts(database.url)) == (None, {})


def test_a_folder_stays_while_somebody_is_at_work_on_its_study(url: str, tmp_path: Path) -> None:
    job = LocalJob(tmp_path / "elsewhere-1")
    spec = read_spec({"problem": {"name": "xor"}, "storage": {"url": url}})
    header = {"spec": spec.model_dump(mode="json"), "problem": {}, "created": "", "folder": ""}
    job.write(HEADER, json.dumps(header))
    with PostgresLease(url, job.id), pytest.raises(LeaseHeld):
        job.erase()
    assert job.read(HEADER)
    job.erase()  # one whose study nobody has made
    assert not job.folder.exists()


HOLDER = Holder(1, "host", "today")


@pytest.mark.parametrize(
    ("reported", "holder", "failed", "wanted"),
    list(itertools.product([False, True], [None, HOLDER], [False, True], ["run", "stop"])),
)
def test_states(reported: bool, holder: Holder | None, failed: bool, wanted: str) -> None:
    entry = Entry(
        "job", "ann", datetime.now(UTC), ADDRESS, 2, wanted, 1, 3.0, 0, 0,
        complete=False, reported=reported, failed=failed,
    )  # fmt: skip
    if reported:
        expected = State.DONE
    elif holder:
        expected = State.RUNNING
    elif failed:
        expected = State.FAILED
    else:
        expected = State.STOPPED if wanted == "stop" else State.WAITING
    assert replace(entry, holder=holder).state is expected


def _nothing(job: Job) -> None:
    """As it was made."""


def _fail(job: Job) -> None:
    job.write(FAILURE, "why")


def _report(job: Job) -> None:
    job.write(REPORT, "{}")


@pytest.mark.parametrize(
    "happened", [[_nothing], [_fail], [_report], [_fail, _report], [_report, _fail]]
)
@pytest.mark.parametrize("held", [False, True])
def test_a_state_is_the_same_here_and_there(
    database: ClusterJobs, tmp_path: Path, happened: list[Callable[[Job], None]], held: bool
) -> None:
    """But that one at work whose report is there is done on the cluster: what is left is MLflow's,
    which nobody waits for there."""
    here, there = LocalJob(tmp_path / "job"), add(database)
    here.folder.mkdir()
    for event in happened:
        event(here)
        event(there)
    if not held:
        interrupted = {State.INTERRUPTED: State.WAITING}
        assert there.state is interrupted.get(here.state, here.state)
        return
    with here.lease, PostgresLease(database.url, "job"):
        assert here.state is State.RUNNING
        assert there.state is (State.DONE if _report in happened else State.RUNNING)
        assert there.holder is not None


def test_a_job_that_ends_is_never_seen_without_coordinator_and_report(
    database: ClusterJobs,
) -> None:
    """It would be taken for stopped, or for one whose coordinator died."""
    job = add(database)
    job.want("stop")
    seen, over = set[State](), list[bool]()

    def watch() -> None:
        while not over:
            seen.add(job.state)

    watcher = Thread(target=watch)
    with PostgresLease(database.url, "job"):
        watcher.start()
        while not seen:
            pass
        job.write(REPORT, "{}")
    over.append(True)
    watcher.join()
    assert seen <= {State.RUNNING, State.DONE}


def test_a_reader_may_look_and_no_more(database: ClusterJobs, postgres: Postgres) -> None:
    job = add(database)
    tell(job, 0)
    name = database.url.rpartition("/")[2]
    for statement in (
        "create role looker login password 'looks'",
        "grant usage on schema public to looker",
        "grant select on all tables in schema public to looker",
    ):
        postgres.execute(statement, name)
    try:
        reader = ClusterJobs(postgres.url_of(name, "looker", "looks"))
        with PostgresLease(database.url, "job"):
            [entry] = reader.entries()
            assert entry.state is State.RUNNING
        mine = ClusterJob(reader, "job")
        assert (mine.told, mine.state, mine.lines()) == (1, State.WAITING, [])
        assert len(mine.study().records()) == 1
        refused = [
            lambda: reader.add("x", "ann", ADDRESS, 1, {}),
            lambda: mine.write(FAILURE, "x"),
            lambda: mine.remove(HEADER),
            lambda: mine.say("x"),
            lambda: mine.want("stop"),
            lambda: mine.claim(0),
            mine.completed,
            mine.erase,
        ]
        for call in refused:
            with pytest.raises(
                InvalidInput, match=r"refuses: permission denied for table .* grant"
            ):
                call()
        assert (job.told, job.entry.attempt, job.entry.wanted) == (1, 0, "run")
    finally:
        postgres.execute("drop owned by looker", name)
        postgres.execute("drop role looker", name)
