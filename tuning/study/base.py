"""Where a study is kept: what `StudyStore` needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

    from tuning.study.trials import JsonValue, TrialRecord

__all__ = ["Backend"]


class Backend(Protocol):
    """A study's journal file, or the tables of a database. Nothing is opened by making one.

    Its errors, in one line: StudyNotFound where there is none; InvalidInput for what cannot be;
    OSError (a file) or Unreachable (a database) for what may pass, after which the backend can be
    used again.
    """

    @property
    def place(self) -> str:
        """The file or database, as errors name it: without passwords."""

    def creating(self, attributes: Mapping[str, JsonValue]) -> AbstractContextManager[BaseStorage]:
        """A storage in which the study is created: durably, when the block has ended.

        Raises ValueError for attributes that cannot be kept here.
        """

    def deleting(self) -> AbstractContextManager[BaseStorage]:
        """A storage out of which the study is deleted."""

    def storage(self) -> BaseStorage:
        """The storage from which studies are read, and to which `append` writes."""

    def using(self) -> AbstractContextManager[None]:
        """Around each reading from `storage`."""

    def hold(self) -> None:
        """See `StudyStore.hold`."""

    def note(self, study: optuna.Study, key: str, value: JsonValue) -> None:
        """See `StudyStore.note`."""

    def append(self, study: optuna.Study, record: TrialRecord) -> None:
        """See `StudyStore.append`."""
