"""The one way to a study, wherever it is kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tuning.errors import InvalidInput, StudyNotFound
from tuning.storage import postgres
from tuning.storage.postgres import POSTGRES
from tuning.study import journal
from tuning.study.journal import JournalBackend
from tuning.study.log_filter import quiet
from tuning.study.postgres import PostgresBackend
from tuning.study.trials import JsonValue, TrialRecord, check_json, to_record

if TYPE_CHECKING:
    import optuna

    from tuning.storage.postgres_lease import PostgresLease
    from tuning.study.base import Backend

__all__ = ["CREATED", "StudyStore"]

# Written last: a study without it was being created when its process died, and has no trials.
CREATED = "surefoot:created"
NAMES_SHOWN = 10


class StudyStore:
    """A study in a storage: it only grows, and what `append` returned for is in it for good.

    After any crash it holds trials 0 .. n - 1 without a gap, so there is nothing to repair.

    Any number of readers; one writer, which a lease ensures. A storage is named by its address:

    - `journal:///` and a path, relative to the working directory, or absolute with one more slash,
      as in SQLAlchemy's `sqlite:///`. The caller holds a
      `tuning.storage.file_lease.Lease` while it appends.
    - `postgresql+psycopg://user@host:5432/database`. What is written goes through the session of a
      `tuning.storage.postgres_lease.PostgresLease`: a store made without one only reads.
    """

    def __init__(self, study: optuna.Study, backend: Backend) -> None:
        self._study = study
        self._backend = backend

    @staticmethod
    def check(url: str) -> None:
        """Raises InvalidInput, in one line, for a `url` that cannot work. Nothing is opened."""
        if url.startswith(POSTGRES):
            postgres.check(url)
        else:
            journal.check(url)

    @classmethod
    def create(
        cls,
        url: str,
        name: str,
        attributes: Mapping[str, JsonValue],
        lease: PostgresLease | None = None,
    ) -> StudyStore:
        """A new study `name`, with its attributes; a file or tables are made if there are none.

        Without a `lease` PostgreSQL's is taken while the study is created.

        Raises:
            InvalidInput: a wrong address, or the study exists already.
            LeaseHeld: another holds the lease of this name.
            ValueError: the attributes are not JSON.
            OSError: the file cannot be made or written.
            Unreachable: the database does not answer.
        """
        import optuna

        check_json(attributes)
        backend = _backend(url, name, lease)
        with backend.creating(attributes) as storage, quiet(logging.WARNING):
            study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
            if CREATED in study.user_attrs or study.get_trials(deepcopy=False):
                raise InvalidInput(
                    f"study {name!r} exists already in {backend.place}: resume it, or choose "
                    "another name"
                )
            for key, value in attributes.items():
                study.set_user_attr(key, value)
            study.set_user_attr(CREATED, True)
        return cls.open(url, name, lease)

    @classmethod
    def open(cls, url: str, name: str, lease: PostgresLease | None = None) -> StudyStore:
        """The study `name`, to read it or to go on with it. Nothing is written.

        Raises:
            StudyNotFound: there is none.
            InvalidInput: a wrong address, or what is there cannot be read.
            OSError: the file cannot be read.
            Unreachable: the database does not answer.
        """
        import optuna

        backend = _backend(url, name, lease)
        storage = backend.storage()
        with backend.using():
            names = [s.study_name for s in storage.get_all_studies() if CREATED in s.user_attrs]
            if name not in names:
                raise _no_study(name, backend.place, names)
            return cls(optuna.load_study(study_name=name, storage=storage), backend)

    @staticmethod
    def delete(url: str, name: str, lease: PostgresLease | None = None) -> None:
        """Removes study `name`, also one that was not created to its end. No way back.

        A journal file that holds nothing else is removed too. Without a `lease` PostgreSQL's is
        taken while the study is deleted.

        Raises:
            StudyNotFound: there is none.
            InvalidInput: a wrong address, or what is there cannot be read.
            LeaseHeld: another holds the lease of this name.
            OSError: the file cannot be written.
            Unreachable: the database does not answer.
        """
        import optuna

        backend = _backend(url, name, lease)
        with backend.deleting() as storage:
            names = [study.study_name for study in storage.get_all_studies()]
            if name not in names:
                raise _no_study(name, backend.place, names)
            optuna.delete_study(study_name=name, storage=storage)

    @property
    def optuna_study(self) -> optuna.Study:
        """The real study: Optuna's plots, importances, dataframe and dashboard work on it."""
        return self._study

    @property
    def attributes(self) -> dict[str, JsonValue]:
        """What the study was created with, and what was noted since."""
        with self._backend.using():
            return {key: value for key, value in self._study.user_attrs.items() if key != CREATED}

    def note(self, key: str, value: JsonValue) -> None:
        """Adds an attribute to the study, or changes it; nothing is written where it is so already.

        Raises:
            ValueError: it is not JSON; or the store was opened without the lease.
            OSError, Unreachable, LeaseHeld: see `append`.
        """
        check_json({key: value})
        if self.attributes.get(key, ...) != value:
            self._backend.note(self._study, key, value)

    def append(self, record: TrialRecord) -> None:
        """Adds a finished trial in one write; it is on the disk (fsync) when this returns.

        After an OSError or Unreachable the trial may be in the study or not. Once the cause is
        gone the store can be used again: `records` tells of a journal; in PostgreSQL the same
        `append` again adds the trial only if it is not there.

        Raises:
            ValueError: not the next number, or not finite, not in its range, not JSON; or the
                store was opened without the lease.
            OSError: the disk is full, or the file cannot be written.
            Unreachable: the database does not answer, or the connection was lost.
            LeaseHeld: it was lost, and another coordinator has taken over.
            LeaseLost: the same, and it has written.
            StudyNotFound: the study was deleted.
        """
        self._backend.append(self._study, record)

    def hold(self) -> None:
        """Makes sure that the lease with which it was opened is still held; takes it again if its
        session was lost. Nothing to do for a journal, whose lease cannot be lost.

        Raises:
            Unreachable: the database does not answer, or the connection was just lost.
            LeaseHeld: another coordinator has taken over.
        """
        self._backend.hold()

    def records(self) -> list[TrialRecord]:
        """The trials in the order of their numbers; their attributes are not to be changed.

        Raises:
            InvalidInput: the study holds a trial that `append` did not write.
            Unreachable: the database does not answer.
        """
        with self._backend.using():
            trials = self._study.get_trials(deepcopy=False)
        return [to_record(trial, self._backend.place) for trial in trials]


def _backend(url: str, name: str, lease: PostgresLease | None) -> Backend:
    if url.startswith(POSTGRES):
        return PostgresBackend(url, name, lease)
    return JournalBackend(url, name)


def _no_study(name: str, place: str, there: list[str]) -> StudyNotFound:
    more = f" and {len(there) - NAMES_SHOWN} more" if len(there) > NAMES_SHOWN else ""
    shown = ", ".join(map(repr, there[-NAMES_SHOWN:])) or "no study"
    return StudyNotFound(f"there is no study {name!r} in {place}: it holds {shown}{more}")
