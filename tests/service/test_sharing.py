"""Jobs that are at work at the same time."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from tests.service.client import Client, until

RESTARTS = 16


def runs(times: list[tuple[int, float]]) -> list[int]:
    """How many starts in a row the same process drew."""
    return [len(list(group)) for _, group in groupby(pid for pid, _ in times)]


def test_two_jobs_share_the_slots(client: Client) -> None:
    """The first has both slots until the second comes; then each has about as many tasks."""
    first = client.valley("first", settings=30, seconds=0.5)
    second = client.valley("second", settings=6, seconds=0.1)
    jobs = [client.submit(first), client.submit(second)]
    until(lambda: len(client.times(second)) > 0)
    client.write("0.1", "first.marks/seconds")
    client.wait(jobs[1])
    client.write("0", "first.marks/seconds")
    client.wait(jobs[0])
    one, other = client.times(first), client.times(second)
    begin, end = other[0][1], other[-1][1]
    # Two tasks at once: their starts are not drawn task by task.
    assert any(count % RESTARTS for count in runs([time for time in one if time[1] < begin]))
    ours, theirs = (sum(begin <= at <= end for _, at in times) for times in (one, other))
    assert 1 / 3 <= ours / (ours + theirs) <= 2 / 3, (ours, theirs)
    for job_id, file in zip(jobs, (first, second), strict=True):
        assert client.answer(job_id) == client.here(file)


def test_a_job_of_a_higher_priority_comes_before(client: Client) -> None:
    """The first has both slots until the urgent one comes: then one task in Ray's queue at a time,
    behind two of the urgent one's, which has two thirds where equals would have half."""
    patient = client.valley("patient", settings=40, seconds=0.3)
    urgent = client.valley("urgent", settings=16, seconds=0.1, cluster="priority = 5")
    jobs = [client.submit(patient)]
    until(lambda: len(client.times(patient)) > 2 * RESTARTS)
    jobs.append(client.submit(urgent))
    until(lambda: len(client.times(urgent)) > 0)
    client.write("0.1", "patient.marks/seconds")
    client.wait(jobs[1])
    client.write("0", "patient.marks/seconds")
    client.wait(jobs[0])
    one, other = client.times(patient), client.times(urgent)
    # From when the urgent one is seen and what was in Ray's queue is done.
    begin, end = other[len(other) // 4][1], other[-1][1]
    ours, theirs = (sum(begin <= at <= end for _, at in times) for times in (one, other))
    assert theirs / (ours + theirs) > 0.55, (ours, theirs)
    for job_id, file in zip(jobs, (patient, urgent), strict=True):
        assert client.answer(job_id) == client.here(file)


def most_at_once(client: Client, file: Path) -> list[int]:
    job_id = client.submit(file)
    client.wait(job_id)
    assert client.answer(job_id) == client.here(file)
    return runs(client.times(file))


def test_max_tasks_is_kept(client: Client) -> None:
    """With one task at once, what a process draws in a row is always whole tasks."""
    file = client.valley("modest", seconds=0.01, cluster="max_tasks = 1")
    assert {count % RESTARTS for count in most_at_once(client, file)} == {0}


def test_cpus_per_task_are_reserved(client: Client) -> None:
    """Each worker has one CPU: two tasks of 0.5 fit into it, so that three or four run at once."""
    file = client.valley("halves", settings=6, seconds=0.05, cluster="cpus_per_task = 0.5")
    most_at_once(client, file)
    assert len({pid for pid, _ in client.times(file)}) > 2
