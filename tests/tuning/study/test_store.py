"""The durable study, wherever it is kept: nothing lost, nothing twice, readable by plain Optuna."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from tests.support.killed_writer import ROUNDS, SIZE
from tests.support.postgres_server import Postgres
from tests.support.study_places import (
    ATTRIBUTES,
    Database,
    Journal,
    Place,
    record,
    said_by_optuna,
    space,
)
from trainers.errors import InvalidInput
from tuning.study import StudyStore, TrialRecord
from tuning.study.counts import count
from tuning.testing import STUDY_CHECKS, Studies

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["journal", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "journal":
        yield Journal(tmp_path / "studies" / "job.log")
        return
    server: Postgres = request.getfixturevalue("postgres")
    with ExitStack() as stack:
        yield Database(server, stack)
    server.empty()


@pytest.fixture
def store(place: Place) -> StudyStore:
    return place.create("job", ATTRIBUTES)


@pytest.mark.parametrize("check", STUDY_CHECKS, ids=lambda check: check.__name__)
def test_it_does_what_every_place_of_studies_must(
    place: Place, check: Callable[[Studies], None]
) -> None:
    check(place)


def test_it_is_a_real_study_for_plain_optuna(store: StudyStore, place: Place) -> None:
    for n in range(12):
        store.append(record(n))
    for study in (store.optuna_study, place.plainly()):
        # Trials 0 to 4 violate their constraint; 5 and 6 have the same smallest value.
        assert study.best_trial.number in (5, 6)
        assert study.best_trial.constraints["0"] <= 0
        assert study.direction == optuna.study.StudyDirection.MINIMIZE
        frame = study.trials_dataframe()
        assert list(frame["number"]) == list(range(12))
        assert list(frame["params_learning_rate"]) == [1e-3 * (n % 7 + 1) for n in range(12)]
        assert set(frame["state"]) == {"COMPLETE"}
        importances = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
        assert set(importances) == {"learning_rate", "optimizer"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (replace(record(0), value=math.inf), "not finite"),
        (replace(record(0), value=math.nan), "not finite"),
        (replace(record(0), constraints=(math.nan,)), "not finite"),
        (replace(record(0), attributes={"loss": math.inf}), "not JSON compliant"),
        (replace(record(0), attributes={"loss": {1, 2}}), "not JSON"),  # type: ignore[dict-item]
        (replace(record(0), space=space(low=0.5)), "learning_rate"),
        (replace(record(0), space=space(("adam",))), "gd"),
        (replace(record(0), params={"learning_rate": 0.1}), "optimizer"),
    ],
)
def test_a_wrong_record_is_refused_and_nothing_is_written(
    store: StudyStore, place: Place, wrong: TrialRecord, message: str
) -> None:
    before = place.content()
    with pytest.raises(ValueError, match=message):
        store.append(wrong)
    assert place.content() == before


def test_attributes_of_a_study_must_be_json(place: Place) -> None:
    before = place.content()
    with pytest.raises(ValueError, match="not JSON compliant"):
        place.create("job", {"rate": math.nan})
    assert place.content() == before


def test_create_refuses_a_study_that_exists(store: StudyStore, place: Place) -> None:
    store.append(record(0))
    with pytest.raises(InvalidInput, match=r"study 'job' exists already in .*: resume it, or"):
        place.create("job", {})
    assert place.open().attributes == ATTRIBUTES


@pytest.mark.usefixtures("store")
def test_open_refuses_what_is_not_there(place: Place) -> None:
    with pytest.raises(InvalidInput, match=r"no study 'other' in .*: it holds 'job'"):
        StudyStore.open(place.url, "other")


@pytest.mark.usefixtures("store")
def test_a_study_without_the_mark_is_not_one_and_can_be_created_again(place: Place) -> None:
    optuna.create_study(study_name="cut short", storage=place.plainly()._storage)
    with pytest.raises(InvalidInput, match="there is no study 'cut short'"):
        StudyStore.open(place.url, "cut short")
    place.create("cut short", ATTRIBUTES).append(record(0))
    assert place.open("cut short").records() == [record(0)]


@pytest.mark.parametrize("name", ["it's", 'a "quoted" name', "é/日本 \\ %s {0} ;--", " "])
def test_names_may_be_odd(place: Place, name: str) -> None:
    place.create(name, {name: name}).append(record(0))
    store = StudyStore.open(place.url, name)
    assert (store.attributes, store.records()) == ({name: name}, [record(0)])
    assert count(place.url, name) == 1
    StudyStore.delete(place.url, name, place.lease(name))
    with pytest.raises(InvalidInput, match="there is no study"):
        StudyStore.open(place.url, name)


def test_deleted_is_deleted_and_the_others_stay(store: StudyStore, place: Place) -> None:
    other = place.create("other", {})
    other.append(record(0))
    for n in range(3):
        store.append(record(n))
    StudyStore.delete(place.url, "job", place.lease("job"))
    with pytest.raises(InvalidInput, match=r"no study 'job' in .*: it holds 'other'"):
        StudyStore.open(place.url, "job")
    with pytest.raises(InvalidInput, match=r"no study 'job' in .*: it holds 'other'"):
        StudyStore.delete(place.url, "job", place.lease("job"))
    assert place.open("other").records() == [record(0)]
    again = place.create("job", {})
    again.append(record(0))
    assert again.records() == [record(0)]


def test_counts_are_those_of_the_store(store: StudyStore, place: Place) -> None:
    assert count(place.url, "job") == 0
    for n in range(3):
        store.append(record(n))
        assert count(place.url, "job") == len(store.records()) == n + 1
    with pytest.raises(InvalidInput, match="there is no study 'other'"):
        count(place.url, "other")


def test_a_trial_of_another_program_is_named(store: StudyStore) -> None:
    store.optuna_study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(InvalidInput, match=r"trial 0 in .* was not written by Surefoot"):
        store.records()


def test_optuna_stays_silent_and_keeps_the_users_level(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    with said_by_optuna() as said:
        store = place.create("job", ATTRIBUTES)
        store.append(record(0))
        place.open().records()
    assert said == []
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before == logging.INFO


def test_kills_lose_nothing_and_repeat_nothing(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_writer", place.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rounds = json.loads(done.stdout)
    assert len(rounds) == ROUNDS
    before = 0
    for returned, present in rounds:
        assert present == list(range(len(present)))
        assert returned == list(range(before, before + len(returned)))
        # All that append returned for, and at most the one it was about to return for.
        assert len(present) - before - len(returned) in (0, 1)
        before = len(present)
    assert before >= 3 * ROUNDS // 2
    store = place.open()
    store.append(record(before))
    assert store.records() == [record(n, size=SIZE) for n in range(before)] + [record(before)]
    assert [trial.number for trial in place.plainly().trials] == list(range(before + 1))
