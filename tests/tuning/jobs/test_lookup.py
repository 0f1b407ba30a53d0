"""A job is looked for on this machine first, then on the cluster that is named, if one is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_cluster import add, new_url
from tests.support.postgres_server import Postgres
from trainers import InvalidInput
from tuning.errors import Unreachable
from tuning.jobs.cluster import ClusterJob, ClusterJobs
from tuning.jobs.files import HEADER
from tuning.jobs.local import LocalJob
from tuning.jobs.lookup import cluster, find_job

LACKING = "postgresql+psycopg://ann:hush@127.0.0.1:1/none"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With one job, local-1."""
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path))
    monkeypatch.delenv("SUREFOOT_STORAGE_URL", raising=False)
    job = tmp_path / "jobs" / "local-1"
    job.mkdir(parents=True)
    (job / HEADER).write_text(
        '{"spec": {}, "problem": {}, "created": "", "folder": ""}', encoding="utf-8"
    )
    return tmp_path


@pytest.mark.usefixtures("home")
def test_without_a_cluster_only_this_machine_is_searched() -> None:
    assert cluster() is None
    assert isinstance(find_job("local-1"), LocalJob)
    with pytest.raises(InvalidInput, match=r"^no job 'local-2' in .*; did you mean 'local-1'\?"):
        find_job("local-2")


def test_this_machine_comes_first(
    home: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_url(postgres)
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", url)
    for name in ("local-1", "there-1"):
        add(ClusterJobs(url), name)
    assert isinstance(find_job("local-1"), LocalJob)
    assert isinstance(find_job("there-1"), ClusterJob)
    for wrong in ("there-2", "a\0b", "\udcff", "../x", ""):
        with pytest.raises(InvalidInput, match=r"^no job .* in postgresql\+psycopg://surefoot:\*"):
            find_job(wrong)
    with pytest.raises(InvalidInput, match=f"^no job 'there-1' in {home}"):
        find_job("there-1", home=home)


@pytest.mark.usefixtures("home")
def test_a_cluster_that_is_away_keeps_nobody_from_the_jobs_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", LACKING)
    assert isinstance(find_job("local-1"), LocalJob)
    with pytest.raises(Unreachable, match=r"^cannot reach the database .*://ann:\*\*\*@"):
        find_job("there-1")
    database = cluster(LACKING.replace("1:1/", "1:2/"))
    assert database is not None
    assert ":2/none" in database.url
