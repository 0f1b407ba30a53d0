"""A job that uses a plug-in, on a cluster where that is not installed."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_cluster import ADDRESS, TABLE, FakeRay, emptied
from tests.support.plugins import install_sample, on_path
from tuning.cluster import driver, submit
from tuning.jobs.base import State
from tuning.jobs.cluster import ClusterJobs
from tuning.jobs.files import FAILURE, HEADER

PROBLEM: dict[str, Any] = {**TABLE, "problem": {"name": "spring"}}
OPTIMIZER: dict[str, Any] = {**TABLE, "search": {**TABLE["search"], "optimizers": ["qhm"]}}


@pytest.mark.parametrize("table", [PROBLEM, OPTIMIZER], ids=["problem", "optimizer"])
def test_the_coordinator_says_what_to_install(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: dict[str, Any]
) -> None:
    monkeypatch.setattr(submit, "RayJobs", FakeRay())
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    install_sample(tmp_path)
    with emptied(ClusterJobs(url)) as database:
        with on_path(tmp_path):
            sent = submit.submit(table, address=ADDRESS, storage=url, owner="ann")
            job = database.job(sent.id)
            assert json.loads(job.read(HEADER) or "")["plugins"] == {"surefoot-spring": "0.1.0"}
        assert driver.coordinate(job.id) is State.FAILED
        assert job.state is State.FAILED
        assert job.read(FAILURE) == (
            f"job {job.id} uses the plug-in surefoot-spring 0.1.0, which is not installed on "
            f"{socket.gethostname()}: install it there, and on every worker\n"
        )


def test_another_version_makes_another_job(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submit, "RayJobs", FakeRay())
    ids: list[str] = []
    with emptied(ClusterJobs(url)):
        for version in ("0.1.0", "0.1.0", "0.2.0"):
            site = tmp_path / str(len(ids))
            install_sample(site)
            metadata = site / "surefoot_spring-0.1.0.dist-info" / "METADATA"
            text = metadata.read_text(encoding="utf-8")
            metadata.write_text(text.replace("0.1.0", version), encoding="utf-8")
            with on_path(site):
                sent = submit.submit(OPTIMIZER, address=ADDRESS, storage=url, owner="ann")
            ids.append(sent.id)
    assert ids[0] == ids[1] != ids[2]
