"""Studies for tests: their records, and the places where they may be kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.pool import NullPool

from tests.support.postgres_server import Postgres
from tuning.storage.postgres_lease import PostgresLease
from tuning.study import JsonValue, StudyStore
from tuning.testing.studies import ATTRIBUTES, record, space

__all__ = [
    "ATTRIBUTES",
    "Database",
    "Journal",
    "Place",
    "plain_database",
    "plain_journal",
    "record",
    "said_by_optuna",
    "space",
]


def plain_journal(path: Path, name: str = "job") -> optuna.Study:
    """The study as a program that knows only Optuna opens it."""
    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


def plain_database(url: str, name: str = "job") -> optuna.Study:
    """The same of a database."""
    return optuna.load_study(study_name=name, storage=RDBStorage(url, {"poolclass": NullPool}))


@contextmanager
def said_by_optuna() -> Iterator[list[str]]:
    """What Optuna logs and the user would see: its handler writes where `sys.stderr` was once."""
    said: list[str] = []

    class Listening(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            said.append(entry.getMessage())

    handler, logger = Listening(), logging.getLogger("optuna")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


class Place(Protocol):
    """Where studies are kept, and who may write them: this one test."""

    url: str

    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore: ...

    def open(self, name: str = "job") -> StudyStore:
        """To write."""

    def delete(self, name: str) -> None: ...

    def plainly(self, name: str = "job") -> optuna.Study:
        """As a program that knows only Optuna opens it."""

    def lease(self, name: str) -> PostgresLease | None:
        """What a study is written with."""

    def content(self) -> object:
        """All that is kept; equal if nothing was written."""


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"journal:///{path}"

    def lease(self, name: str) -> PostgresLease | None:
        return None

    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore:
        return StudyStore.create(self.url, name, attributes)

    def open(self, name: str = "job") -> StudyStore:
        return StudyStore.open(self.url, name)

    def delete(self, name: str) -> None:
        StudyStore.delete(self.url, name)

    def plainly(self, name: str = "job") -> optuna.Study:
        return plain_journal(self.path, name)

    def content(self) -> object:
        return self.path.read_bytes() if self.path.exists() else None


class Database:
    """Leases are taken when a study is first written, and end with the test (`stack`)."""

    def __init__(self, server: Postgres, stack: ExitStack) -> None:
        self.server = server
        self.url = server.url
        self._stack = stack
        self._leases: dict[str, PostgresLease] = {}

    def lease(self, name: str) -> PostgresLease:
        if name not in self._leases:
            self._leases[name] = self._stack.enter_context(PostgresLease(self.url, name))
        return self._leases[name]

    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore:
        return StudyStore.create(self.url, name, attributes, self.lease(name))

    def open(self, name: str = "job") -> StudyStore:
        return StudyStore.open(self.url, name, self.lease(name))

    def delete(self, name: str) -> None:
        StudyStore.delete(self.url, name, self.lease(name))

    def plainly(self, name: str = "job") -> optuna.Study:
        return plain_database(self.url, name)

    def content(self) -> object:
        tables = ("studies", "study_user_attributes", "trials", "trial_user_attributes")
        return [
            self.server.execute(f"SELECT * FROM {table} ORDER BY 1")
            for table in tables
            if self.server.execute(f"SELECT to_regclass('{table}')") != [(None,)]
        ]
