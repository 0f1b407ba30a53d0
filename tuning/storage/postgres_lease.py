"""One coordinator per study in PostgreSQL: a lease that is a session, and dies with it.

The lock is a session-level advisory lock: the server releases it when the session ends, however
that happens, and no clock is asked. Whoever writes through the session that holds the lock cannot
write after another has taken it: that is the whole of the fencing, and why the study is written
through `PostgresLease.session` and nothing else.

The server must be reached directly, or through a pooler in session mode: one in transaction mode
(pgbouncer's) has no sessions to lock with.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from trainers._mask import mask
from tuning.errors import LeaseHeld, LeaseLost
from tuning.storage.file_lease import Holder
from tuning.storage.postgres import connect, translate_errors

if TYPE_CHECKING:
    from tuning.storage.postgres import Connection

__all__ = ["LeaseLost", "PostgresLease", "held", "holder"]

# The server takes some milliseconds to see that a killed holder's connection is gone.
ATTEMPTS = 10
PAUSE_SECONDS = 0.05
# What the server does about a holder that vanished from the network; its own defaults are hours.
KEEPALIVES = """
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2;
    SET tcp_user_timeout = 20000
"""
# A key of 64 bits is shown in two halves, and objsubid 1 says so.
HOLDERS = """
    SELECT (l.classid::bigint << 32) | l.objid::bigint, a.pid, a.application_name, a.backend_start
    FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
APPLICATION = re.compile(r"surefoot (\d+)@(.+)")


class PostgresLease:
    """`with PostgresLease(url, name): ...` is exclusive among all who can reach the database.

    For one thread at a time.

    Raises (on entering):
        LeaseHeld: another holds it.
        Unreachable, InvalidInput: see `tuning.storage.postgres.connect`.
    """

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self._connection: Connection | None = None
        # The server's process id and start of the session that had the lock last.
        self._identity: list[object] = []

    def __enter__(self) -> Self:
        if self._connection is not None:
            raise LeaseHeld(_place(self.url, self.name), holder(self.url, self.name))
        self._connection = self._locked()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def session(self) -> Connection:
        """The connection that holds the lock: the same as before unless that one was lost, in
        which case a new one takes the lock again. It belongs to the lease: not to be closed.

        Raises:
            LeaseHeld: another took it over.
            Unreachable, InvalidInput: see `tuning.storage.postgres.connect`.
        """
        if self._connection is None:
            raise RuntimeError(f"the lease of study {self.name!r} is used outside its with-block")
        if self._connection.closed:
            self._connection = self._locked()
        return self._connection

    def _locked(self) -> Connection:
        """A new connection that has the lock."""
        application = f"surefoot {os.getpid()}@{socket.gethostname()}"
        connection = connect(self.url, application=application)
        with ExitStack() as undo, translate_errors(self.url):
            undo.callback(connection.close)
            connection.execute(KEEPALIVES)
            for attempt in range(ATTEMPTS):
                time.sleep(PAUSE_SECONDS if attempt else 0)
                if self._try(connection):
                    connection.autocommit = False  # as SQLAlchemy expects it
                    undo.pop_all()
                    return connection
            raise LeaseHeld(_place(self.url, self.name), holder(self.url, self.name))

    def _try(self, connection: Connection) -> bool:
        [(taken, *identity)] = connection.execute(
            "SELECT pg_try_advisory_lock(%s), pid, backend_start FROM pg_stat_activity "
            "WHERE pid = pg_backend_pid()",
            [_key(self.name)],
        )
        if taken:
            self._identity = identity
        elif self._identity:
            # When the network was cut, the server may still keep the session that we lost.
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid = %s AND backend_start = %s",
                self._identity,
            )
        return bool(taken)


def held(url: str) -> Callable[[str], Holder | None]:
    """Who holds what now, in one query: the answer gives the holder of a name, None if it is free.

    Raises:
        Unreachable, InvalidInput: see `tuning.storage.postgres.connect`.
    """
    with connect(url) as connection, translate_errors(url):
        rows = connection.execute(HOLDERS).fetchall()
    holders = {key: _holder(pid, application, since) for key, pid, application, since in rows}
    return lambda name: holders.get(_key(name))


def holder(url: str, name: str) -> Holder | None:
    """Who holds the lease of `name` now; None when nobody does. It is not taken.

    Raises:
        Unreachable, InvalidInput: see `tuning.storage.postgres.connect`.
    """
    return held(url)(name)


def _key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _holder(backend: int, application: str | None, since: datetime | None) -> Holder:
    found = APPLICATION.fullmatch(application or "")
    # Another program may have the same key; and not every user is shown when others came.
    pid, host = (int(found[1]), found[2]) if found else (backend, "the database's server")
    return Holder(
        pid, host, since.astimezone(UTC).isoformat(timespec="seconds") if since else "some time ago"
    )


def _place(url: str, name: str) -> str:
    return f"of study {name!r} in {mask(url)}"
