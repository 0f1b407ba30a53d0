"""A head that is known under an address where no worker can reach it.

So Ray does it on a machine with several networks when nobody says which: it takes that of the
default route. Small messages pass all the same, for the head sends them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.compose import COMPOSE_FILE
from tests.deploy.namespaces import Namespaces
from tests.deploy.networked import NEEDS_ROOT, WORKERS, networked
from tests.service.client import Client
from tuning.cli.exit_codes import ExitCode

pytestmark = NEEDS_ROOT
ON_NETWORK = "      - on-network\n      - ray-head.inside\n"
HEAD = "      - ray\n      - start\n      - --head\n"


@pytest.fixture(scope="module")
def astray(
    open_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Namespaces, Client]]:
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    assert text.count(ON_NETWORK + HEAD) == 1
    compose = open_folder / "astray.yml"
    compose.write_text(text.replace(ON_NETWORK + HEAD, HEAD), encoding="utf-8")
    with networked(open_folder / "astray", tmp_path_factory.mktemp("astray"), compose) as world:
        yield world


def test_doctor_names_the_nodes_and_the_cause(astray: tuple[Namespaces, Client]) -> None:
    site, client = astray
    found = client.doctor(1)
    bad = {what: finding for what, finding in found.items() if not finding["ok"]}
    assert set(bad) == {f"node {site.addresses[name]['inside']}" for name in WORKERS}
    head = site.addresses["ray-head"]["outside"]
    for finding in bad.values():
        assert "an argument of 1 MB does not come to it" in finding["found"]
        assert "a result of 1 MB does not come from it" in finding["found"]
        assert f"the head is registered under {head}" in finding["remedy"]
        assert "--node-ip-address" in finding["remedy"]


def test_a_job_ends_and_says_why(astray: tuple[Namespaces, Client]) -> None:
    site, client = astray
    file = client.write(
        'name = "xor"\n[problem]\nname = "xor"\n[search]\noptimizers = ["gd"]\n'
        'sampler = "tpe"\nsettings = 2\n'
        "[training]\nrestarts = 16\nsteps = 20\n[cluster]\ntransfer_timeout = 2.0\n",
        "xor.toml",
    )
    ran = client.surefoot("submit", file, "-q")
    assert ran.code == ExitCode.FAILED, ran
    head = site.addresses["ray-head"]["outside"]
    workers = site.addresses[WORKERS[0]]["inside"].rpartition(".")[0]
    said = ran.err.splitlines()[-1]
    assert "was lost 6 times; last: its problem did not come from node" in said
    assert f"from node {head} to {workers}." in said
    assert "surefoot doctor" in said
