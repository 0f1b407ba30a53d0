"""Which workers are killed when a task hangs: those of its job on its node, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tuning.execution.ray_tasks import _kill_hung

TASK = "setting 3 part 0"
OURS = {"RAY_RAYLET_PID": "4242", "RAY_JOB_ID": "02000000"}


class Worker:
    """A process that looks like one of Ray's: by its title and its environment."""

    def __init__(self, title: str, *, frozen: bool = False, **environment: str) -> None:
        self.process = subprocess.Popen(
            [title],
            executable=sys.executable,  # which waits for a program on its standard input
            env={**os.environ, **OURS, **environment},
            stdin=subprocess.PIPE,
        )
        if frozen:
            self.process.send_signal(signal.SIGSTOP)
            while b") T" not in Path(f"/proc/{self.process.pid}/stat").read_bytes():
                time.sleep(0.01)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


def test_only_the_hung_and_the_frozen_are_killed(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OURS.items():
        monkeypatch.setenv(name, value)
    killed = [
        stack.enter_context(Worker(f"ray::{TASK}")),
        stack.enter_context(Worker(f"ray::{TASK}", frozen=True)),
        stack.enter_context(Worker("ray::IDLE", frozen=True)),
    ]
    left = [
        stack.enter_context(Worker("ray::setting 4 part 0")),
        stack.enter_context(Worker(f"ray::{TASK}", RAY_RAYLET_PID="4243")),
        stack.enter_context(Worker(f"ray::{TASK}", RAY_JOB_ID="03000000", frozen=True)),
        stack.enter_context(Worker(TASK, frozen=True)),
    ]
    _kill_hung(TASK)
    assert [worker.process.wait(10) for worker in killed] == [-signal.SIGKILL] * 3
    assert [worker.process.poll() for worker in left] == [None] * 4
