"""What holds for every test: one BLAS thread, and no trace in the repository."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.postgres_server import Postgres
from tests.support.surefoot_command import without_pictures

# Before Matplotlib is imported, by whichever test draws first.
os.environ.setdefault("MPLBACKEND", "agg")


ON_A_CLUSTER = ("tests/chaos/test_cluster.py", "tests/deploy/", "tests/service/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """For `-n 2`: what needs a real cluster goes on in one process, a cluster at a time and beside
    all else; other files stay whole, for the sake of their fixtures."""

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist publishes no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "cluster" if file.startswith(ON_A_CLUSTER) else file

    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine make small products many times slower."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_home_in_the_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A test that names no home of its own, or starts a process that does not, gets one for all."""
    folder = tmp_path_factory.mktemp("surefoot-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUREFOOT_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def no_pictures() -> Iterator[None]:
    """Reports without pictures."""
    with without_pictures():
        yield


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """Ray with two workers, for a whole module."""
    import ray

    from tuning.execution.ray_session import start_ray

    # Not pytest's folder: the paths of Ray's sockets must be short.
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as folder:
        assert start_ray(2, folder)
        assert not start_ray(2, folder)  # it is there
        yield
        ray.shutdown()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole session. Make a database of your own in it."""
    # Not pytest's folder: only its owner can enter that.
    with tempfile.TemporaryDirectory(prefix="sf-") as folder:
        os.chmod(folder, 0o755)
        with Postgres(Path(folder) / "data") as server:
            yield server
