"""A job on a Ray cluster that is there already, with no service beside it: as in a batch job."""

from __future__ import annotations

from ray._private.ray_constants import ENABLE_RAY_CLUSTERS_ENV_VAR

from tests.service.client import Client
from tests.support.surefoot_command import without_run


def test_a_job_on_the_cluster_that_is_there(client: Client) -> None:
    """Without PostgreSQL, keeper or Jobs API: the study is in a folder."""
    file = client.valley("joined", settings=4)
    home = client.folder / "joined-home"
    address = client.cluster.address("ray-head", 6379)
    ran = client.surefoot(
        *("run", file, "--workers", "cluster", "-q"),
        RAY_ADDRESS=address,
        # The cluster's nodes listen on loopback alone, which a driver takes for another address
        # (deploy/ray_on_loopback.py).
        **{ENABLE_RAY_CLUSTERS_ENV_VAR: "0"},
        SUREFOOT_HOME=str(home),
        SUREFOOT_STORAGE_URL=None,
        MLFLOW_TRACKING_URI=None,
    )
    assert ran.code == 0, ran
    report = (home / "jobs" / "joined-1" / "report.json").read_text(encoding="utf-8")
    assert without_run(report) == client.here(file)
    assert client.times(file)  # which only the cluster's own processes write
