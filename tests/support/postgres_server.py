"""A private PostgreSQL for tests: the real server, in a folder, on a free port of loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

__all__ = ["Postgres"]

USER = "surefoot"
PASSWORD = "s3cret-of-the-tests"


class Postgres:
    """`with Postgres(folder) as server: ...` runs a server whose data are in the new `folder`.

    Every database is reached by password over TCP, as in earnest. The server refuses to be root:
    then it runs as `postgres` or `nobody`, who must be able to enter the folder above `folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._identity = _identity()
        self._programs = _programs()

    @property
    def url(self) -> str:
        """The database `surefoot`, as its owner."""
        return self.url_of("surefoot")

    def url_of(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql+psycopg://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder.mkdir(mode=0o700)
            stack.callback(shutil.rmtree, self.folder)
            if self._identity:
                os.chown(self.folder, *self._identity)
            secret = self.folder.with_name(self.folder.name + "-password")
            secret.write_text(PASSWORD, encoding="utf-8")
            stack.callback(secret.unlink)
            self._run(
                "initdb", f"--username={USER}", f"--pwfile={secret}", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
            )  # fmt: skip
            stack.callback(self.kill)
            self.start()
            self.new_database("surefoot")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def new_database(self, name: str, options: str = "") -> str:
        """A database that did not exist; its address."""
        self.execute(f'CREATE DATABASE "{name}" {options}', "postgres")
        return self.url_of(name)

    def execute(self, statement: str, database: str = "surefoot") -> list[tuple[object, ...]]:
        """What an administrator's program does, in a session of its own."""
        url = self.url_of(database).replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        """Removes every study from the database `surefoot`."""
        if self.execute("SELECT to_regclass('studies')") != [(None,)]:
            self.execute("TRUNCATE studies CASCADE")

    def start(self) -> None:
        # Without fsync: programs are killed here, not the machine.
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' "
            "-c fsync=off"
        )
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self.folder}/log",
                  f"--options={options}")  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--wait", "--silent", f"--mode={mode}")

    def restart(self, mode: str = "immediate") -> None:
        """By default as after a crash: sessions are cut, and the log of writes is replayed."""
        self.stop(mode)
        self.start()

    def start_if_stopped(self) -> None:
        if not (self.folder / "postmaster.pid").exists():
            self.start()

    def kill(self) -> None:
        """Ends it by its process id, if it runs, as `pg_ctl stop --mode=immediate` does."""
        try:
            pid = int((self.folder / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        except FileNotFoundError:
            return
        os.kill(pid, signal.SIGQUIT)
        while (self.folder / "postmaster.pid").exists() and Path(f"/proc/{pid}").exists():
            time.sleep(0.01)

    def _run(self, program: str, *arguments: str) -> None:
        user, group = self._identity or (None, None)
        # Its output is a file: the server inherits it, and a pipe would stay open with it.
        with open(f"{self.folder}-output", "w+", encoding="utf-8") as output:
            done = subprocess.run(
                [self._programs / program, f"--pgdata={self.folder}", *arguments],
                user=user, group=group, extra_groups=[] if user else None, cwd="/",
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=60,
            )  # fmt: skip
            output.seek(0)
            said = output.read()
        Path(output.name).unlink()
        if done.returncode:
            log = self.folder / "log"
            raise RuntimeError(said + (log.read_text(encoding="utf-8") if log.exists() else ""))


def _programs() -> Path:
    """The folder of the newest server; Debian keeps it off the PATH."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])
    )
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise RuntimeError("these tests need a PostgreSQL server: apt install postgresql")
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


def _identity() -> tuple[int, int] | None:
    """Who shall run the server: None for the user of the tests."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise RuntimeError("PostgreSQL does not run as root, and there is no user postgres or nobody")
