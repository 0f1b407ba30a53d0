"""An interruption that Python drops ends the work all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.surefoot_command import WELLS

LOST = """
import signal, sys
import tuning

class Lossy:
    def __del__(self):
        signal.raise_signal(signal.{name})

def listen(progress):
    print(len(progress.told), flush=True)
    if len(progress.told) == 1:
        Lossy()  # Python would print what is raised in there, and go on

signal.signal(signal.SIGTERM, signal.default_int_handler)
before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
try:
    tuning.tune(sys.argv[1], workers="inline", progress=listen)
except KeyboardInterrupt:
    print("interrupted")
assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interruption_that_python_drops_is_heard(tmp_path: Path, name: str) -> None:
    (tmp_path / "job.toml").write_text(WELLS)
    done = subprocess.run(
        [sys.executable, "-c", LOST.format(name=name), str(tmp_path / "job.toml")],
        env={**os.environ, "SUREFOOT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.split()[-2:] == ["1", "interrupted"]


def test_what_else_python_drops_is_said() -> None:
    script = """
import sys
from tuning.execution.signals import deferred_interrupts

class Broken:
    def __del__(self):
        raise ArithmeticError("lost")

before = sys.unraisablehook
with deferred_interrupts():
    Broken()
assert sys.unraisablehook is before
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr.endswith("ArithmeticError: lost\n")


def test_a_handler_of_ones_own_is_left_alone() -> None:
    """And what `ray.init` does to SIGTERM is undone."""
    script = """
import signal
from tuning.execution.signals import deferred_interrupts, keeping_sigterm

heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append("mine"))
with deferred_interrupts() as interruptions:
    signal.raise_signal(signal.SIGINT)
    interruptions.check()
with keeping_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
print(heard)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("['mine']\n", "")
