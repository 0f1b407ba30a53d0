"""The coordinator's core in simulation: no clock, no input or output, any order of events."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.made_results import block, setting
from tests.support.simulated_study import World, carry_out, facts, make_plan, one_after_another
from tuning.execution.base import Done, Failed, Lost, TaskId
from tuning.search.actions import Fail, Finish, Submit, Tell
from tuning.search.coordinator import MAX_RETRIES, Coordinator


class Simulation(RuleBasedStateMachine):
    """Any order of events, lost tasks, echoes and crashes."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None

    @precondition(lambda self: self.world is None)
    @rule(
        settings=st.integers(1, 6),
        in_flight=st.integers(1, 8),
        parts=st.integers(1, 3),
        refused=st.integers(0, 2),
    )
    def begin(self, settings: int, in_flight: int, parts: int, refused: int) -> None:
        self.world = World(make_plan(settings, in_flight, parts, refused))

    @precondition(lambda self: self.world is not None and bool(self.world.waiting))
    @rule(data=st.data(), lose=st.sampled_from([False, False, True]))
    def event(self, data: st.DataObject, lose: bool) -> None:
        assert self.world is not None
        task_id = data.draw(st.sampled_from(sorted(self.world.waiting)))
        if lose and task_id.attempt < MAX_RETRIES:
            self.world.deliver(Lost(task_id, "killed"))
        else:
            self.world.done(task_id)

    @precondition(lambda self: self.world is not None and bool(self.world.past))
    @rule(data=st.data())
    def echo(self, data: st.DataObject) -> None:
        """An event that came already, or one of an attempt that is over or was never made."""
        world = self.world
        assert world is not None
        event = data.draw(st.sampled_from(world.past))
        task_id = replace(
            event.task_id, attempt=event.task_id.attempt + data.draw(st.integers(0, 2))
        )
        if task_id not in world.waiting:
            before = facts(world.study), set(world.waiting)
            assert world.core.handle(replace(event, task_id=task_id)) == []
            assert world.core.handle(Lost(task_id, "echo")) == []
            assert world.core.handle(Failed(task_id, "echo")) == []
            assert (facts(world.study), set(world.waiting)) == before

    @precondition(lambda self: self.world is not None)
    @rule()
    def crash(self) -> None:
        assert self.world is not None
        self.world.start()

    @invariant()
    def sound(self) -> None:
        if self.world is not None:
            self.world.check()

    def teardown(self) -> None:
        if self.world is not None:
            self.world.drain(random.Random(0))
            assert self.world.finished
            assert facts(self.world.study) == facts(one_after_another(self.world.plan))


TestSimulation = Simulation.TestCase
TestSimulation.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)


def test_a_crash_after_every_tell_changes_nothing() -> None:
    plan = make_plan(settings=7, in_flight=3, parts=2, refused=2)
    wanted = one_after_another(plan)
    # 7 settings, then three pairs on fresh starts: the third holds.
    assert [r.setting.number for r in wanted] == list(range(13))
    for told in range(len(wanted) + 1):
        world = World(plan)
        world.study = wanted[:told]  # also in the middle of a pair
        world.start()
        world.check()
        world.drain(random.Random(told), lost_attempts=0.3)
        assert world.finished
        assert facts(world.study) == facts(wanted)


