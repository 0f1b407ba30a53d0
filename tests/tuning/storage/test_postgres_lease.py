"""One holder at a time in PostgreSQL, whoever dies and however; who it is can be asked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.network_proxy import Proxy
from tests.support.postgres_server import Postgres
from trainers._mask import mask
from tuning.errors import LeaseHeld, Unreachable
from tuning.storage.file_lease import Holder
from tuning.storage.postgres import connect, translate_errors
from tuning.storage.postgres_lease import PostgresLease, held, holder

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import sys, time
from tuning.storage.postgres_lease import PostgresLease
with PostgresLease(sys.argv[1], "job"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url


@pytest.fixture
def other(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lease "job"."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def test_it_is_held_in_the_block_and_free_after_it(url: str) -> None:
    assert holder(url, "job") is None
    with PostgresLease(url, "job"):
        now = holder(url, "job")
    assert holder(url, "job") is None
    assert now is not None
    assert (now.pid, now.host) == (os.getpid(), socket.gethostname())
    assert (
        timedelta()
        <= datetime.now(UTC) - datetime.fromisoformat(now.since) + timedelta(seconds=1)
        < timedelta(minutes=1)
    )


def test_a_second_one_is_refused_also_in_this_process(url: str) -> None:
    with PostgresLease(url, "it's") as lease:
        with pytest.raises(LeaseHeld) as refused, PostgresLease(url, "it's"):
            pass
        with pytest.raises(LeaseHeld), lease:
            pass
        now = holder(url, "it's")
        # The refusals released nothing; and other names are free.
        assert refused.value.holder == now is not None
        with PostgresLease(url, "its"):
            pass
    assert str(refused.value) == (
        f'the lease of study "it\'s" in {mask(url)} is held by {now}: '
        "wait until it ends, or stop it"
    )
    with pytest.raises(RuntimeError, match="outside its with-block"):
        lease.session()


def test_the_death_of_the_holder_frees_it(url: str, other: subprocess.Popen[str]) -> None:
    held_by = holder(url, "job")
    assert held_by is not None
    assert held_by.pid == other.pid
    with (
        pytest.raises(LeaseHeld, match=f"held by process {other.pid} on"),
        PostgresLease(url, "job"),
    ):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait()
    with PostgresLease(url, "job"):
        assert holder(url, "job") != held_by


@pytest.mark.usefixtures("other")
def test_one_query_tells_the_holders_of_all_names(url: str) -> None:
    with PostgresLease(url, "mine"):
        who = held(url)
        mine, others = who("mine"), who("job")
        assert mine is not None
        assert others is not None
        assert mine.pid == os.getpid() != others.pid
        assert who("x") is None


def test_locks_of_other_programs_and_databases_are_not_leases(postgres: Postgres) -> None:
    elsewhere = postgres.new_database("elsewhere")
    with PostgresLease(elsewhere, "job"), connect(postgres.url) as connection:
        assert holder(postgres.url, "job") is None
        # Two keys of 32 bits are not one of 64.
        high, low = 0x1234, 0x5678
        connection.execute(f"SELECT pg_advisory_lock({high}, {low})")
        assert holder(postgres.url, "job") is None
        with PostgresLease(postgres.url, "job"):
            assert holder(postgres.url, "job") is not None


def test_a_holder_of_unknown_kind_is_shown_as_the_server_knows_it(url: str) -> None:
    with PostgresLease(url, "job") as lease:
        lease.session().execute("SET application_name = 'psql'")
        backend = lease.session().info.backend_pid
        now = holder(url, "job")
    assert now is not None
    assert now == Holder(backend, "the database's server", now.since)


def test_a_lost_session_is_taken_up_again_if_nobody_else_did(postgres: Postgres) -> None:
    with PostgresLease(postgres.url, "job") as lease:
        first = lease.session()
        assert lease.session() is first
        postgres.restart()
        with pytest.raises(Unreachable), translate_errors(postgres.url):
            first.execute("SELECT 1")
        assert lease.session() is not first
        assert holder(postgres.url, "job") is not None


def test_the_session_that_a_cut_network_left_at_the_server_is_ended(postgres: Postgres) -> None:
    with (
        Proxy(postgres.port) as proxy,
        PostgresLease(proxy.through(postgres.url), "job") as lease,
    ):
        first = lease.session()
        backend = first.info.backend_pid
        proxy.cut()
        with pytest.raises(Unreachable), translate_errors(postgres.url):
            first.execute("SELECT 1")
        # The server has not noticed: who else asks is refused.
        with pytest.raises(LeaseHeld), PostgresLease(postgres.url, "job"):
            pass
        assert lease.session().info.backend_pid != backend
        with pytest.raises(LeaseHeld), PostgresLease(postgres.url, "job"):
            pass


def test_a_holder_that_vanished_is_noticed_by_the_server(url: str) -> None:
    with PostgresLease(url, "job") as lease:
        settings = lease.session().execute(
            "SELECT name, setting FROM pg_settings WHERE name ~ '^tcp_'"
        )
        found: dict[str, str] = dict(settings.fetchall())
    assert found == {
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "2",
        "tcp_user_timeout": "20000",
    }
