"""What the entrypoint of PostgreSQL's image does: make the database once, then become the server.

    python -m deploy.postgres DATA SCRIPTS SOCKETS postgres ARGUMENT...

DATA is the data folder, SCRIPTS a folder of .sql files that the superuser runs when DATA is new,
SOCKETS where the server puts its socket. The environment holds POSTGRES_USER,
POSTGRES_PASSWORD_FILE and POSTGRES_INITDB_ARGS, as the image reads them. PostgreSQL refuses to
run as root: for root it runs as the user `postgres` or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["other_user", "programs"]


def programs() -> Path:
    """The folder of the newest PostgreSQL's programs.

    Raises:
        FileNotFoundError: there is none.
    """
    found = [
        *Path("/usr/lib/postgresql").glob("*/bin/initdb"),  # Debian
        *Path("/usr").glob("pgsql-*/bin/initdb"),  # Red Hat
    ]
    if found:
        return max(found, key=lambda path: int(re.findall(r"\d+", str(path))[0])).parent
    if (initdb := shutil.which("initdb")) is None:
        raise FileNotFoundError(
            "PostgreSQL's initdb is neither in /usr/lib/postgresql nor on the PATH: "
            "install PostgreSQL 15 or newer (Debian: apt-get install postgresql)"
        )
    return Path(initdb).resolve().parent


def other_user() -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as when this process is root's; None otherwise.

    Raises:
        LookupError: there is neither a user `postgres` nor `nobody`.
    """
    if os.geteuid() != 0:
        return None
    users = {user.pw_name: user for user in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in users:
            return users[name]
    raise LookupError("PostgreSQL refuses to run as root, and no user postgres or nobody exists")


def _make(data: Path, scripts: Path, sockets: Path, user: pwd.struct_passwd | None) -> None:
    superuser = os.environ["POSTGRES_USER"]
    password = Path(os.environ["POSTGRES_PASSWORD_FILE"]).read_text(encoding="ascii").strip()
    them = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str, **rights: object) -> None:
        subprocess.run([programs() / program, *arguments], check=True, cwd="/", **rights)  # type: ignore[call-overload]

    # A database that was half made is none.
    making = data.with_name(f"{data.name}.new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    secret = making.with_name("initdb-password")
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="ascii")
    if user is not None:
        os.chown(making, user.pw_uid, user.pw_gid)
        os.chown(secret, user.pw_uid, user.pw_gid)
    try:
        run(
            "initdb",
            f"--pgdata={making}",
            f"--username={superuser}",
            f"--pwfile={secret}",
            "--encoding=UTF8",
            "--no-sync",
            *shlex.split(os.environ.get("POSTGRES_INITDB_ARGS", "")),
            **them,
        )
    finally:
        secret.unlink()
    with open(making / "pg_hba.conf", "a", encoding="ascii") as rules:
        rules.write("host all all all scram-sha-256\n")  # initdb lets nobody in from other hosts
    server = ("--wait", f"--pgdata={making}")
    options = f"-clisten_addresses= -cunix_socket_directories={sockets}"
    run("pg_ctl", "start", "--silent", *server, f"--options={options}", **them)
    try:
        for script in sorted(scripts.glob("*.sql")):
            run(
                "psql",
                "--quiet",
                "--no-psqlrc",
                "--set=ON_ERROR_STOP=1",
                f"--host={sockets}",
                f"--username={superuser}",
                "--dbname=postgres",
                f"--file={script}",
                env={**os.environ, "PGPASSWORD": password},
            )
    finally:
        run("pg_ctl", "stop", "--silent", *server, **them)
    making.rename(data)


def main(data: Path, scripts: Path, sockets: Path, command: list[str]) -> None:
    user = other_user()
    if user is not None:
        os.chown(sockets, user.pw_uid, user.pw_gid)
    if not data.exists():
        _make(data, scripts, sockets, user)
    if user is not None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    arguments = [*command, f"-cunix_socket_directories={sockets}", f"-D{data}"]
    os.execv(programs() / command[0], arguments)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
