"""The durable study: an Optuna study that only grows, by one finished trial in one write.

A trial is in the study when `append` has returned, and after any crash the study holds trials
0 .. n - 1 without a gap: there is nothing to repair but a torn last line, which every reader
passes over and the next writer removes.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from trainers.errors import InvalidInput
from tuning.journal import Writing

if TYPE_CHECKING:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal._file import BaseJournalFileLock

__all__ = ["JsonValue", "StudyStore", "TrialRecord"]

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)

JOURNAL = "journal:///"
# Written last: a study without it was being created when its process died, and has no trials.
CREATED = "surefoot:created"
RECORD = b'{"op_code"'  # how each line of Optuna's journal begins


@dataclass(frozen=True)
class TrialRecord:
    """One finished trial: all that the report needs.

    Attributes:
        number: 0, 1, 2, ... without a gap.
        params: "learning_rate", in [low, high], and "optimizer", one of `choices`.
        low, high, choices: what was searched, from which Optuna's distributions are made.
        value: what was minimised; finite.
        constraints: each at most 0 where satisfied (Optuna's convention); finite.
        attributes: everything else; JSON without NaN or infinity.
    """

    number: int
    params: Mapping[str, float | str]
    low: float
    high: float
    choices: tuple[str, ...]
    value: float
    constraints: tuple[float, ...] = ()
    attributes: Mapping[str, JsonValue] = field(default_factory=dict)


class StudyStore:
    """A study in a storage. Any number of readers; one writer, which the caller's lease ensures.

    A storage is named by its address: `journal:///` and a path, relative to the working
    directory, or absolute with one more slash, as in SQLAlchemy's `sqlite:///`.
    """

    def __init__(self, study: optuna.Study, path: Path) -> None:
        self._study = study
        self._path = path

    @staticmethod
    def check(url: str) -> None:
        """Raises InvalidInput, in one line, for a `url` that cannot work. Nothing is opened."""
        path = _path(url)
        if path.is_dir():
            raise InvalidInput(f"storage.url = {url!r}: {path} is a folder; name a file in it")

    @classmethod
    def create(cls, url: str, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore:
        """A new study `name`, with its attributes, in a file that is made if it does not exist.

        Raises:
            InvalidInput: a wrong address, or the study exists already.
            ValueError: the attributes are not JSON.
            OSError: the file cannot be made or written.
        """
        import optuna

        path = _path(url)
        _check_json(attributes)
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(path)
        storage = _storage(path)
        with _naming(path, f"create study {name!r}"), _warnings_only():
            study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True)
            if CREATED in study.user_attrs or study.get_trials(deepcopy=False):
                raise InvalidInput(
                    f"study {name!r} exists already in {path}: resume it, or choose another name"
                )
            for key, value in attributes.items():
                study.set_user_attr(key, value)
            study.set_user_attr(CREATED, True)
            _sync_directory(path.parent)
        return cls(study, path)

    @classmethod
    def open(cls, url: str, name: str) -> StudyStore:
        """The study `name`, to read it or to go on with it. Nothing is written.

        Raises:
            InvalidInput: a wrong address, or there is no such study.
            OSError: the file cannot be read.
        """
        import optuna

        path = _path(url)
        if not path.exists():
            raise InvalidInput(f"there is no study file {path}: check the address {url!r}")
        storage = _storage(path)
        names = [s.study_name for s in storage.get_all_studies() if CREATED in s.user_attrs]
        if name not in names:
            there = ", ".join(map(repr, names)) or "no study"
            raise InvalidInput(f"there is no study {name!r} in {path}: it holds {there}")
        return cls(optuna.load_study(study_name=name, storage=storage), path)

    @property
    def optuna_study(self) -> optuna.Study:
        """The real study: Optuna's plots, importances, dataframe and dashboard work on it."""
        return self._study

    @property
    def attributes(self) -> dict[str, JsonValue]:
        """What the study was created with."""
        return {key: value for key, value in self._study.user_attrs.items() if key != CREATED}

    def append(self, record: TrialRecord) -> None:
        """Adds a finished trial in one write; it is on the disk (fsync) when this returns.

        After an OSError the trial may be in the study or not; `records` tells. Once the cause is
        gone the store can be used again.

        Raises:
            ValueError: not the next number, or not finite, not in its range, not JSON.
            OSError: the disk is full, or the file cannot be written.
        """
        trial = _to_trial(record)
        present = len(self._study.get_trials(deepcopy=False))
        if record.number != present:
            raise ValueError(f"trial {record.number} cannot follow {present} trials")
        with _naming(self._path, f"append trial {record.number}"):
            self._study.add_trial(trial)

    def records(self) -> list[TrialRecord]:
        """The trials in the order of their numbers; their attributes are not to be changed.

        Raises:
            InvalidInput: the study holds a trial that `append` did not write.
        """
        return [_to_record(trial, self._path) for trial in self._study.get_trials(deepcopy=False)]


def _to_trial(record: TrialRecord) -> optuna.trial.FrozenTrial:
    from optuna.distributions import CategoricalDistribution, FloatDistribution
    from optuna.trial import create_trial

    if not all(map(math.isfinite, (record.value, *record.constraints))):
        raise ValueError(f"trial {record.number} has a value or constraint that is not finite")
    _check_json(record.attributes)
    return create_trial(
        params=dict(record.params),
        distributions={
            "learning_rate": FloatDistribution(record.low, record.high, log=True),
            "optimizer": CategoricalDistribution(record.choices),
        },
        value=record.value,
        constraints={str(i): violation for i, violation in enumerate(record.constraints)},
        user_attrs=dict(record.attributes),
    )


def _to_record(trial: optuna.trial.FrozenTrial, path: Path) -> TrialRecord:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    rate = trial.distributions.get("learning_rate")
    optimizer = trial.distributions.get("optimizer")
    if (
        trial.value is None
        or not isinstance(rate, FloatDistribution)
        or not isinstance(optimizer, CategoricalDistribution)
    ):
        raise InvalidInput(
            f"trial {trial.number} in {path} was not written by Surefoot: "
            "keep other programs' trials in another study"
        )
    violations = trial.constraints
    return TrialRecord(
        number=trial.number,
        params=dict(trial.params),
        low=rate.low,
        high=rate.high,
        choices=tuple(map(str, optimizer.choices)),
        value=trial.value,
        constraints=tuple(violations[str(i)] for i in range(len(violations))),
        attributes=dict(trial.user_attrs),
    )


def _check_json(attributes: Mapping[str, JsonValue]) -> None:
    try:
        json.dumps(dict(attributes), allow_nan=False)
    except TypeError as error:
        raise ValueError(f"attributes are not JSON: {error}") from error


def _path(url: str) -> Path:
    path = url.removeprefix(JOURNAL)
    if path in (url, "") or path.endswith("/"):
        raise InvalidInput(
            f"storage.url = {url!r} is not valid: use {JOURNAL}relative/study.log or "
            f"{JOURNAL}/absolute/study.log"
        )
    return Path(path)


def _storage(path: Path) -> JournalStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    backend = JournalFileBackend(str(path), lock_obj=cast("BaseJournalFileLock", Writing(path)))
    try:
        return JournalStorage(backend)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{path} is not a study journal, or is damaged ({error}): check storage.url"
        ) from error


def _refuse_foreign(path: Path) -> None:
    """Raises InvalidInput for a file that is no journal, before `Writing` takes its only line for
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


@contextmanager
def _warnings_only() -> Iterator[None]:
    """Without Optuna's note that a study was created; the user's own level is put back."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
