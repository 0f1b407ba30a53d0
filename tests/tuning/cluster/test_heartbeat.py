"""What a coordinator sees of the other jobs, and that it hears when its own shall end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.support.fake_cluster import add
from tests.support.postgres_server import Postgres
from trainers import InvalidInput
from tuning.cluster import heartbeat as heartbeat_module
from tuning.cluster.heartbeat import Heartbeat
from tuning.execution.fair_share import Company
from tuning.jobs.cluster import ClusterJob
from tuning.jobs.files import PRIORITY
from tuning.storage.postgres_lease import PostgresLease


def test_the_heartbeat_counts_jobs_at_work_and_sees_a_stop(
    job: ClusterJob, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(
        heartbeat_module, "time", SimpleNamespace(monotonic=lambda: now.seconds + 1000)
    )
    heartbeat, url = Heartbeat(job), job.database.url
    add(job.database, "waits")
    add(job.database, "works")
    for name, priority in (("urgent", b"7"), ("patient", b"-7")):
        add(job.database, name)
        job.database.job(name).write(PRIORITY, priority)

    def felt() -> Company:
        now.seconds += 2
        heartbeat.check()
        return heartbeat.company

    with PostgresLease(url, "job"):
        assert felt() == Company(1)
        with PostgresLease(url, "works"), PostgresLease(url, "no job of ours"):
            assert heartbeat.company == Company(1)
            heartbeat.check()
            assert heartbeat.company == Company(1)  # not before its time
            assert felt() == Company(2)
            postgres.stop()
            try:
                assert felt() == Company(2)  # the last that it knew
            finally:
                postgres.start()
        with PostgresLease(url, "patient"):
            assert felt() == Company(1)
            with PostgresLease(url, "works"), PostgresLease(url, "urgent"):
                assert felt() == Company(2, outranked=True)
        assert felt() == Company(1)
    ClusterJob(job.database, "works").want("stop")
    assert felt() == Company(1)
    job.want("stop")
    with pytest.raises(KeyboardInterrupt):
        felt()


def test_the_heartbeat_of_a_job_that_is_complete(job: ClusterJob) -> None:
    job.completed()
    Heartbeat(job).check()  # it is not stopped for that
    job.want("stop")
    with pytest.raises(KeyboardInterrupt):
        Heartbeat(job).check()


def test_the_heartbeat_of_a_job_that_was_deleted(job: ClusterJob) -> None:
    heartbeat = Heartbeat(job)
    job.erase()
    with pytest.raises(KeyboardInterrupt):
        heartbeat.check()


def test_a_password_that_is_being_changed_stops_no_job(
    job: ClusterJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeat = Heartbeat(job)
    monkeypatch.setattr(job.database, "url", job.database.url.replace(":s3cret", ":other-s3cret"))
    with pytest.raises(InvalidInput, match="authentication failed"):
        job.database.entries()
    heartbeat.check()
    assert heartbeat.company == Company(1)
