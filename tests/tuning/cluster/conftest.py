"""A cluster's database, and a job in it that nobody works on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.fake_cluster import add, emptied, new_url
from tests.support.postgres_server import Postgres
from tuning.jobs.cluster import ClusterJob, ClusterJobs


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return new_url(postgres)


@pytest.fixture
def job(url: str) -> Iterator[ClusterJob]:
    with emptied(ClusterJobs(url)) as database:
        yield add(database)
