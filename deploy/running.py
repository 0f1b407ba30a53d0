"""A service that runs as processes here: it is started, watched, paused, stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy import init

__all__ = ["Running"]

HEALTH_SECONDS = 10.0
# Beyond the grace: until the killed are gone.
STOP_SECONDS = 30.0


class Running:
    """The processes of one service.

    Args:
        command: The program and its arguments.
        environment: All of it: nothing is inherited.
        folder: Where the program runs.
        log: What it prints is appended here.
        health: A program that says by its exit code 0 that the service is well.
        stop_signal: How the program is asked to stop.
        grace_seconds: How long it may take over that before it is killed.

    Raises:
        OSError: the log cannot be written.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        health: Sequence[str],
        stop_signal: str,
        grace_seconds: float,
    ) -> None:
        self._health, self._environment, self._folder = health, environment, folder
        self._been_healthy = False
        self._stop_seconds = grace_seconds + STOP_SECONDS
        with open(log, "ab") as output:
            self._init = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", init.__file__),
                    *(stop_signal, str(grace_seconds)),
                    *command,
                ],
                env=environment,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal is for who started the services: it stops them in order.
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs, and nothing will start it again."""
        return self._init.poll() is not None

    def pids(self) -> list[int]:
        """Ids of its processes: the program and all that it started, parents first."""
        parents = init.parents()
        found = [self._init.pid]
        for pid in found:  # it grows
            found.extend(child for child, parent in parents.items() if parent == pid)
        return found[1:]

    def healthy(self) -> bool:
        """Whether its program runs and its health check passes now."""
        program = init.children(self._init.pid)
        if self.ended or not program:
            return False
        try:
            check = subprocess.run(
                self._health,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=HEALTH_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        healthy = check.returncode == 0 and program[0] in init.children(self._init.pid)
        if healthy and not self._been_healthy:
            self._been_healthy = True
            self._tell(init.HEALTHY)
        return healthy

    def stop(self) -> None:
        """Ask it to stop; nothing starts it again."""
        self.signal(signal.SIGCONT)
        self._init.terminate()

    def kill(self) -> None:
        """Have every process of it killed; nothing starts it again."""
        self._tell(init.KILL)

    def wait(self) -> None:
        """Wait until nothing of it is left, once it was told to stop or killed."""
        self._init.communicate(timeout=self._stop_seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of it."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def pause(self) -> None:
        """SIGSTOP to every process of it, until none runs."""
        paused: set[int] = set()
        while new := set(self.pids()) - paused:  # one may have been born meanwhile
            for pid in new:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            paused |= new

    def _tell(self, message: bytes) -> None:
        assert self._init.stdin is not None
        with suppress(BrokenPipeError):
            self._init.stdin.write(message)
            self._init.stdin.flush()
