"""`python -m deploy`: the cluster on loopback, until it is told to stop."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from deploy.cluster import Cluster, ClusterFailed
from deploy.secret_files import shown


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="surefoot-data/cluster",
    show_default=True,
    help="Data, secrets and logs; what it holds is used again.",
)
@click.option(
    "--workers", type=click.IntRange(min=0), default=2, show_default=True, help="Ray workers."
)
def main(folder: Path, workers: int) -> None:
    """The services of docker-compose.yml without Docker, as processes on this machine."""
    # SIGTERM ends it as Ctrl-C does: the services stop in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    click.echo(f"starting in {folder} (logs: {folder}/*/log)", err=True)
    try:
        with Cluster(folder, workers=workers) as cluster:
            click.echo(shown(cluster.secrets, cluster.environment), nl=False)
            click.echo("healthy; Ctrl-C stops it", err=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    except (ClusterFailed, LookupError, OSError) as error:
        sys.exit(f"surefoot: {error}")


main()