def test_ten_thousand_workers() -> None:
    """10,000 tasks in flight, 40,000 in all, one in ten of them lost: measured 2 s on one core."""
    plan = make_plan(settings=13_000, in_flight=3_334, parts=3, refused=1)
    # Proposals that look at all they may would be the test's own cost, not the core's.
    plan = replace(plan, propose=lambda n, *_: setting(n, 1.0, restarts=6))
    one_result = carry_out(block(1.0))
    begin = time.process_time()
    core, rng = Coordinator(plan), random.Random(0)
    waiting: list[Submit] = []
    told, most, finished = 0, 0, False
    actions = core.start()
    while not finished:
        for action in actions:
            match action:
                case Submit():
                    waiting.append(action)
                case Tell(result=found):
                    assert found.setting.number == told
                    told += 1
                case Finish():
                    finished = True
                case Fail(why=why):
                    pytest.fail(why)
        if finished:
            break
        most = max(most, len(waiting))
        place = rng.randrange(len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        task = waiting.pop()
        lost = task.task_id.attempt < MAX_RETRIES and rng.random() < 0.1
        event = Done(task.task_id, replace(one_result, block=task.block))
        actions = core.handle(Lost(task.task_id, "killed") if lost else event)
    assert (told, most, waiting) == (13_004, 10_002, [])
    # Generous: the machine is shared.
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("workers", [1, 2, 7, 100])
def test_the_answer_does_not_depend_on_the_workers(workers: int) -> None:
    """A pool that works on the oldest `workers` tasks at a time, and ends them in any order."""
    plan = make_plan(settings=30, in_flight=8, parts=3, refused=1)
    world, rng = World(plan), random.Random(workers)
    while not world.finished:
        world.done(rng.choice(sorted(world.waiting)[:workers]))
        world.check()
    assert facts(world.study) == facts(one_after_another(plan))


def test_an_answer_to_a_task_given_up_for_lost_is_not_used() -> None:
    world = World(make_plan(settings=1, in_flight=1, parts=1, refused=0))
    (first,) = world.waiting
    late = Done(first, carry_out(world.waiting[first]))
    world.deliver(Lost(first, "killed"))
    assert list(world.waiting) == [TaskId(0, 0, attempt=1)]
    assert world.core.handle(late) == []
    assert world.study == []


def test_a_task_lost_too_often_fails_the_job() -> None:
    world = World(make_plan(settings=3, in_flight=2, parts=2, refused=0))
    other = TaskId(1, 1)
    for attempt in range(MAX_RETRIES):
        world.deliver(Lost(TaskId(0, 1, attempt), "killed"))
        assert world.fail is None
        assert TaskId(0, 1, attempt + 1) in world.waiting
    world.deliver(Lost(TaskId(0, 1, MAX_RETRIES), "node 4 went away"))
    assert world.fail == Fail("setting 0 was lost 6 times; last: node 4 went away")
    assert world.core.handle(Done(other, carry_out(world.waiting[other]))) == []


def test_nodes_that_leave_count_for_nothing_against_a_task() -> None:
    world = World(make_plan(settings=2, in_flight=1, parts=1, refused=0))
    attempts = iter(range(1000))
    for _ in range(MAX_RETRIES):
        for _ in range(7):
            world.deliver(Lost(TaskId(0, 0, next(attempts)), "its node left", node_left=True))
        world.deliver(Lost(TaskId(0, 0, next(attempts)), "killed"))
    assert world.fail is None
    world.drain(random.Random(0))
    assert world.finished
    world = World(make_plan(settings=2, in_flight=1, parts=1, refused=0))
    for attempt in range(MAX_RETRIES + 8):
        world.deliver(Lost(TaskId(0, 0, attempt), "killed", node_left=attempt < 7))
    assert world.fail == Fail("setting 0 was lost 6 times; last: killed")


def test_losses_of_different_tasks_do_not_add_up() -> None:
    world = World(make_plan(settings=4, in_flight=4, parts=3, refused=0))
    for attempt in range(MAX_RETRIES):
        for task_id in sorted(world.waiting):
            assert task_id.attempt == attempt
            world.deliver(Lost(task_id, "killed"))
    world.drain(random.Random(0))
    assert world.finished


def test_a_problem_that_raises_stops_everything_and_keeps_what_was_told() -> None:
    world = World(make_plan(settings=5, in_flight=2, parts=1, refused=0))
    world.done(TaskId(0, 0))
    told = facts(world.study)
    world.deliver(Failed(TaskId(2, 0), "Traceback ...\nZeroDivisionError: float division by zero"))
    assert world.fail is not None
    rate = one_after_another(world.plan)[2].setting.learning_rate
    assert world.fail.why == (
        f"the problem raised in setting 2 (learning rate {rate:g}):\n"
        "Traceback ...\nZeroDivisionError: float division by zero"
    )
    for task_id in list(world.waiting):
        assert world.core.handle(Done(task_id, carry_out(world.waiting[task_id]))) == []
    assert facts(world.study) == told
    assert len(told) == 1


def test_it_tells_what_led_to_a_failure_and_forgets_what_is_long_past() -> None:
    world = World(make_plan(settings=60, in_flight=2, parts=2, refused=0))
    for number in range(50):
        world.done(TaskId(number, 0))
        world.done(TaskId(number, 1))
    world.deliver(Lost(TaskId(50, 0), "node 3 went away"))
    world.core.handle(Lost(TaskId(50, 0), "node 3 went away"))
    world.deliver(Failed(TaskId(51, 1), "Traceback ...\nZeroDivisionError: division by zero\n"))
    head, *lines = str(world.core.history).splitlines()
    assert head == "the coordinator's last 50 events, of 104:"
    assert len(lines) == 50
    assert [line.split(". ", 1)[1] for line in lines[-5:]] == [
        "task 49/0 is done: changes nothing",
        "task 49/1 is done: setting 49 is told; submit task 51/0, task 51/1",
        "task 50/0 was lost (node 3 went away): submit task 50/0 (attempt 2)",
        "task 50/0 was lost (node 3 went away): changes nothing",
        "task 51/1 raised (ZeroDivisionError: division by zero): the job fails",
    ]


def test_a_result_that_comes_early_waits_for_its_turn_and_feeds_no_proposal() -> None:
    world = World(make_plan(settings=6, in_flight=3, parts=1, refused=0))
    world.done(TaskId(2, 0))
    world.done(TaskId(1, 0))
    assert world.study == []
    assert set(world.waiting) == {TaskId(0, 0)}
    world.done(TaskId(0, 0))
    assert [r.setting.number for r in world.study] == [0, 1, 2]
    assert set(world.waiting) == {TaskId(3, 0), TaskId(4, 0), TaskId(5, 0)}
