"""What holds for every test: its markers, which process runs it, one BLAS thread, and no trace in
the repository.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from threadpoolctl import threadpool_limits
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.postgres_server import Postgres
from tests.support.surefoot_command import without_pictures

if TYPE_CHECKING:
    from deploy.cluster import Cluster

# Before Matplotlib is imported, by whichever test draws first.
os.environ.setdefault("MPLBACKEND", "agg")


#: Marked `cluster`, and so is what asks for one of these fixtures.
CLUSTER_FOLDERS = ("tests/chaos/", "tests/deploy/", "tests/service/")
CLUSTER_FIXTURES = {"ray", "postgres"}

#: What goes on in one process, one after another. Those that take longest begin first, each in a
#: process of its own, and what remains fills both up: so that both end at about the same time.
TOGETHER = {
    "loopback": ("tests/deploy/", "tests/service/"),  # they share a cluster
    "networks": ("tests/deploy/test_networks.py", "tests/deploy/test_wrong_network.py"),
    "chaos": ("tests/chaos/",),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.nodeid.startswith(CLUSTER_FOLDERS) or fixtures & CLUSTER_FIXTURES:
            item.add_marker("cluster")
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    """What takes longest first; within a rank the order stays."""
    orders = [*TOGETHER, "science"]
    is_long = item.get_closest_marker("science") is not None
    name = "science" if is_long else scope(item.nodeid)
    return orders.index(name) if name in orders else len(orders)


def scope(nodeid: str) -> str:
    """Tests of one scope go on in one process: the longest prefix in `TOGETHER`, or the file."""
    file = nodeid.partition("::")[0]
    found = [(len(p), name) for name, ps in TOGETHER.items() for p in ps if file.startswith(p)]
    return max(found)[1] if found else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """For `-n 2`: see `TOGETHER`; other files stay whole, for the sake of their fixtures."""

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist publishes no types
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

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


# ------------------------------------------------------------------------------------- the cluster

_LOOPBACK = pytest.StashKey[ExitStack]()


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user reaches; pytest's own are closed to others, and too long for
    the paths of Ray's sockets."""
    with tempfile.TemporaryDirectory(prefix="sf-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[Cluster]:
    """One cluster on loopback for all tests that may share it: starting it takes as long as most of
    them. Ray's processes there know `IN_THE_CLUSTER`."""
    from deploy.cluster import Cluster
    from tests.service.client import IN_THE_CLUSTER

    with ExitStack() as stack:
        request.session.stash[_LOOPBACK] = stack
        folder, environment = open_folder / "cluster", {IN_THE_CLUSTER: "1"}
        yield stack.enter_context(Cluster(folder, workers=2, environment=environment))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The cluster ends with the last test of its scope: idle, it would slow down the others."""
    over = nextitem is None or scope(nextitem.nodeid) != "loopback"
    if over and _LOOPBACK in item.session.stash:
        item.session.stash[_LOOPBACK].close()
