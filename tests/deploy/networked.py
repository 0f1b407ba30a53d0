"""A cluster on the networks of its compose file, and a user beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.cluster import Cluster
from deploy.compose import read, read_networks
from tests.deploy.namespaces import MACHINE, Namespaces
from tests.service.client import IN_THE_CLUSTER, Client

__all__ = ["NEEDS_ROOT", "WORKERS", "networked"]

NEEDS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft"),
    reason="network namespaces need root, iproute2 and nftables",
)
WORKERS = ("ray-worker-1", "ray-worker-2")


@contextmanager
def networked(folder: Path, files: Path, compose: Path) -> Iterator[tuple[Namespaces, Client]]:
    """A cluster on its networks, and a user at work on the machine of its containers."""
    with (
        Namespaces(read(compose), read_networks(compose)) as site,
        Cluster(folder, site=site, compose=compose, environment={IN_THE_CLUSTER: "1"}) as cluster,
    ):
        yield site, Client(cluster, files, where=site.inside(MACHINE))
