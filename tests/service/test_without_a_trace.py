"""No secret of the cluster is left anywhere; the last of the folder by its name, to see what all
the others have left.
"""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.deploy.client import secrets_of
from tests.service.client import Client
from tests.service.conftest import Finished

pytestmark = pytest.mark.usefixtures("finished")  # one job at least has left something


@pytest.fixture
def secrets(client: Client) -> dict[str, bytes]:
    found = secrets_of(client.cluster)
    assert len(found) >= 6
    assert all(len(secret) >= 32 for secret in found.values())
    return found


def traces(secrets: dict[str, bytes], content: bytes) -> list[str]:
    return [name for name, secret in secrets.items() if secret in content]


def test_logs(client: Client, secrets: dict[str, bytes]) -> None:
    """What the services printed, and Ray's own logs of every node, driver and worker."""
    folder = client.cluster.folder
    files = [
        path
        for path in folder.rglob("*")
        if (path.name == "log" or "logs" in path.relative_to(folder).parts) and path.is_file()
    ]
    assert len(files) > 20
    assert {path: found for path in files if (found := traces(secrets, path.read_bytes()))} == {}


def test_database(client: Client, secrets: dict[str, bytes]) -> None:
    with client.database.session() as session:
        lines = session.execute("select text from surefoot_line").fetchall()
        files = session.execute("select content from surefoot_file").fetchall()
    said = "\n".join(text for (text,) in lines).encode()
    assert b"submitted by ada" in said
    assert traces(secrets, said + b"".join(content for (content,) in files)) == []


@pytest.mark.usefixtures("_as_client")
def test_mlflow(
    client: Client, secrets: dict[str, bytes], finished: Finished, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    records = MlflowClient(client.cluster.environment["MLFLOW_TRACKING_URI"])
    experiments = records.search_experiments()
    runs = records.search_runs([experiment.experiment_id for experiment in experiments])
    assert finished.id in {experiment.name for experiment in experiments}
    kept = json.dumps(
        [[experiment.tags for experiment in experiments], [run.to_dictionary() for run in runs]]
    )
    assert traces(secrets, kept.encode()) == []
    for run in runs:
        if run.info.run_name == "report":
            folder = Path(records.download_artifacts(run.info.run_id, "", str(tmp_path)))
            files = [path for path in folder.rglob("*") if path.is_file()]
            assert traces(secrets, b"".join(path.read_bytes() for path in files)) == []


def test_ray_jobs(client: Client, secrets: dict[str, bytes], finished: Finished) -> None:
    """Their metadata and runtime environments; where the token is must be known to ask for them."""
    request = urllib.request.Request(
        f"{client.cluster.environment['RAY_API_SERVER_ADDRESS']}/api/jobs/",
        headers={"Authorization": f"Bearer {secrets['ray_token'].decode()}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        content = answer.read()
    jobs = {job["metadata"].get("surefoot.job"): job for job in json.loads(content)}
    assert jobs[finished.id]["metadata"]["owner"] == "ada"
    assert "OMP_NUM_THREADS" in jobs[finished.id]["runtime_env"]["env_vars"]
    assert traces(secrets, content) == []
