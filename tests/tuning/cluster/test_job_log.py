"""What a coordinator says is kept, in order and whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from rich.console import Console

from tests.support.fake_cluster import until
from tests.support.postgres_server import Postgres
from tuning.cluster import job_log as module
from tuning.cluster.job_log import JobLog
from tuning.jobs.cluster import ClusterJob


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The last words take no ten seconds."""
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.3)
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.1)
    yield
    until(lambda: all(thread.name != "job-log" for thread in threading.enumerate()))


def texts(job: ClusterJob) -> list[str]:
    return [line.text for line in job.lines()]


def test_lines_are_printed_and_kept_in_order(
    job: ClusterJob, capsys: pytest.CaptureFixture[str]
) -> None:
    with JobLog(job) as job_log:
        for number in range(300):
            job_log.say(f"line {number}")
        job_log.say("two\nlines")
        job_log.write("written ")
        job_log.write("in pieces\nand the end")
        Console(file=job_log, width=40, highlight=False).print("a ✓ [b]console[/b]")  # type: ignore[arg-type]
        job_log.write("without newline")
    wanted = [
        *(f"line {number}" for number in range(300)),
        "two", "lines", "written in pieces", "and the enda ✓ console", "without newline",
    ]  # fmt: skip
    assert texts(job) == wanted
    assert capsys.readouterr().out == "\n".join(wanted) + "\n"
    numbers = [line.number for line in job.lines()]
    assert numbers == sorted(set(numbers))
    assert job.lines(numbers[-3])[0].text == "and the enda ✓ console"


def test_whatever_is_said_can_be_kept(job: ClusterJob) -> None:
    with JobLog(job) as job_log:
        job_log.say("a\0b")
        job_log.write("c\udcffd\n")  # a byte of a path that was no UTF-8
        job_log.say("x" * 3_000_000)
        job_log.say("' -- %s {} $1")
    assert texts(job) == ["ab", "c?d", "x" * 3_000_000, "' -- %s {} $1"]


def test_nothing_is_lost_while_the_database_is_away(job: ClusterJob, postgres: Postgres) -> None:
    with JobLog(job) as job_log, ExitStack() as stack:
        job_log.say("before")
        until(lambda: texts(job) == ["before"])
        postgres.stop("immediate")
        stack.callback(postgres.start)
        for number in range(50):
            job_log.say(f"while {number}")
            time.sleep(0.002)
        stack.close()
        job_log.say("after")
    assert texts(job) == ["before", *(f"while {number}" for number in range(50)), "after"]


@pytest.mark.usefixtures("soon")
def test_it_leaves_though_the_database_stays_away(job: ClusterJob, postgres: Postgres) -> None:
    postgres.stop()
    try:
        with JobLog(job) as job_log:
            job_log.say("lost")
            begin = time.monotonic()
        assert time.monotonic() - begin < 5
    finally:
        postgres.start()
    assert texts(job) == []


@pytest.mark.usefixtures("soon")
def test_the_log_of_a_job_that_was_deleted(job: ClusterJob) -> None:
    with JobLog(job) as job_log:
        job_log.say("said")
        until(lambda: texts(job) == ["said"])
        job.erase()
        job_log.say("too late")
    assert texts(job) == []


def test_an_error_that_nobody_expects_is_in_the_log(job: ClusterJob) -> None:
    def work() -> None:
        with JobLog(job) as job_log:
            job_log.say("so far so good")
            raise ZeroDivisionError("of all things")

    with pytest.raises(ZeroDivisionError):
        work()
    kept = texts(job)
    assert kept[:2] == ["so far so good", "Traceback (most recent call last):"]
    assert kept[-1] == "ZeroDivisionError: of all things"


def test_who_reads_on_misses_no_line_of_two_writers(job: ClusterJob) -> None:
    """A number is given out before its line can be seen."""
    seen = list[str]()
    with job.database.session() as session:
        session.execute("select id from surefoot_job where id = 'job' for no key update")
        session.execute("insert into surefoot_line (job, text) values ('job', 'slow')")
        other = threading.Thread(target=job.say, args=("fast",))
        other.start()
        other.join(0.3)
        seen += texts(job)
    other.join()
    assert seen == []
    assert texts(job) == ["slow", "fast"]
