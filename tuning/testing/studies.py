"""What every place of studies must do: nothing lost, nothing twice, readable by plain Optuna."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from tuning.errors import InvalidInput, StudyNotFound
from tuning.spec.search_space import Dimension, SearchSpace
from tuning.study import JsonValue, TrialRecord

if TYPE_CHECKING:
    import optuna

__all__ = ["ATTRIBUTES", "STUDY_CHECKS", "Store", "Studies", "record", "space"]


class Store(Protocol):
    """One study, as `tuning.study.StudyStore` has it."""

    @property
    def attributes(self) -> dict[str, JsonValue]: ...

    @property
    def optuna_study(self) -> optuna.Study: ...

    def append(self, record: TrialRecord) -> None: ...

    def note(self, key: str, value: JsonValue) -> None: ...

    def records(self) -> list[TrialRecord]: ...


class Studies(Protocol):
    """A place, empty when a check begins, where studies are kept by name; and whoever uses it holds
    what must be held to write. Errors are those of `tuning.study.StudyStore`."""

    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> Store: ...

    def open(self, name: str) -> Store: ...

    def delete(self, name: str) -> None: ...


ATTRIBUTES: dict[str, JsonValue] = {"job": {"name": "xor", "seed": 3}, "settings": 24}


def space(optimizers: tuple[str, ...] = ("gd", "adam"), low: float = 1e-4) -> SearchSpace:
    """What the trials of `record` were searched in."""
    return SearchSpace(optimizers, (Dimension("learning_rate", low, 10.0),))


def record(number: int, size: int = 0) -> TrialRecord:
    """A trial as the coordinator writes it; `size` more characters of attributes."""
    return TrialRecord(
        number=number,
        params={
            "learning_rate": 1e-3 * (number % 7 + 1),
            "optimizer": ("gd", "adam")[number % 2],
        },
        space=space(),
        value=(number - 5.5) ** 2,
        constraints=(float(5 - number), -1.0),
        attributes={
            "outcomes": {"settled": 60, "diverged": 4},
            "curve": [0.1 * number, None, "é\n"],
            "padding": "x" * size,
        },
    )


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, not {expected!r}")


def _raises(error: type[Exception], what: str, action: Callable[[], object]) -> str:
    """The message of the error that `action` must raise."""
    try:
        action()
    except error as raised:
        return str(raised)
    except Exception as raised:
        raise AssertionError(f"{what}: {raised!r}, not {error.__name__}") from raised
    raise AssertionError(f"{what}: no {error.__name__} was raised")


def _made(studies: Studies, count: int = 0, name: str = "job") -> Store:
    store = studies.create(name, ATTRIBUTES)
    for number in range(count):
        store.append(record(number))
    return store


# --------------------------------------------------------------------------------- what is kept


def what_is_appended_comes_back(studies: Studies) -> None:
    store, records = _made(studies, 12), [record(n) for n in range(12)]
    _same(store.records(), records, "what the writer reads")
    reopened = studies.open("job")
    _same(reopened.records(), records, "what another one reads")
    _same(reopened.attributes, ATTRIBUTES, "attributes of the study")
    _same(store.attributes, ATTRIBUTES, "attributes of the study")


def constraints_keep_their_order(studies: Studies) -> None:
    """More than ten: "10" stands before "2" among words."""
    many = replace(record(0), constraints=tuple(float(i) for i in range(12)))
    _made(studies).append(many)
    _same(studies.open("job").records(), [many], "a trial with 12 constraints")


def odd_and_large_attributes_come_back(studies: Studies) -> None:
    odd: dict[str, JsonValue] = {
        "nul": "a\0b",
        "half a pair": "\ud800",
        "日本": ["é", -0.0, 1e-308, 2**70],
        "": {"x": []},
    }
    large: dict[str, JsonValue] = {"large": [0.1 + n for n in range(60_000)]}
    records = [replace(record(0), attributes=odd), replace(record(1), attributes=large)]
    store = _made(studies)
    for each in records:
        store.append(each)
    _same(studies.open("job").records(), records, "odd and large attributes")


def names_may_be_odd(studies: Studies) -> None:
    for name in ("it's", 'a "quoted" name', "é/日本 \\ %s {0} ;--", " "):
        studies.create(name, {name: name}).append(record(0))
        store = studies.open(name)
        _same(store.attributes, {name: name}, f"attributes of study {name!r}")
        _same(store.records(), [record(0)], f"trials of study {name!r}")
        studies.delete(name)
        _raises(StudyNotFound, f"opening {name!r}, deleted", lambda name=name: studies.open(name))  # type: ignore[misc]


def studies_count_for_themselves(studies: Studies) -> None:
    one, other = _made(studies), _made(studies, name="other")
    for n in range(3):
        one.append(record(n))
        other.append(record(n))
    for name in ("job", "other"):
        numbers = [each.number for each in studies.open(name).records()]
        _same(numbers, [0, 1, 2], f"trials of {name!r}, beside another study")


def it_is_a_real_study_for_optuna(studies: Studies) -> None:
    study = _made(studies, 12).optuna_study
    # Trials 0 to 4 violate their constraint; 5 and 6 have the same smallest value.
    if study.best_trial.number not in (5, 6):
        raise AssertionError(f"the best trial is {study.best_trial.number}, not 5 or 6")
    _same(study.direction.name, "MINIMIZE", "the direction")
    frame = study.trials_dataframe()
    _same(list(frame["number"]), list(range(12)), "numbers of the dataframe")
    rates = [1e-3 * (n % 7 + 1) for n in range(12)]
    _same(list(frame["params_learning_rate"]), rates, "rates of the dataframe")
    _same(set(frame["state"]), {"COMPLETE"}, "states of the dataframe")


def what_is_noted_stays(studies: Studies) -> None:
    """Beside what the study was created with, and once more with another value."""
    store = _made(studies, 2)
    for value in (1, 0, 0, None):
        store.note("recommended", value)
        noted = {**ATTRIBUTES, "recommended": value}
        _same(studies.open("job").attributes, noted, "attributes after a note")
    _same(studies.open("job").records(), [record(0), record(1)], "trials after a note")
    wrong = math.nan
    _raises(ValueError, "a note that is NaN", lambda: store.note("recommended", wrong))


def large_attributes_are_in_no_table(studies: Studies) -> None:
    """And times, and the losses along the way, are Optuna's own."""
    began = datetime(2026, 1, 2, 3, 4, 5, 678901)
    timed = replace(
        record(0), began=began, ended=began + timedelta(seconds=2.5), curve={0: 1.5, 10: 0.1}
    )
    store = _made(studies)
    store.append(timed)
    (trial,) = store.optuna_study.trials
    _same(set(trial.user_attrs), {"padding"}, "user attributes of a trial")
    _same(trial.duration, timedelta(seconds=2.5), "its duration")
    _same(trial.intermediate_values, {0: 1.5, 10: 0.1}, "its intermediate values")
    (read,) = studies.open("job").records()
    _same((read, read.began, read.ended), (timed, timed.began, timed.ended), "the trial read")


