"""How jobs end: well, with nothing stable, by the problem's fault, by somebody's word; and that an
accident does not make two of one.
"""

from __future__ import annotations

import json
import signal

import pytest

from tests.service.client import Client, ended, listed, until
from tests.support.surefoot_command import complaint, without_run
from tuning.cli.exit_codes import ExitCode
from tuning.jobs.base import State

WILD = """
name = "wild"
[problem]
name = "single-weight"
[search]
sampler = "tpe"
settings = 2
learning_rate = { low = 1e3, high = 1e4 }
try_first = []
[training]
restarts = 8
steps = 20
"""


def test_no_stable_rate_is_exit_code_3(client: Client) -> None:
    ran = client.surefoot("submit", client.write(WILD, "wild.toml"), "--json")
    assert ran.code == ExitCode.NONE_STABLE, ran
    report = json.loads(ran.out)
    assert report["best_stable"] is None
    assert report["explanation"]


@pytest.mark.parametrize("wrong", ["steps = 0", "step = 20"])
def test_a_wrong_job_file_is_exit_code_2(client: Client, wrong: str) -> None:
    file = client.write(WILD.replace("steps = 20", wrong), "wrong.toml")
    line = complaint(client.surefoot("submit", file))
    assert str(file) in line
    assert not [row for row in listed(client) if row["id"].startswith("wrong")]


def test_a_problem_that_raises_fails_with_its_traceback_and_is_resumed_when_mended(
    client: Client,
) -> None:
    file = client.valley("closed")
    closed = client.marks(file) / "raise"
    closed.touch()
    ran = client.surefoot("submit", file)
    job_id = ran.out.partition("\n")[0]
    assert ran.code == ExitCode.FAILED, ran
    why = "ArithmeticError: the valley is closed"
    told = ran.err.splitlines()[-1]  # before that it has what the problem prints here
    assert told.startswith(f"surefoot: job {job_id} failed: ")
    assert told.endswith(f": {why}")
    assert ran.out.count("in initial\n") == 1  # the traceback is in the log, and there alone
    assert client.state(job_id) is State.FAILED
    status = json.loads(client.surefoot("status", job_id, "--json").out)
    assert (status["state"], status["coordinators"]) == ("failed", 1)
    assert status["failure"].endswith(why)

    closed.unlink()
    client.idle(job_id)
    again = client.surefoot("resume", job_id, "--json")
    assert again.code == 0, again
    assert without_run(again.out) == client.here(file)
    assert client.state(job_id) is State.DONE
    assert client.database.job(job_id).entry.attempt == 2  # the keeper asked for no third


def test_ctrl_c_leaves_a_job_going_on_then_it_is_stopped_resumed_and_deleted(
    client: Client,
) -> None:
    file = client.valley("long", settings=40, seconds=0.2)
    with client.process("submit", str(file)) as following:
        assert following.stdout is not None
        job_id = following.stdout.readline().strip()
        until(lambda: client.database.job(job_id).told > 0, lambda: client.lines(job_id))
        following.send_signal(signal.SIGINT)
        ran = ended(following)
    assert ran.code == ExitCode.INTERRUPTED, ran
    assert f"surefoot: the job goes on; see surefoot status {job_id}" in ran.err
    assert client.state(job_id) is State.RUNNING
    busy = client.surefoot("delete", job_id)
    assert (busy.code, busy.err) == (
        2,
        f"surefoot: job {job_id} is at work: surefoot stop {job_id} first\n",
    )

    with client.process("logs", job_id, "-f") as watching:
        stopped = client.surefoot("stop", job_id)
        assert (stopped.code, stopped.err) == (0, "")
        client.wait(job_id)
        watched = ended(watching)
    assert watched.code == 0
    assert "told to stop" in watched.out
    assert client.state(job_id) is State.STOPPED
    told = client.database.job(job_id).told
    assert 0 < told < 40
    left = client.surefoot("submit", file, "-q")
    assert left.code == ExitCode.FAILED
    assert f"surefoot: job {job_id} was stopped; surefoot resume {job_id} goes on" in left.err

    client.write("0", "long.marks/seconds")
    resumed = client.surefoot("resume", job_id, "--json")
    assert resumed.code == 0, resumed
    assert without_run(resumed.out) == client.here(file)

    client.idle(job_id)
    assert client.surefoot("delete", job_id).out == f"job {job_id} is deleted\n"
    assert not [row for row in listed(client) if row["id"] == job_id]
    assert client.database.find(job_id) is None
    assert not client.surefoot("logs", job_id).out

    assert client.submit(file) == job_id
    client.wait(job_id)
    assert client.answer(job_id) == without_run(resumed.out)


def test_two_who_submit_one_job_at_once_get_one_job(client: Client) -> None:
    file = str(client.valley("twins"))
    with (
        client.process("submit", file, "--no-wait") as one,
        client.process("submit", file, "--no-wait") as other,
    ):
        first, second = ended(one), ended(other)
    assert (first.code, second.code) == (0, 0), (first, second)
    assert first.out == second.out
    job_id = first.out.strip()
    client.wait(job_id)
    assert len([row for row in listed(client) if row["id"] == job_id]) == 1
    assert client.database.job(job_id).entry.attempt == 1
    assert client.lines(job_id).count("submitted by") == 1
