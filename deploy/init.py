"""The first process of a service, as `init: true` gives a container one. A script of its own.

    python init.py SIGNAL SECONDS PROGRAM ARGUMENT...

All that PROGRAM starts stays below this process, however it detaches itself; when PROGRAM ends,
all of it ends. SIGNAL is how PROGRAM is asked to stop, when this process gets SIGTERM or when its
standard input ends, since whoever started it has gone; SECONDS later all of it is killed.

On standard input, KILL kills all of it at once, and HEALTHY says that it has been well: from then
on PROGRAM is started again when it ends by itself, as `restart: unless-stopped` has it, while a
service that never was well and ends soon fails at once.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HEALTHY, KILL = b"h", b"k"

PR_SET_CHILD_SUBREAPER = 36
PAUSE_SECONDS = 1.0  # before a restart
# What is wrong with a command shows at once. A node of Ray that lived for longer gave up waiting
# for the others, which a busy machine may not have started yet.
SLOW_SECONDS = 20.0
PAUSE_BETWEEN_LOOKS_SECONDS = 0.02


def parents() -> dict[int, int]:
    """The parent's id by the id of each process of this machine that has not ended."""
    found = {}
    for entry in os.listdir("/proc"):
        with suppress(OSError, ValueError):
            # After the name, which is in parentheses and may hold any character: state, parent.
            stat = Path(f"/proc/{int(entry)}/stat").read_bytes()
            state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
            if state not in b"ZX":
                found[int(entry)] = int(parent)
    return found


def children(pid: int) -> list[int]:
    """Ids of the children of a process that have not ended."""
    return [child for child, parent in parents().items() if parent == pid]


def end_the_rest() -> None:
    """Kill what is below this process, until nothing is: each that dies leaves its children to this
    process, also one that was born while we looked."""
    with suppress(ChildProcessError):  # none is left
        while True:
            for pid in children(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(PAUSE_BETWEEN_LOOKS_SECONDS)


class Init:
    """Runs a program, again and again if it may, until asked to stop."""

    def __init__(self, stop_signal: signal.Signals, grace: float, command: list[str]) -> None:
        self.stop_signal, self.grace, self.command = stop_signal, grace, command
        self.been_healthy = False
        self.deadline: float | None = None  # of the program's stopping, once asked
        self.signals, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # the byte in the pipe is what matters

    def run(self) -> int:
        while True:
            begin = time.monotonic()
            code = self.once()
            end_the_rest()
            hopeless = not self.been_healthy and time.monotonic() - begin < SLOW_SECONDS
            if self.deadline is not None or hopeless:
                return code
            print(f"init: {self.command[0]} ended with {code}: again", file=sys.stderr, flush=True)
            time.sleep(PAUSE_SECONDS)

    def once(self) -> int:
        """The program's exit code."""
        # Signals that come to this process are not the program's: it has a group of its own.
        main = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, start_new_session=True)
        listening = [self.signals, 0]
        while True:
            wait = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
            ready = select.select(listening, [], [], wait)[0]
            if not ready:
                end_the_rest()
                return -signal.SIGKILL
            if self.signals in ready and {signal.SIGTERM, signal.SIGINT} & set(
                os.read(self.signals, 512)
            ):
                self.stop(main.pid)
            if 0 in ready:
                message = os.read(0, 1)
                if message == HEALTHY:
                    self.been_healthy = True
                elif message == KILL:
                    self.deadline = 0.0
                else:
                    listening.remove(0)
                    self.stop(main.pid)
            with suppress(ChildProcessError):
                while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                    if ended[0] == main.pid:
                        main.returncode = os.waitstatus_to_exitcode(ended[1])
                        return main.returncode

    def stop(self, pid: int) -> None:
        if self.deadline is None:
            self.deadline = time.monotonic() + self.grace
        with suppress(ProcessLookupError):
            os.kill(pid, self.stop_signal)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    init = Init(signal.Signals[sys.argv[1]], float(sys.argv[2]), sys.argv[3:])
    sys.exit(abs(init.run()))
