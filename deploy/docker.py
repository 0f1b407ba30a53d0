"""`python -m deploy.docker`: what `docker compose up` needs before, what a client needs after."""

from __future__ import annotations

import os

import click

from deploy.compose import COMPOSE_FILE, read
from deploy.loopback import LOOPBACK
from deploy.secret_files import client_environment, make_secrets, shown

__all__ = ["main"]

SECRETS = COMPOSE_FILE.parent / "secrets"
# The variables by which docker-compose.yml lets its published ports be chosen.
PORTS = {
    "SUREFOOT_POSTGRES_PORT": 5432,
    "SUREFOOT_MLFLOW_PORT": 5000,
    "SUREFOOT_RAY_PORT": 8265,
}


@click.command()
@click.option("--exports", is_flag=True, help="Print what to export, and do nothing.")
def main(exports: bool) -> None:
    """Make the secrets that docker-compose.yml names, unless they are there."""
    ports = {name: int(os.environ.get(name, port)) for name, port in PORTS.items()}
    if exports:
        postgres, mlflow, ray = (f"{LOOPBACK}:{port}" for port in ports.values())
        environment = client_environment(SECRETS, postgres=postgres, mlflow=mlflow, ray=ray)
        click.echo(shown(SECRETS, environment), nl=False)
        return
    # The containers' users must read the files that Compose mounts; the folder keeps others out.
    names = {secret for service in read().values() for secret in service.secrets}
    make_secrets(SECRETS, names, 0o444)


if __name__ == "__main__":
    main()
