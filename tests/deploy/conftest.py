"""One cluster for all tests of `deploy/`: starting it takes as long as all of them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cluster import Cluster
from tests.deploy.client import PYTHON


@pytest.fixture(scope="package")
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user reaches; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.fixture(scope="package")
def cluster(open_folder: Path) -> Iterator[Cluster]:
    with Cluster(open_folder / "cluster", workers=2) as cluster:
        yield cluster


@pytest.fixture(scope="package")
def job(cluster: Cluster) -> None:
    """A driver on the head and an actor on a worker, so that these have ports too."""
    entrypoint = (
        "python -c 'import ray, time; ray.init(); "
        'actor = ray.remote(type("Sleeper", (), {"sleep": lambda self: 1})).remote(); '
        "print(ray.get(actor.sleep.remote()), flush=True); time.sleep(1000)'"
    )
    code = f"""
import time
from ray.job_submission import JobSubmissionClient
client = JobSubmissionClient()
job = client.submit_job(entrypoint={entrypoint!r})
while not client.get_job_logs(job).endswith("1\\n"):
    time.sleep(0.3)
"""
    environment = {**os.environ, **cluster.environment}
    subprocess.run([PYTHON, "-c", code], env=environment, check=True, timeout=60)
