"""The conformance suites notice: each check fails on a pool or place that breaks its rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.support.study_places import Journal
from trainers.errors import InvalidInput
from tuning.execution.base import Done, Event, Failed, Lost
from tuning.execution.in_process import InProcessPool
from tuning.spec.search_space import LEARNING_RATE
from tuning.study import JsonValue, StudyStore, TrialRecord
from tuning.testing import POOL_CHECKS, STUDY_CHECKS, pools, studies

# ---------------------------------------------------------------------------------- broken pools


class Twice(InProcessPool):
    """Says each thing twice."""

    def wait(self, timeout: float) -> list[Event]:
        return super().wait(timeout) * 2


class Forgetful(InProcessPool):
    """Takes no second attempt."""

    def submit(self, task_id: Any, block: Any) -> None:
        if not task_id.attempt:
            super().submit(task_id, block)


class Sleepy(InProcessPool):
    """Waits though nothing is queued."""

    def wait(self, timeout: float) -> list[Event]:
        events = super().wait(timeout)
        if not events:
            time.sleep(min(timeout, 5.5))
        return events


class Timeless(InProcessPool):
    """Has a clock of its own."""

    def wait(self, timeout: float) -> list[Event]:
        return [
            Done(event.task_id, replace(event.result, finished_at=0.0))
            if isinstance(event, Done)
            else event
            for event in super().wait(timeout)
        ]


class Terse(InProcessPool):
    """Keeps the last line of a traceback."""

    def wait(self, timeout: float) -> list[Event]:
        return [
            Failed(event.task_id, event.trace.splitlines()[-1])
            if isinstance(event, Failed)
            else event
            for event in super().wait(timeout)
        ]


class Hopeful(InProcessPool):
    """Takes what the problem did for an accident."""

    def wait(self, timeout: float) -> list[Event]:
        return [
            Lost(event.task_id, "it ended") if isinstance(event, Failed) else event
            for event in super().wait(timeout)
        ]


class Homebound(InProcessPool):
    """Takes no problem that cannot be imported."""

    def submit(self, task_id: Any, block: Any) -> None:
        assert type(self._problem).__module__ != "__main__", "cannot be imported"
        super().submit(task_id, block)


class Tireless(InProcessPool):
    """Goes on when it is closed."""

    def close(self) -> None:
        pass


class Wide(InProcessPool):
    """Lets BLAS have two threads, as `Threads` would tell."""

    def wait(self, timeout: float) -> list[Event]:
        events = super().wait(timeout)
        for event in events:
            if isinstance(event, Done):
                event.result.restarts.validation_loss[:] = 2.0
        return events


class Rounding(InProcessPool):
    """Trains at a rate that is a little off."""

    def submit(self, task_id: Any, block: Any) -> None:
        off = {LEARNING_RATE: block.learning_rate + 1e-15}
        super().submit(task_id, replace(block, hyperparameters=off))


BROKEN_POOLS: dict[Callable[[pools.OpenPool], None], pools.OpenPool] = {
    pools.every_task_comes_back_once: Twice,
    pools.tasks_may_be_added_while_others_run: Forgetful,
    pools.an_idle_pool_does_not_wait: Sleepy,
    pools.results_have_their_shapes_and_times: Timeless,
    pools.what_a_problem_raises_comes_back_with_its_traceback: Terse,
    pools.a_problem_that_ends_the_program_ends_its_task_only: Hopeful,
    pools.a_problem_of_a_script_travels: Homebound,
    pools.a_closed_pool_drops_what_is_queued: Tireless,
    pools.a_task_has_one_blas_thread: Wide,
    pools.it_agrees_to_the_bit_with_this_process: Rounding,
}


@pytest.mark.parametrize("check", POOL_CHECKS, ids=lambda check: check.__name__)
def test_a_broken_pool_is_noticed(
    check: Callable[[pools.OpenPool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PATIENCE_SECONDS", 2.0)
    with pytest.raises(AssertionError):
        check(BROKEN_POOLS[check])


# ---------------------------------------------------------------------------------- broken places


class Altered(StudyStore):
    """A store whose trials are not those that were appended: `change` says how."""

    @staticmethod
    def change(records: list[TrialRecord]) -> list[TrialRecord]:
        return records

    def records(self) -> list[TrialRecord]:
        return self.change(super().records())


def altered(change: Callable[[list[TrialRecord]], list[TrialRecord]]) -> type[Journal]:
    """A place of such stores."""

    class Changing(Altered):
        @staticmethod
        def change(records: list[TrialRecord]) -> list[TrialRecord]:
            return change(records)

    class Place(Journal):
        def open(self, name: str = "job") -> StudyStore:
            return Changing.open(self.url, name)

    return Place


class Lenient(StudyStore):
    """Passes over what it should refuse."""

    def append(self, record: TrialRecord) -> None:
        with suppress(ValueError):
            super().append(record)


class Accepting(Journal):
    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore:
        super().create(name, attributes)
        return Lenient.open(self.url, name)


class Careless(Journal):
    """Keeps an empty study instead of what cannot be kept, or is there."""

    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore:
        try:
            return super().create(name, attributes)
        except InvalidInput:
            return self.open(name)
        except ValueError:
            return super().create(name, {})


class Obliging(Journal):
    """Makes what is not there, and knows no odd name."""

    def open(self, name: str = "job") -> StudyStore:
        try:
            return super().open(name)
        except InvalidInput:
            return self.create(name, {})


class Thorough(Journal):
    """Deletes the whole place."""

    def delete(self, name: str) -> None:
        self.path.unlink()


class Apart(StudyStore):
    """Shows Optuna a study that is not the one it keeps."""

    @property
    def optuna_study(self) -> optuna.Study:
        shown = optuna.create_study(direction="maximize")
        shown.add_trials(super().optuna_study.trials)
        return shown


class WithoutNotes(StudyStore):
    """Keeps no notes."""

    def note(self, key: str, value: JsonValue) -> None:
        pass


class Forgetting(Journal):
    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore:
        super().create(name, attributes)
        return WithoutNotes.open(self.url, name)


class Showing(Journal):
    def create(self, name: str, attributes: Mapping[str, JsonValue]) -> StudyStore:
        super().create(name, attributes)
        return Apart.open(self.url, name)


BROKEN_PLACES: dict[Callable[[studies.Studies], None], type[Journal]] = {
    studies.what_is_appended_comes_back: altered(lambda records: records[:-1]),
    studies.constraints_keep_their_order: altered(
        lambda records: [
            replace(r, constraints=tuple(sorted(r.constraints, key=str))) for r in records
        ]
    ),
    studies.odd_and_large_attributes_come_back: altered(
        lambda records: [replace(r, attributes={}) for r in records]
    ),
    studies.names_may_be_odd: Obliging,
    studies.studies_count_for_themselves: altered(lambda records: records[::-1]),
    studies.only_the_next_number_is_appended: Accepting,
    studies.what_another_wrote_is_not_written_twice: Accepting,
    studies.a_wrong_record_is_refused: Accepting,
    studies.wrong_attributes_are_refused: Careless,
    studies.a_study_is_created_once: Careless,
    studies.what_is_not_there_is_not_opened: Obliging,
    studies.a_deleted_study_is_gone_and_others_stay: Thorough,
    studies.it_is_a_real_study_for_optuna: Showing,
    studies.what_is_noted_stays: Forgetting,
    studies.large_attributes_are_in_no_table: altered(
        lambda records: [replace(r, curve={}) for r in records]
    ),
}


@pytest.mark.parametrize("check", STUDY_CHECKS, ids=lambda check: check.__name__)
def test_a_broken_place_is_noticed(
    check: Callable[[studies.Studies], None], tmp_path: Path
) -> None:
    with pytest.raises(AssertionError):
        check(BROKEN_PLACES[check](tmp_path / "job.log"))
