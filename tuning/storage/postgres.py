"""Where a PostgreSQL database is, and connecting to it: the only module that imports psycopg."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from trainers._mask import mask
from tuning.errors import InvalidInput, Unreachable

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

    Connection: TypeAlias = psycopg.Connection[TupleRow]

__all__ = ["POSTGRES", "Unreachable", "check", "connect", "translate_errors"]

POSTGRES = "postgresql+psycopg://"

# A server that vanished (no answer, not even a refusal) is noticed in about 20 seconds, whether
# bytes are on their way to it (the user timeout) or not (keepalives: 10 + 2 * 5).
KEEPALIVES = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
}
# libpq has no codes for what ends a connection before it begins: the server's words are all there
# is. Words that are not known, as from a server that speaks another language, count as passing.
PERMANENT = re.compile(
    r"authentication failed|no password supplied|password retrieved from file"
    r"|(?:role|database) .* does not exist|no pg_hba\.conf entry|not permitted to log in"
    r"|permission denied|not currently accepting connections|does not support SSL"
    r"|invalid (?:port number|integer value|\w+ value)|certificate"
)
# Insufficient privilege; a read-only transaction, as in a standby.
REFUSALS = ("42501", "25006")


def check(url: str) -> None:
    """Raises InvalidInput, in one line, for a `url` that cannot work. Nothing is opened."""
    _parameters(url)


def connect(url: str, *, application: str = "surefoot", autocommit: bool = True) -> Connection:
    """A connection to the database at `url`; `application` is what its administrator sees.

    The password is the URL's, or what libpq finds in PGPASSWORD, PGPASSFILE or ~/.pgpass.

    Raises:
        InvalidInput: a wrong address, or the server refuses: the password, the user, the database.
        Unreachable: no server there, it does not answer, it is starting or shutting down.
    """
    parameters = _parameters(url)
    import psycopg
    from psycopg.conninfo import make_conninfo

    # The names of applications say who holds a lease; and a database of encoding SQL_ASCII would
    # answer in bytes.
    ours = {"application_name": application, "client_encoding": "utf8"}
    try:
        return psycopg.connect(
            make_conninfo("", **(KEEPALIVES | parameters | ours)), autocommit=autocommit
        )
    except psycopg.Error as error:
        reason = _reason(error)
        permanent = isinstance(error, psycopg.ProgrammingError) or PERMANENT.search(reason)
    # Outside of the handler: the chained error's traceback would show the connection's settings.
    if permanent:
        raise InvalidInput(
            f"the database {mask(url)} refuses: {reason}; correct SUREFOOT_STORAGE_URL or "
            "storage.url, or the password (PGPASSFILE)"
        )
    raise Unreachable(url, reason)


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Errors of a connection to `url` as one line.

    Raises:
        Unreachable: the connection was lost, or the server is out of something (disk, memory).
        InvalidInput: the user may not do this.
    """
    import psycopg

    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise Unreachable(url, _reason(error)) from None
    except psycopg.Error as error:
        if error.sqlstate not in REFUSALS:
            raise
        raise InvalidInput(
            f"the database {mask(url)} refuses: {_reason(error)}; grant it, or "
            "correct SUREFOOT_STORAGE_URL or storage.url"
        ) from None


def _reason(error: BaseException) -> str:
    """What libpq says, as one line: what follows the first is advice."""
    said = re.sub(r"^connection (failed|is bad): ", "", str(error).strip())
    return " ".join(said.partition("\n")[0].split()) or type(error).__name__


def _parameters(url: str) -> dict[str, str]:
    """libpq's parameters, for it is libpq that reads the address. No error repeats a password."""
    where = f"storage.url = {mask(url)!r}"
    if not url.startswith(POSTGRES):
        raise InvalidInput(f"{where} is not valid: use {POSTGRES}user@host:5432/database")
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00", url) or "\0" in url:
        raise InvalidInput(f"{where}: a % must be written as %25, and %00 cannot be part of it")
    # For libpq the user's name and password end at the first "@", unless a "/" is before it.
    place = re.sub(r"^[^@/]*@", "", url.removeprefix(POSTGRES)).partition("?")[0]
    if "@" in place:  # then it has a part of the password, which errors would show
        raise InvalidInput(f"{where}: @ / : ? in a name or password are written %40 %2F %3A %3F")
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise InvalidInput(
            f"{where} needs the driver psycopg ({error}): pip install 'surefoot[postgres]'"
        ) from error
    try:
        found = conninfo_to_dict("postgresql://" + url.removeprefix(POSTGRES))
    except ProgrammingError:
        found = None  # its text may hold a part of the password
    if found is None:
        raise InvalidInput(
            f"{where} is not an address that libpq can read: use "
            f"{POSTGRES}user:password@host:5432/database?parameter=value, with @ / : ? in names "
            "and passwords written as %40 %2F %3A %3F"
        )
    parameters = {name: str(value) for name, value in found.items()}
    if not parameters.get("dbname") and "service" not in parameters:
        raise InvalidInput(f"{where} names no database: end it with /database")
    for port in filter(None, parameters.get("port", "").split(",")):
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InvalidInput(f"{where}: its port must be a number from 1 to 65535")
    return parameters
