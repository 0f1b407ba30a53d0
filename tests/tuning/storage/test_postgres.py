"""Addresses that cannot work cost nothing; a database that is away is told from one that refuses;
and nothing that is shown holds a password."""

from __future__ import annotations

import socket
import sys
import time

import psycopg
import pytest

from tests.support.postgres_server import PASSWORD, Postgres
from trainers._mask import mask
from trainers.errors import InvalidInput
from tuning.errors import Unreachable
from tuning.storage.postgres import check, connect, translate_errors
from tuning.study import StudyStore

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://h/d", r"is not valid: use .*postgresql\+psycopg://user@host:5432/database"),
        ("postgresql+psycopg2://u:hunter2@h/d", "is not valid: use"),
        ("postgresql+psycopg://u:hunter2@h", "names no database: end it with /database"),
        ("postgresql+psycopg://u:hunter2@h/", "names no database"),
        ("postgresql+psycopg://u:hunter2@h:x/d", "its port must be a number from 1 to 65535"),
        ("postgresql+psycopg://u:hunter2@h:70000/d", "its port must be"),
        ("postgresql+psycopg://u:hunter2@h:0/d", "its port must be"),
        ("postgresql+psycopg://u:hunter2/d", "its port must be"),
        ("postgresql+psycopg://u:hunter2@h/d?colour=blue", "not an address that libpq can read"),
        ("postgresql+psycopg://h/d?password=hunter2&x", "not an address that libpq can read"),
        ("postgresql+psycopg://u:hunter2@[::1/d", "not an address that libpq can read"),
        ("postgresql+psycopg://u:hun%ter2hunter2@h/d", "a % must be written as %25"),
        ("postgresql+psycopg://u:hunter2%00@h/d", "%00 cannot be part of it"),
        ("postgresql+psycopg://u:p@hunter2@h/d", "are written %40 %2F %3A %3F"),
        ("postgresql+psycopg://u:p/hunter2@h/d", "are written %40 %2F %3A %3F"),
        ("postgresql+psycopg://u:p?a@hunter2@h/d", "are written %40 %2F %3A %3F"),
    ],
)
def test_an_address_that_cannot_work_is_one_line(url: str, message: str) -> None:
    for refusing in (check, connect, StudyStore.check):
        with pytest.raises(InvalidInput, match=message) as refused:
            refusing(url)
        said = str(refused.value)
        assert said.startswith("storage.url = 'postgresql")
        assert "\n" not in said
        assert SECRET not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u@h/d",
        "postgresql+psycopg://u:p%40%2F%3A@h:5432/d?sslmode=require",
        "postgresql+psycopg:///d?host=/run/postgresql",
        "postgresql+psycopg://u@[::1]:5432/d",
        "postgresql+psycopg://u@one:5432,two:5433/d",
        "postgresql+psycopg://h?dbname=d",
        "postgresql+psycopg://?service=surefoot",
    ],
)
def test_every_address_that_libpq_knows_is_taken(url: str) -> None:
    check(url)
    StudyStore.check(url)
    assert mask(url) == url.replace("p%40%2F%3A", "***")


def test_without_the_driver_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InvalidInput, match=r"psycopg .*: pip install 'surefoot\[postgres\]'"):
        check("postgresql+psycopg://u@h/d")


def test_a_connection_speaks_utf8_and_says_who_it_is(postgres: Postgres) -> None:
    ascii_only = postgres.new_database(
        "ascii", "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
    )
    with connect(f"{ascii_only}?application_name=other", application="surefoot 1@é") as connection:
        found = connection.execute("SELECT 'é', current_setting('application_name')").fetchone()
    assert found is not None
    assert found[0] == "é"
    assert found[1].startswith("surefoot 1@")


def test_the_password_may_be_libpqs_own(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.url.replace(f":{PASSWORD}", "")
    with pytest.raises(InvalidInput, match="no password supplied"):
        connect(url)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    connect(url).close()


def test_what_will_not_pass_is_told_from_what_may(postgres: Postgres) -> None:
    for url, message in [
        (postgres.url_of("surefoot", password="hunter2"), "password authentication failed"),
        (postgres.url_of("surefoot", user="nobody"), "password authentication failed"),
        (postgres.url_of("none"), 'database "none" does not exist'),
        (f"{postgres.url}?connect_timeout=soon", "soon"),
        (f"{postgres.url}?sslmode=perhaps", "perhaps"),
        (f"{postgres.url}?sslmode=require", "does not support SSL"),
    ]:
        with pytest.raises(InvalidInput, match=message) as refused:
            connect(url)
        no_secret_in(refused.value)
    with socket.socket() as bound:  # and listens to nobody
        bound.bind(("127.0.0.1", 0))
        away = postgres.url.replace(f":{postgres.port}/", f":{bound.getsockname()[1]}/")
        with pytest.raises(Unreachable) as failed:
            connect(away)
    assert str(failed.value).startswith(f"cannot reach the database {mask(away)}: connection to")
    assert str(failed.value).endswith(
        "Connection refused; start it or wait for it, "
        "or correct SUREFOOT_STORAGE_URL or storage.url"
    )
    no_secret_in(failed.value)
    with pytest.raises(Unreachable, match=r"host 'no-such-host\.invalid'"):
        connect("postgresql+psycopg://u@no-such-host.invalid/d")


def no_secret_in(error: BaseException) -> None:
    """Nor in what Python would print of it: the errors that it hides are not printed."""
    assert "\n" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert SECRET not in f"{error!r}"
    assert PASSWORD not in f"{error!r}"


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://u@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=2"
        start = time.monotonic()
        with pytest.raises(Unreachable, match="timeout expired"):
            connect(url)
        assert 1 < time.monotonic() - start < 5


def test_a_vanished_server_is_noticed_by_the_sockets_own_timers(postgres: Postgres) -> None:
    with connect(postgres.url) as connection:
        with socket.socket(fileno=socket.dup(connection.fileno())) as ours:
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            idle, interval, count = (
                ours.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
        assert idle + interval * count == 20


def test_errors_of_a_connection_are_translated(postgres: Postgres) -> None:
    connection = connect(postgres.url)
    postgres.execute(f"SELECT pg_terminate_backend({connection.info.backend_pid})")
    for _ in range(2):  # the connection that was lost, and its use after that
        with pytest.raises(Unreachable) as lost, translate_errors(postgres.url):
            connection.execute("SELECT 1")
        no_secret_in(lost.value)
    postgres.execute("CREATE ROLE reader LOGIN PASSWORD 'hunter2'")
    postgres.execute("CREATE TABLE secrets ()")
    with connect(postgres.url_of("surefoot", "reader", "hunter2")) as reader:
        with pytest.raises(InvalidInput, match="permission denied"), translate_errors(postgres.url):
            reader.execute("SELECT FROM secrets")
        with pytest.raises(psycopg.errors.SyntaxError), translate_errors(postgres.url):
            reader.execute("SELECTED")
