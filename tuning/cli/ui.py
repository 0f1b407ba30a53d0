"""`surefoot ui`: MLflow's own UI on this machine's data."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from trainers import InvalidInput
from tuning.cli.exit_codes import ExitCode
from tuning.jobs.files import MLFLOW_PATH
from tuning.jobs.local import LocalJobs
from tuning.tracking import serve_command

__all__ = ["serve"]

_HOST = "127.0.0.1"
_START_SECONDS = 120.0  # on a machine that is busy; else ten
_STOP_SECONDS = 10.0


def serve(port: int, say: Callable[[str], None]) -> ExitCode:
    """Serve until Ctrl-C; returns the exit code.

    Args:
        port: on loopback; 0 for a free one.

    Raises:
        InvalidInput: no job has been recorded here, or the port is taken.
    """
    home = LocalJobs()
    if not home.mlflow_database.exists():
        raise InvalidInput(
            f"no runs are recorded in {home.folder}; run a job first, or set SUREFOOT_HOME"
        )
    port = _free(port)
    command, environment = serve_command(home.tracking_uri, home.artifacts, _HOST, port)
    base = f"http://{_HOST}:{port}"
    server = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        if not _answers(base, server):
            ended = "ended" if server.poll() is not None else f"does not answer on port {port}"
            _stop(server)
            _, errors = server.communicate()
            say(f"surefoot: the MLflow server {ended}:\n{errors.strip()[-2000:]}")
            return ExitCode.FAILED
        say(f"MLflow UI: {base}")
        for job in home.jobs():
            path = job.read(MLFLOW_PATH)
            if path is not None:
                say(f"  {job.id}: {base}{path.strip()}")
        say("Ctrl-C stops it.")
        server.communicate()  # reads the log, so that the pipe never fills
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.DONE
    finally:
        _stop(server)


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise InvalidInput(
                f"--port {port}: {error.strerror}; choose another, or 0 for a free one"
            ) from error
        return int(probe.getsockname()[1])


def _answers(base: str, server: subprocess.Popen[str]) -> bool:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def _stop(server: subprocess.Popen[str]) -> None:
    """End the server and its workers: its own process group, and nothing else."""
    if server.poll() is not None:
        return
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
