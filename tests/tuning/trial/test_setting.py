"""Settings and their blocks: what they must be, and what they look like as JSON."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.made_results import block, setting
from trainers import get_problem, starts
from tuning.spec.job import read_spec
from tuning.trial.setting import Block, Role, Setting
from tuning.trial.task import TrainingConfig, most_restarts, split_into_tasks, train_block

STARTS = st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True)


@given(starts=STARTS, cut=st.integers(2, 18), role=st.sampled_from(Role))
def test_json_and_back(starts: list[int], cut: int, role: Role) -> None:
    parts = [starts[:cut], starts[cut:]] if len(starts) - cut >= 2 else [starts]
    values = {"learning_rate": 0.1, "warm_up": 3.0}
    made = Setting(7, role, tuple(Block(1, values, tuple(part)) for part in parts))
    assert Setting.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.starts == tuple(starts)
    assert hash(made) == hash(replace(made))


def test_starts_in_a_row_are_written_as_studies_have_them() -> None:
    assert list(setting(3, 0.1, optimizer=1, first=64, restarts=59).to_json().items()) == [
        ("number", 3),
        ("optimizer", 1),
        ("learning_rate", 0.1),
        ("role", "search"),
        ("first", 64),
        ("restarts", 59),
    ]


@pytest.mark.parametrize(
    ("starts", "why"),
    [
        ((), "different numbers"),
        ((1, 1), "different numbers"),
        ((-1, 0), "different numbers"),
        ((5,), "at least two"),
    ],
)
def test_starts_are_at_least_two_different_numbers(starts: tuple[int, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Block(0, {"learning_rate": 0.1}, starts)


def test_a_job_of_one_restart_is_a_block() -> None:
    assert block(0.1, restarts=1).starts == (0,)


def test_blocks_of_a_setting_differ_in_their_starts_alone() -> None:
    one = block(0.1, restarts=4)
    assert Setting(0, Role.SEARCH, (one, block(0.1, first=4))).starts == tuple(range(6))
    for blocks in ((), (one, block(0.2, first=4)), (one, block(0.1, optimizer=1, first=4))):
        with pytest.raises(ValueError, match="one set of hyperparameters"):
            Setting(0, Role.SEARCH, blocks)
    with pytest.raises(ValueError, match="in two blocks"):
        Setting(0, Role.SEARCH, (one, block(0.1, first=3)))


def test_it_says_which_it_is() -> None:
    assert str(setting(2, 0.05)) == "setting 2 (learning rate 0.05)"


@given(
    sizes=st.lists(st.integers(2, 100), min_size=1, max_size=4),
    flops=st.floats(1.0, 1e9),
    most=st.none() | st.integers(2, 200),
)
def test_tasks_have_every_start_once_and_none_has_one_alone(
    sizes: list[int], flops: float, most: int | None
) -> None:
    ends = np.cumsum([0, *sizes]).tolist()
    made = tuple(block(0.1, first=a, restarts=n) for a, n in zip(ends, sizes, strict=False))
    tasks = split_into_tasks(Setting(0, Role.SEARCH, made), steps=1000, flops=flops, most=most)
    assert [start for task in tasks for start in task.starts] == list(range(ends[-1]))
    assert min(len(task.starts) for task in tasks) >= 2
    if most is not None:  # three, that cannot be cut in two, are the most where two would be
        assert max(len(task.starts) for task in tasks) <= max(3, most)


@pytest.mark.parametrize(
    ("tables", "restart_bytes", "most"),
    [
        ({}, 0.0, 2_000_000_000),  # not counted
        ({}, 1e8, 20),  # of 2 GB
        ({}, 3e9, 2),  # never fewer
        ({"training": {"memory_per_task": 0.5}}, 1e8, 5),
        ({"cluster": {"gpus_per_task": 1}}, 1e8, 20),  # where it is carried out changes nothing
    ],
)
def test_a_task_has_as_many_restarts_as_its_memory_holds(
    tables: dict[str, Any], restart_bytes: float, most: int
) -> None:
    spec = read_spec({"problem": {"name": "double-well"}, **tables})
    assert most_restarts(spec, restart_bytes) == most
    ten = Setting(0, Role.SEARCH, (block(0.1, restarts=10),))
    sizes = [len(task.starts) for task in split_into_tasks(ten, 1, 1.0, most)]
    assert sizes == {2: [2] * 5, 5: [5, 5]}.get(most, [10])


def test_a_block_trains_the_starts_that_it_names() -> None:
    problem = get_problem("double-well")
    config = TrainingConfig.of(read_spec({"problem": {"name": "double-well"}, "seed": 3}))
    run = train_block(problem, config, Block(0, {"learning_rate": 0.01}, (9, 2, 5)))
    np.testing.assert_array_equal(run.starts, starts(problem, restarts=10, seed=3)[[9, 2, 5]])
