"""A user of the cluster, and one job that was carried out on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.cluster import Cluster
from tests.service.client import Client
from tests.support.surefoot_command import Ran


@pytest.fixture(scope="package")
def client(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A user of the cluster, whose problem this process can import too."""
    folder = tmp_path_factory.mktemp("client")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        yield Client(cluster, folder)


@pytest.fixture
def _as_client(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a client too, as a notebook is."""
    for name, value in client.environment().items():
        monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class Finished:
    """A job that has been submitted, followed, and is done."""

    file: Path
    id: str
    ran: Ran


@pytest.fixture(scope="package")
def finished(client: Client) -> Finished:
    """On the user's own problem."""
    file = client.valley("valley")
    ran = client.surefoot("submit", file)
    job_id = ran.out.partition("\n")[0]
    client.idle(job_id)
    return Finished(file, job_id, ran)
