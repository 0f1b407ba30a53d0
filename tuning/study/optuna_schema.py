"""Optuna's tables in PostgreSQL: made once, checked, opened; their errors as one line.

SQLAlchemy is given connections and never the address, so that no password is in its errors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainers._mask import mask
from tuning.errors import InvalidInput, StudyNotFound
from tuning.storage.postgres import POSTGRES, connect, translate_errors
from tuning.study.log_filter import quiet

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

    from tuning.storage.postgres import Connection

__all__ = ["check_tables", "make_tables", "reading", "translate_optuna_errors", "writing"]

MAKING_TABLES = int.from_bytes(b"surefoot")  # an advisory lock's key


def make_tables(url: str) -> None:
    """Optuna's tables in the database, if it has none; any number of processes may do so at once.

    Raises: see `check_tables`.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    with connect(url) as connection, translate_errors(url):
        connection.execute("SELECT pg_advisory_lock(%s)", [MAKING_TABLES])
        if _revision(connection) is None:
            pool = {"creator": lambda: connect(url, autocommit=False), "poolclass": NullPool}
            with translate_optuna_errors(url):
                RDBStorage(POSTGRES, pool)
    check_tables(url)


def check_tables(url: str) -> None:
    """Optuna's own check writes, and needs two connections at once, which the lease has not.

    Raises:
        StudyNotFound: there are no tables.
        InvalidInput: they are of another version, or this user may not read them.
        Unreachable: the database does not answer.
    """
    import optuna
    from alembic.script import ScriptDirectory

    with connect(url) as connection, translate_errors(url):
        found = _revision(connection)
    if found is None:
        raise StudyNotFound(f"there are no studies in {mask(url)}: check storage.url")
    scripts = ScriptDirectory(Path(optuna.storages.__file__).parent / "_rdb" / "alembic")
    known = [script.revision for script in scripts.walk_revisions()]  # the newest first
    if found not in known:
        raise InvalidInput(
            f"the tables in {mask(url)} are of version {found!r}, which Optuna "
            f"{optuna.__version__} does not know: update Optuna, or give the studies a database "
            "that no other program (MLflow, for one) uses"
        )
    if found != known[0]:
        raise InvalidInput(
            f"the tables in {mask(url)} are of an older Optuna, {found!r}: save them, then run "
            "`optuna storage upgrade --storage URL`"
        )


def writing(creator: Callable[[], Connection]) -> RDBStorage:
    """A storage that has one connection at a time, which is `creator`'s to give, or to refuse when
    the one before has ended."""
    from optuna.storages import RDBStorage

    pool = {"creator": creator, "pool_size": 1, "max_overflow": 0, "pool_pre_ping": True}
    return RDBStorage(POSTGRES, pool, skip_table_creation=True, skip_compatibility_check=True)


def reading(url: str) -> RDBStorage:
    """A storage that cannot write. It holds no connection while it is not used."""
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    def creator() -> Connection:
        connection = connect(url, autocommit=False)
        connection.read_only = True
        return connection

    pool = {"creator": creator, "poolclass": NullPool}
    return RDBStorage(POSTGRES, pool, skip_table_creation=True, skip_compatibility_check=True)


@contextmanager
def translate_optuna_errors(url: str) -> Iterator[None]:
    """Errors of Optuna's storage, which quote the whole statement, as those of `translate_errors`.

    Raises:
        Unreachable, InvalidInput: see there; or the study is not there any more.
    """
    from optuna.exceptions import StorageInternalError
    from optuna.storages._rdb.models import NOT_FOUND_MSG
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with quiet(logging.ERROR):
            yield
        return
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = _cause(error)
        if cause is None:
            raise
    except KeyError as error:
        if error.args != (NOT_FOUND_MSG,):
            raise
        raise StudyNotFound(
            f"the study is not in {mask(url)} any more: it was deleted; choose another one"
        ) from None
    with translate_errors(url):
        raise cause


def _cause(error: BaseException | None) -> BaseException | None:
    """What the driver raised: Optuna's error has SQLAlchemy's as its cause, and that the driver's;
    one that SQLAlchemy raises because of an earlier one has it as its context."""
    while error is not None:
        original = getattr(error, "orig", None)
        if isinstance(original, BaseException):
            return original
        error = error.__cause__ or error.__context__
    return None


def _revision(connection: Connection) -> str | None:
    """The version of the tables, which is written last when they are made; None without any."""
    if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])
