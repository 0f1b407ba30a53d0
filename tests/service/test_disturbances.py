"""What may go wrong on a cluster while a job is at work: the report is the same, or says why."""

from __future__ import annotations

import random
import time

import pytest

from tests.service.client import Client, until, without
from tuning.cli.exit_codes import ExitCode
from tuning.jobs.base import State
from tuning.jobs.files import MLFLOW_MISSING


@pytest.mark.usefixtures("_as_client")
def test_a_worker_comes_and_goes_and_mlflow_is_away_for_a_while(client: Client) -> None:
    cluster = client.cluster
    file = client.valley("disturbed", settings=20, seconds=0.5)
    job_id = client.submit(file)
    until(lambda: client.database.job(job_id).told > 0, lambda: client.lines(job_id))
    with without(client, "mlflow"):
        new = cluster.add_worker()
        until(
            lambda: bool({pid for pid, _ in client.times(file)} & set(cluster.pids(new))),
            lambda: client.lines(job_id),
        )
        cluster.kill(new)
        client.write("0", "disturbed.marks/seconds")
        client.wait(job_id)
    client.idle(job_id)
    assert client.answer(job_id) == client.here(file)
    entry = client.database.job(job_id).entry
    assert (entry.attempt, entry.complete) == (1, True), client.lines(job_id)
    assert "a task was lost" in client.lines(job_id)
    assert client.database.job(job_id).read(MLFLOW_MISSING) is None

    from mlflow import MlflowClient

    records = MlflowClient(cluster.environment["MLFLOW_TRACKING_URI"])
    experiment = records.get_experiment_by_name(job_id)
    assert experiment is not None
    runs = records.search_runs([experiment.experiment_id])
    told = client.database.job(job_id).told
    assert len([run for run in runs if "setting" in run.data.tags]) == told
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_workers_that_come_and_go_all_the_time(client: Client) -> None:
    """As the nodes of an autoscaler or of a spot market: one leaves, another joins, again and
    again. No task is given up, however often its node leaves."""
    cluster, rng = client.cluster, random.Random(1)
    file = client.valley("wandering", settings=24, seconds=0.3)
    job_id = client.submit(file)
    until(lambda: client.database.job(job_id).told > 0, lambda: client.lines(job_id))
    added: list[str] = []
    try:
        with without(client, "ray-worker-1", "ray-worker-2"):
            added += [cluster.add_worker(), cluster.add_worker()]
            for _ in range(4):
                leaving = added.pop(rng.randrange(len(added)))
                (cluster.kill if rng.random() < 0.5 else cluster.stop)(leaving)
                added.append(cluster.add_worker())
                time.sleep(20.0)
            client.write("0", "wandering.marks/seconds")
            client.wait(job_id)
            while added:
                cluster.stop(added.pop())
    finally:
        for name in added:
            cluster.kill(name)
    client.idle(job_id)
    lines = client.lines(job_id)
    assert client.answer(job_id) == client.here(file), lines
    assert "a task was lost" in lines
    assert client.database.job(job_id).entry.attempt == 1, lines


def test_a_task_that_hangs_is_killed_and_tried_again(client: Client) -> None:
    file = client.valley("hangs", cluster="task_timeout = 2")
    client.write("", "hangs.marks/hang")
    job_id = client.submit(file)
    client.wait(job_id)
    lines = client.lines(job_id)
    assert "a task was lost" in lines
    assert "raise cluster.task_timeout = 2." in lines
    assert client.answer(job_id) == client.here(file)


def test_a_problem_that_eats_the_memory_fails_with_a_clear_line(client: Client) -> None:
    file = client.valley("greedy")
    client.write("", "greedy.marks/memory")
    ran = client.surefoot("submit", file, "-q")
    job_id = ran.out.strip()
    assert ran.code == ExitCode.FAILED, ran
    assert "out of memory: the valley is full" in ran.err.splitlines()[-1]
    assert client.state(job_id) is State.FAILED
    assert client.lines(job_id).count("a task was lost") > 1
