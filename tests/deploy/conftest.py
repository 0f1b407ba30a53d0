"""What the tests of `deploy/` share beside the cluster."""

from __future__ import annotations

import os
import subprocess

import pytest

from deploy.cluster import Cluster
from tests.deploy.client import PYTHON


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
