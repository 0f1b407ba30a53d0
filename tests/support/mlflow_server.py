"""A real MLflow server on this machine, as `surefoot ui` starts it."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

from tuning.tracking import serve_command
from tuning.tracking.address import sqlite_address

__all__ = ["PATIENCE", "Server", "wait_until"]

PATIENCE = 60.0


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Server:
    """`mlflow server` on a free port, in a process group of its own, on `folder`/mlflow.db."""

    def __init__(self, folder: Path, artifacts: str = "files") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.folder, self._artifacts = folder, folder / artifacts
        self.file = folder / "mlflow.db"
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command, environment = serve_command(
            sqlite_address(self.file), self._artifacts, "127.0.0.1", self.port
        )
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def count(self, query: str) -> int:
        with sqlite3.connect(self.file, timeout=30) as database:
            return int(database.execute(f"select count(*) from {query}").fetchone()[0])
