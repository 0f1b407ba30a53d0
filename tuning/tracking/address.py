"""Where MLflow is: its address, a link to it, the command that serves it."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from trainers._suggest import nearest
from trainers.data.uri import masked
from trainers.errors import InvalidInput

__all__ = ["SERVERS", "check", "link", "serve_command", "sqlite_address", "sqlite_file"]

SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
# What SQLAlchemy loads for a scheme that names no driver.
DRIVERS = {"postgresql": "psycopg2", "mysql": "MySQLdb", "mssql": "pyodbc"}


def check(uri: str) -> None:
    """Raises InvalidInput, in one line, for a `uri` that cannot work. Nothing is opened."""
    scheme, found, _ = uri.partition("://")
    kind, _, driver = scheme.partition("+")
    where = f"tracking.uri = {masked(uri)!r}"
    if not found or kind not in (*SERVERS, *DATABASES):
        raise InvalidInput(f"{where}: it starts with none of the valid schemes{_schemes(kind)}")
    if kind == "sqlite":
        try:
            _check_file(where, sqlite_file(uri))
        except OSError as error:  # a name that is too long
            raise InvalidInput(f"{where}: {error.strerror}") from error
        return
    try:
        parts = urlsplit(uri)
        complete = parts.port != 0 and (kind in DATABASES or parts.hostname is not None)
    except ValueError:  # a port that is no number, brackets that do not close
        complete = False
    if not complete:
        raise InvalidInput(f"{where}: its host or port is not valid; write {kind}://HOST:PORT")
    module = driver or DRIVERS.get(kind)
    if module and find_spec(module) is None:
        raise InvalidInput(
            f"{where}: the driver {module!r} is not installed; install it "
            "(surefoot[postgres] brings psycopg, for postgresql+psycopg://...)"
        )


def _schemes(wrong: str) -> str:
    return nearest(wrong, [f"{kind}://" for kind in (*SERVERS, *DATABASES)])


def sqlite_file(uri: str) -> Path | None:
    """The file of an sqlite `uri`, None for any other."""
    file = uri.partition(":///")[2].partition("?")[0]
    named = uri.startswith("sqlite") and file not in ("", ":memory:")
    return Path(unquote(file)) if named else None


def sqlite_address(file: Path) -> str:
    """The inverse of `sqlite_file`."""
    plain = str(file)
    path = plain.replace("%", "%25").replace("?", "%3F")
    # Where the driver is not named MLflow makes the folder of the path, and does not decode it.
    return f"sqlite{'+pysqlite' * (path != plain)}:///{path}"


def _check_file(where: str, file: Path | None) -> None:
    if file is None:
        raise InvalidInput(
            f"{where}: it names no file; write sqlite:///FILE, or sqlite:////FOLDER/FILE "
            "for a path from the root"
        )
    if file.is_dir():
        raise InvalidInput(f"{where}: {file} is a folder; name a file in it")
    existing = next(place for place in (file, *file.absolute().parents) if place.exists())
    if not os.access(existing, os.W_OK) or not (existing == file or existing.is_dir()):
        raise InvalidInput(f"{where}: {existing} cannot be written to; choose a file elsewhere")


def link(uri: str, path: str) -> str | None:
    """A link to `path` on the server at `uri`; None for a database, which needs one to be seen."""
    parts = urlsplit(uri)
    if parts.scheme not in SERVERS:
        return None
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")) + path


def serve_command(
    uri: str, artifact_root: Path, host: str, port: int
) -> tuple[list[str], dict[str, str]]:
    """The command that serves MLflow's UI, with Surefoot's entrance, on the store at `uri`, and its
    environment.

    `uri` goes through the environment: every user of the machine can read a command line, and
    `uri` may hold a password. One worker process: each takes 300 MB, and one is enough for the
    people who watch a job.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--app-name", "surefoot"]
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_ARTIFACTS_DESTINATION": artifact_root.absolute().as_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its background jobs (Surefoot has none) take 1.3 GB.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # The server warns of its own parts.
        "PYTHONWARNINGS": "ignore",
    }
    return [*command, "--host", host, "--port", str(port)], environment
