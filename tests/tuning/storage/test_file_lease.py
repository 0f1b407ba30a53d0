"""One holder at a time, whoever dies and however; who it is can be asked."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from trainers.errors import InvalidInput
from tuning.errors import LeaseHeld
from tuning.storage.file_lease import Holder, Lease, holder

ROOT = Path(__file__).resolve().parents[3]
HOLD = """
import sys, time
from tuning.storage.file_lease import Lease
with Lease(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""
TAKE = """
import sys
from tuning.errors import LeaseHeld
from tuning.storage.file_lease import Lease
try:
    with Lease(sys.argv[1]):
        print("taken")
except LeaseHeld as error:
    print(error)
"""


def take(path: Path) -> str:
    """What another process says that tries to take the lease."""
    done = subprocess.run(
        [sys.executable, "-c", TAKE, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs" / "xor.lease"


def test_another_process_is_told_who_holds_it_and_what_to_do(path: Path) -> None:
    with Lease(path):
        message = take(path)
        now = holder(path)
    assert now is not None
    assert (now.pid, now.host) == (os.getpid(), socket.gethostname())
    age = datetime.now(UTC) - datetime.fromisoformat(now.since)
    assert timedelta() <= age < timedelta(minutes=1)
    assert message == (
        f"the lease {path} is held by process {now.pid} on {now.host} since {now.since}: "
        "wait until it ends, or stop it"
    )


def test_a_second_lease_in_the_same_process_is_refused(path: Path) -> None:
    with Lease(path) as lease:
        with pytest.raises(LeaseHeld) as refused, Lease(path):
            pass
        assert refused.value.holder == holder(path)
        with pytest.raises(LeaseHeld), lease:
            pass
        # The refusals released nothing.
        assert holder(path) is not None
    assert isinstance(refused.value, InvalidInput)


def test_it_is_free_after_the_block_and_after_an_error_in_it(path: Path) -> None:
    def fail() -> None:
        with Lease(path):
            raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert holder(path) is None
    assert take(path) == "taken"
    with Lease(path):
        assert holder(path) is not None
    assert holder(path) is None
    assert path.exists()


def test_the_death_of_the_holder_frees_it(path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        held_by = holder(path)
        assert held_by is not None
        assert held_by.pid == child.pid
        with pytest.raises(LeaseHeld, match=f"held by process {child.pid} on"), Lease(path):
            pass
        child.send_signal(signal.SIGKILL)
    # The dead process's entry is still in the file, and means nothing.
    assert re.search(rf'"pid": {held_by.pid}\b', path.read_text(encoding="utf-8"))
    assert holder(path) is None
    with Lease(path):
        assert holder(path) != held_by


def test_asking_who_holds_it_never_makes_taking_it_fail(path: Path) -> None:
    stop = threading.Event()
    seen: set[Holder | None] = set()

    def ask() -> None:
        while not stop.is_set():
            seen.add(holder(path))
            # A rest, since someone who holds the file all the time is a holder.
            stop.wait(0.0005)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(200):
            with Lease(path):
                stop.wait(0.001)
    finally:
        stop.set()
        asking.join()
    assert {h.pid for h in seen if h is not None} == {os.getpid()}


def test_holder_of_no_file_and_of_another_kind_of_file(path: Path) -> None:
    assert holder(path) is None
    path.parent.mkdir()
    path.write_text("name = 'xor'\n", encoding="utf-8")
    assert holder(path) is None


def test_a_held_file_that_is_not_a_lease_is_named(path: Path) -> None:
    with Lease(path):
        path.write_text("name = 'xor'\n", encoding="utf-8")
        with pytest.raises(InvalidInput, match=r"held, but does not say by whom"):
            holder(path)
        with pytest.raises(LeaseHeld, match="an unknown process"), Lease(path):
            pass


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"), Lease(tmp_path / "file" / "x.lease"):
        pass
