"""A study in Optuna's journal file: one line, one write."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from trainers.data.uri import masked
from tuning.errors import InvalidInput, StudyNotFound
from tuning.storage.postgres import POSTGRES
from tuning.study.journal_lock import WriteLock
from tuning.study.trials import to_trial

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage, JournalStorage
    from optuna.storages.journal._file import BaseJournalFileLock

    from tuning.study.trials import JsonValue, TrialRecord

__all__ = ["JournalBackend", "check"]

JOURNAL = "journal:///"
RECORD = b'{"op_code"'  # how each line of Optuna's journal begins


def check(url: str) -> None:
    """Raises InvalidInput, in one line, for an address that cannot work. Nothing is opened."""
    path = _path(url)
    try:
        is_folder = path.is_dir()
    except OSError as error:  # a name that is too long
        raise InvalidInput(f"storage.url = {masked(url)!r}: {error.strerror}") from error
    if is_folder:
        raise InvalidInput(f"storage.url = {masked(url)!r}: {path} is a folder; name a file in it")


class JournalBackend:
    """See `Backend`. There is nothing to repair but a torn last line, which every reader passes
    over and the next writer removes."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._path = _path(url)
        self._name = name

    @property
    def place(self) -> str:
        return str(self._path)

    @contextmanager
    def creating(self, attributes: Mapping[str, JsonValue]) -> Iterator[BaseStorage]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(self._path)
        storage = _storage(self._path)
        with _naming(self._path, f"create study {self._name!r}"):
            yield storage
            _sync_directory(self._path.parent)

    @contextmanager
    def deleting(self) -> Iterator[BaseStorage]:
        storage = self.storage()
        with _naming(self._path, f"delete study {self._name!r}"):
            yield storage
            if not storage.get_all_studies():
                self._path.unlink()
                _sync_directory(self._path.parent)

    def storage(self) -> BaseStorage:
        if not self._path.exists():
            raise StudyNotFound(
                f"there is no study file {self._path}: check the address {self._url!r}"
            )
        return _storage(self._path)

    def using(self) -> nullcontext[None]:
        return nullcontext()

    def hold(self) -> None:
        """The caller's flock cannot be lost."""

    def note(self, study: optuna.Study, key: str, value: JsonValue) -> None:
        with _naming(self._path, f"note {key!r}"):
            study.set_user_attr(key, value)

    def append(self, study: optuna.Study, record: TrialRecord) -> None:
        trial = to_trial(record)
        if not _is_next(study, record.number):
            present = len(study.get_trials(deepcopy=False))
            raise ValueError(f"trial {record.number} cannot follow {present} trials")
        with _naming(self._path, f"append trial {record.number}"):
            study.add_trial(trial)


def _is_next(study: optuna.Study, number: int) -> bool:
    """Without a list of all trials, which to make takes a millisecond where there are thousands."""
    find = partial(study._storage.get_trial_id_from_study_id_trial_number, study._study_id)
    if number < 0:
        return False
    if number > 0:
        try:
            find(number - 1)
        except KeyError:
            return False
    try:
        find(number)
    except KeyError:
        return True
    return False


def _path(url: str) -> Path:
    path = url.removeprefix(JOURNAL)
    if path in (url, "") or path.endswith("/"):
        raise InvalidInput(
            f"storage.url = {masked(url)!r} is not valid: use {JOURNAL}relative/study.log, "
            f"{JOURNAL}/absolute/study.log or {POSTGRES}user@host:5432/database"
        )
    return Path(path)


def _storage(path: Path) -> JournalStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    backend = JournalFileBackend(str(path), lock_obj=cast("BaseJournalFileLock", WriteLock(path)))
    try:
        return JournalStorage(backend)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{path} is not a study journal, or is damaged ({error}): check storage.url"
        ) from error


def _refuse_foreign(path: Path) -> None:
    """Raises InvalidInput for a file that is no journal, before `WriteLock` takes its only line for
    a torn one and removes it."""
    if path.exists():
        with path.open("rb") as file:
            head = file.read(len(RECORD))
        if not RECORD.startswith(head):
            raise InvalidInput(f"{path} is not a study journal: check storage.url")


def _sync_directory(path: Path) -> None:
    """Without it a new file's name may not survive a loss of power, whatever its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _naming(path: Path, what: str) -> Iterator[None]:
    """Adds to an OSError from a write, which has neither, what was being done and to which file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot {what}: {error.strerror}", str(path)) from error
