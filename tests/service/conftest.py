"""One real cluster for the whole folder, and one job that was carried out on it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.cluster import Cluster
from tests.service.client import IN_THE_CLUSTER, Client
from tests.support.surefoot_command import Ran


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A user of the cluster, whose problem this process can import too."""
    folder = tmp_path_factory.mktemp("client")
    # Not pytest's folder: PostgreSQL's user must enter it, and Ray's paths must be short.
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        with (
            Cluster(
                Path(name) / "cluster", workers=2, environment={IN_THE_CLUSTER: "1"}
            ) as cluster,
            pytest.MonkeyPatch.context() as patch,
        ):
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