# ------------------------------------------------------------------------------ what is refused


def only_the_next_number_is_appended(studies: Studies) -> None:
    store = _made(studies, 2)
    for number in (-1, 0, 1, 3, 4):
        what = f"trial {number} after trials 0 and 1"
        said = _raises(ValueError, what, lambda number=number: store.append(record(number)))  # type: ignore[misc]
        _same(said, f"trial {number} cannot follow 2 trials", what)
    _same([each.number for each in studies.open("job").records()], [0, 1], "trials after that")


def what_another_wrote_is_not_written_twice(studies: Studies) -> None:
    """By a store that was opened before."""
    store = _made(studies)
    studies.open("job").append(record(0))
    _raises(ValueError, "trial 0, which another one wrote", lambda: store.append(record(0)))
    _same(studies.open("job").records(), [record(0)], "trials after that")


def a_wrong_record_is_refused(studies: Studies) -> None:
    """And nothing of it is written."""
    store, good = _made(studies), record(0)
    for what, wrong in {
        "infinite value": replace(good, value=math.inf),
        "value NaN": replace(good, value=math.nan),
        "constraint NaN": replace(good, constraints=(math.nan,)),
        "infinite attribute": replace(good, attributes={"loss": math.inf}),
        "attribute that is a set": replace(good, attributes={"loss": {1, 2}}),  # type: ignore[dict-item]
        "rate out of its range": replace(good, space=space(low=0.5)),
        "optimizer that is no choice": replace(good, space=space(("adam",))),
        "no optimizer": replace(good, params={"learning_rate": 0.1}),
    }.items():
        _raises(ValueError, what, lambda wrong=wrong: store.append(wrong))  # type: ignore[misc]
        _same(studies.open("job").records(), [], f"trials after a record with {what}")


def wrong_attributes_are_refused(studies: Studies) -> None:
    wrong: dict[str, JsonValue] = {"rate": math.nan}
    _raises(ValueError, "attributes with NaN", lambda: studies.create("job", wrong))
    _raises(StudyNotFound, "a study that was refused", lambda: studies.open("job"))


def a_study_is_created_once(studies: Studies) -> None:
    _made(studies, 1)
    said = _raises(InvalidInput, "the same name again", lambda: studies.create("job", {}))
    if "study 'job' exists already in " not in said:
        raise AssertionError(f"the same name again: {said!r} does not say that it exists")
    store = studies.open("job")
    _same((store.attributes, store.records()), (ATTRIBUTES, [record(0)]), "the first one")


def what_is_not_there_is_not_opened(studies: Studies) -> None:
    _made(studies)
    said = _raises(StudyNotFound, "no such study", lambda: studies.open("other"))
    for words in ("no study 'other' in ", "it holds 'job'"):
        if words not in said:
            raise AssertionError(f"no such study: {said!r} lacks {words!r}")


def a_deleted_study_is_gone_and_others_stay(studies: Studies) -> None:
    _made(studies, 3)
    _made(studies, 1, "other")
    studies.delete("job")
    _raises(StudyNotFound, "opening it when deleted", lambda: studies.open("job"))
    _raises(StudyNotFound, "deleting it again", lambda: studies.delete("job"))
    _same(studies.open("other").records(), [record(0)], "trials of the other study")
    _same(_made(studies, 1).records(), [record(0)], "trials of a new one of its name")


#: Each takes a place that is empty; see the package.
STUDY_CHECKS: tuple[Callable[[Studies], None], ...] = (
    what_is_appended_comes_back,
    constraints_keep_their_order,
    odd_and_large_attributes_come_back,
    names_may_be_odd,
    studies_count_for_themselves,
    it_is_a_real_study_for_optuna,
    what_is_noted_stays,
    large_attributes_are_in_no_table,
    only_the_next_number_is_appended,
    what_another_wrote_is_not_written_twice,
    a_wrong_record_is_refused,
    wrong_attributes_are_refused,
    a_study_is_created_once,
    what_is_not_there_is_not_opened,
    a_deleted_study_is_gone_and_others_stay,
)
