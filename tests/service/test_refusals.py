"""A client that is set up wrongly, a cluster that is down: one line, and nothing is submitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.loopback import free_port
from tests.service.client import Client
from tests.service.conftest import Finished

TOKENLESS = {"RAY_AUTH_MODE": None, "RAY_AUTH_TOKEN_PATH": None}
NOBODY = "http://127.0.0.1:{port}"


def wrong_passwords(folder: Path) -> str:
    path = folder / "pgpass"
    path.write_text("*:*:*:surefoot:wrong\n", encoding="ascii")
    path.chmod(0o600)
    return str(path)


def wrong_token(folder: Path) -> str:
    path = folder / "token"
    path.write_text("0" * 64, encoding="ascii")
    path.chmod(0o600)
    return str(path)


def refused(client: Client, code: int, *arguments: str, **changes: str | None) -> str:
    """The one line of a `submit` that must not have submitted anything."""
    ran = client.surefoot("submit", client.valley("refused"), *arguments, **changes)
    assert (ran.code, ran.out) == (code, ""), ran
    (line,) = [line for line in ran.err.splitlines() if not line.startswith("the valley")]
    assert line.startswith("surefoot: ")
    assert not [entry for entry in client.database.entries() if entry.id.startswith("refused")]
    return line


def test_no_token(client: Client, tmp_path: Path) -> None:
    line = refused(client, 2, HOME=str(tmp_path), **TOKENLESS)
    assert "RAY_AUTH_TOKEN_PATH" in line
    assert list(tmp_path.iterdir()) == []  # Ray would make a token of its own there


def test_wrong_token(client: Client, tmp_path: Path) -> None:
    line = refused(client, 2, RAY_AUTH_TOKEN_PATH=wrong_token(tmp_path))
    assert "RAY_AUTH_TOKEN_PATH" in line


def test_token_file_that_is_not_there(client: Client, tmp_path: Path) -> None:
    line = refused(client, 2, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert "RAY_AUTH_TOKEN_PATH" in line


def test_wrong_database_password(client: Client, tmp_path: Path) -> None:
    line = refused(client, 2, PGPASSFILE=wrong_passwords(tmp_path))
    assert "password" in line


def test_no_database(client: Client) -> None:
    assert "SUREFOOT_STORAGE_URL" in refused(client, 2, SUREFOOT_STORAGE_URL=None)


def test_database_that_is_down(client: Client) -> None:
    url = f"postgresql+psycopg://surefoot@127.0.0.1:{free_port()}/surefoot"
    assert "cannot reach the database" in refused(client, 1, "--storage", url)


def test_no_address(client: Client) -> None:
    assert "RAY_API_SERVER_ADDRESS" in refused(client, 2, RAY_API_SERVER_ADDRESS=None)


def test_address_that_is_none(client: Client) -> None:
    line = refused(client, 2, "--address", "ray://somewhere")
    assert "write http://HOST:PORT" in line


def test_cluster_that_is_down(client: Client) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert f"no Ray cluster answers at {address}" in refused(client, 1, "--address", address)


def test_what_answers_there_is_no_ray(client: Client) -> None:
    address = client.cluster.environment["MLFLOW_TRACKING_URI"]
    assert address in refused(client, 1, "--address", address)


@pytest.mark.parametrize("command", ["status", "logs", "report", "stop", "resume", "delete"])
def test_no_such_job(client: Client, command: str) -> None:
    ran = client.surefoot(command, "nothing-0000")
    assert (ran.code, ran.out) == (2, ""), ran
    (line,) = ran.err.splitlines()
    assert line.startswith("surefoot: no job 'nothing-0000' in postgresql+psycopg://")


def test_wrong_mlflow_password_keeps_a_job_from_being_deleted(
    client: Client, finished: Finished
) -> None:
    ran = client.surefoot("delete", finished.id, MLFLOW_TRACKING_PASSWORD="wrong-password")
    assert (ran.code, ran.out) == (2, ""), ran
    (line,) = ran.err.splitlines()
    assert "MLFLOW_TRACKING_PASSWORD" in line
    assert "wrong-password" not in line
    assert client.database.find(finished.id) is not None
    resumed = client.surefoot("resume", finished.id, "-q")
    assert resumed.code == 0, resumed
