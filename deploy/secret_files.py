"""Secrets as files: made once, kept, and shown to nobody."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["CLIENT_ROLES", "client_environment", "make_secrets", "shown"]

# PostgreSQL's roles that a client may act as: the owner of the studies, and who may only read.
CLIENT_ROLES = ("surefoot", "surefoot_reader")


def make_secrets(folder: Path, names: Iterable[str], mode: int) -> None:
    """Make those of `names` that are not there yet, and beside them the clients' password file.

    Args:
        folder: Made if absent; only its owner may enter it.
        names: File names; each file holds 64 random hexadecimal digits.
        mode: Of the files. What Compose mounts must be readable by the containers' users.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in names:
        if not (folder / name).exists():
            _write(folder / name, secrets.token_hex(32), mode)
    lines = [f"*:*:*:{role}:{_read(folder / f'{role}_password')}\n" for role in CLIENT_ROLES]
    _write(folder / "pgpass", "".join(lines), 0o600)


def client_environment(folder: Path, *, postgres: str, mlflow: str, ray: str) -> dict[str, str]:
    """What a client of the cluster exports, with the MLflow password itself.

    Args:
        folder: Of the secrets.
        postgres: Host and port of PostgreSQL; so are `mlflow` and `ray` (its dashboard).
    """
    return {
        "RAY_API_SERVER_ADDRESS": f"http://{ray}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "ray_token"),
        "SUREFOOT_STORAGE_URL": f"postgresql+psycopg://surefoot@{postgres}/surefoot",
        "PGPASSFILE": str(folder / "pgpass"),
        "MLFLOW_TRACKING_URI": f"http://{mlflow}",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": _read(folder / "mlflow_admin_password"),
    }


def shown(folder: Path, environment: Mapping[str, str]) -> str:
    """The lines of shell that export `environment`; the password is read from its file."""
    password = {"MLFLOW_TRACKING_PASSWORD": f"$(cat '{folder / 'mlflow_admin_password'}')"}
    return "".join(
        f'export {name}="{value}"\n' for name, value in {**environment, **password}.items()
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _write(path: Path, text: str, mode: int) -> None:
    """Never with more rights than `mode`, and never half: it is renamed into its place."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.chmod(mode)
    new.rename(path)
