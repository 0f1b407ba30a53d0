"""A study in PostgreSQL: one trial, one transaction, through the session that holds the lease.

Optuna's storage repeats a failed transaction by itself, on a new connection if it gets one: after
a commit whose answer was lost that would add the trial twice, or to a study that another
coordinator has carried on. So a new connection is given to it (`_Session`) only before the trials
are counted, and never between that and the write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING

from trainers._mask import mask
from trainers.errors import InvalidInput
from tuning.errors import LeaseLost, Unreachable
from tuning.storage.postgres import translate_errors
from tuning.storage.postgres_lease import PostgresLease
from tuning.study.optuna_schema import (
    check_tables,
    make_tables,
    reading,
    translate_optuna_errors,
    writing,
)
from tuning.study.trials import TrialRecord, to_record, to_trial

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from tuning.storage.postgres import Connection
    from tuning.study.trials import JsonValue

__all__ = ["PostgresBackend"]

# What Optuna's columns for names can hold; values are JSON, in which all is escaped.
KEY = re.compile(r"[^\0\ud800-\udfff]{0,512}")
NO_KEY = "PostgreSQL cannot keep: at most 512 characters, no NUL and no half of a surrogate pair"


class PostgresBackend:
    """See `Backend`."""

    def __init__(self, url: str, name: str, lease: PostgresLease | None) -> None:
        if lease is not None and (lease.url, lease.name) != (url, name):
            raise ValueError(f"the lease of study {lease.name!r} is not that of {name!r}")
        self._url = url
        self._name = name
        self._lease = lease
        self._session = None if lease is None else _Session(lease)
        # A record whose transaction was begun, and of which no answer came.
        self._unsure: TrialRecord | None = None
        # The session in which the study was last as it should be.
        self._trusted: Connection | None = None

    @property
    def place(self) -> str:
        return mask(self._url)

    @contextmanager
    def creating(self, attributes: Mapping[str, JsonValue]) -> Iterator[BaseStorage]:
        if not KEY.fullmatch(self._name):
            raise InvalidInput(f"the name {self._name!r} {NO_KEY}: choose another name")
        if not all(map(KEY.fullmatch, attributes)):
            raise ValueError(f"an attribute of study {self._name!r} has a name that {NO_KEY}")
        make_tables(self._url)
        with self._writing() as storage:
            yield storage

    @contextmanager
    def deleting(self) -> Iterator[BaseStorage]:
        check_tables(self._url)
        with self._writing() as storage:
            yield storage

    @contextmanager
    def _writing(self) -> Iterator[BaseStorage]:
        """All of it in one session: nobody else can come in between."""
        with ExitStack() as stack:
            lease = self._lease or stack.enter_context(PostgresLease(self._url, self._name))
            session = _Session(lease)
            stack.enter_context(translate_optuna_errors(self._url))
            with session.armed():
                storage = writing(session)
            yield storage

    def storage(self) -> BaseStorage:
        check_tables(self._url)
        with self.using():
            storage = reading(self._url) if self._session is None else writing(self._session)
        self._trusted = self._session.given if self._session else None
        return storage

    @contextmanager
    def using(self) -> Iterator[None]:
        with (
            translate_optuna_errors(self._url),
            self._session.armed() if self._session else nullcontext(),
        ):
            yield

    def hold(self) -> None:
        if self._session is None:
            return
        with self._session.lock, translate_errors(self._url):
            self._session.touch()

    def note(self, study: optuna.Study, key: str, value: JsonValue) -> None:
        if self._session is None:
            raise ValueError(f"study {self._name!r} was opened to be read: open it with its lease")
        with self._session.lock, self.using():  # to write it again would change nothing
            study.set_user_attr(key, value)

    def append(self, study: optuna.Study, record: TrialRecord) -> None:
        if self._session is None:
            raise ValueError(f"study {self._name!r} was opened to be read: open it with its lease")
        trial = to_trial(record)
        if not all(map(KEY.fullmatch, (*trial.user_attrs, *trial.system_attrs))):
            raise ValueError(f"trial {record.number} has an attribute whose name {NO_KEY}")
        # Nobody may arm the session while this writes.
        with self._session.lock:
            self._append(self._session, study, record, trial)

    def _append(
        self, session: _Session, study: optuna.Study, record: TrialRecord, trial: FrozenTrial
    ) -> None:
        with self.using():
            present = study.get_trials(deepcopy=False)
        if len(present) == record.number:
            self._unsure = record
            with translate_optuna_errors(self._url):
                study.add_trial(trial)
        elif not (
            self._unsure == record
            and len(present) == record.number + 1
            and to_record(present[-1], self.place) == _as_read(record)
        ):
            if session.given is not self._trusted:
                raise LeaseLost(self._url, self._name)
            raise ValueError(f"trial {record.number} cannot follow {len(present)} trials")
        # Or it was there: committed, and the answer to that was lost.
        self._unsure = None
        self._trusted = session.given


class _Session:
    """The lease's connection for SQLAlchemy's pool, which may have a new one only when `armed`."""

    def __init__(self, lease: PostgresLease) -> None:
        self._lease = lease
        self._armed = False
        self.lock = RLock()
        self.given: Connection | None = None

    @contextmanager
    def armed(self) -> Iterator[None]:
        with self.lock:
            self._armed = True
            try:
                yield
            finally:
                self._armed = False

    def touch(self) -> None:
        """Use the lease's connection, which is how one notices that it was lost."""
        connection = self._lease.session()
        connection.execute("SELECT 1")
        connection.rollback()

    def __call__(self) -> Connection:
        """Called when the pool has no connection, or finds that its own has ended.

        Raises: Unreachable, when not armed; and see `PostgresLease.session`.
        """
        if not self._armed:
            raise Unreachable(self._lease.url, "the session that holds the lease has ended")
        self.given = self._lease.session()
        return self.given


def _as_read(record: TrialRecord) -> TrialRecord:
    return replace(record, attributes=json.loads(json.dumps(dict(record.attributes))))
