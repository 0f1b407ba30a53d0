"""The cluster on the networks that docker-compose.yml declares, each service where it puts it.

On loopback every node reaches every other, under whatever address it is known. Here none does but
through the networks of the file.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.compose import COMPOSE_FILE, read
from tests.deploy.namespaces import MACHINE, MACHINE_OUTWARD, NEIGHBOUR, NEIGHBOURS, Namespaces
from tests.deploy.networked import NEEDS_ROOT, WORKERS, networked
from tests.deploy.reach import listened, reached
from tests.service.client import Client, until
from tests.support.surefoot_command import without_run

pytestmark = NEEDS_ROOT
SERVICES = ("postgres", "mlflow", "ray-head", "keeper", *WORKERS)
PUBLISHED = {("127.0.0.1", 5432), ("127.0.0.1", 5000), ("127.0.0.1", 8265)}
# docs/cluster.md, "Who reaches whom": what is listened on at the right can be connected to from
# the left; the rest has no way there at all.
REACHES = {
    "postgres": {"postgres", "mlflow", "ray-head"},
    "mlflow": {"postgres", "mlflow", "ray-head"},
    "ray-head": set(SERVICES) - {"keeper"},  # which listens nowhere
    "keeper": {"postgres", "mlflow", "ray-head"},
    "ray-worker-1": {"ray-head", *WORKERS},
    "ray-worker-2": {"ray-head", *WORKERS},
}


@pytest.fixture(scope="module")
def world(
    open_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Namespaces, Client]]:
    files = tmp_path_factory.mktemp("networked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(files)])
        with networked(open_folder / "networked", files, COMPOSE_FILE) as world:
            yield world


@pytest.fixture
def site(world: tuple[Namespaces, Client]) -> Namespaces:
    return world[0]


@pytest.fixture
def client(world: tuple[Namespaces, Client]) -> Client:
    return world[1]


def status(client: Client, job_id: str) -> dict[str, Any]:
    ran = client.surefoot("status", job_id, "--json")
    assert ran.code == 0, ran
    found: dict[str, Any] = json.loads(ran.out)
    return found


def wait_for_end(client: Client, job_id: str) -> str:
    """The state in which the job ended."""
    until(lambda: status(client, job_id)["state"] in ("done", "failed"))
    return str(status(client, job_id)["state"])


def report(client: Client, job_id: str) -> dict[str, Any]:
    ran = client.surefoot("report", job_id, "--format", "json")
    assert ran.code == 0, ran
    return without_run(ran.out)


def nodes(client: Client) -> dict[str, int]:
    """The nodes that are alive, as the head knows them: the port for objects by address."""
    program = (
        "import json, os, urllib.request as u\n"
        "token = open(os.environ['RAY_AUTH_TOKEN_PATH']).read().strip()\n"
        "request = u.Request(os.environ['RAY_API_SERVER_ADDRESS'] + '/nodes?view=summary')\n"
        "request.add_header('Authorization', f'Bearer {token}')\n"
        "found = [n['raylet'] for n in json.load(u.urlopen(request))['data']['summary']]\n"
        "alive = [node for node in found if node.get('state') == 'ALIVE']\n"
        "print(json.dumps({n['nodeManagerAddress']: n['objectManagerPort'] for n in alive}))\n"
    )
    known: dict[str, int] = json.loads(client.python(program))
    return known


def every_port(site: Namespaces, name: str) -> set[tuple[str, int]]:
    """Where a service listens, under each of its addresses."""
    ports = listened(site.inside(name))
    return {(address, port) for address in site.addresses[name].values() for port in ports}


# -------------------------------------------------------------------------------- it is used


def test_every_node_is_known_under_an_address_that_all_nodes_share(
    site: Namespaces, client: Client
) -> None:
    assert set(nodes(client)) == {site.addresses[name]["inside"] for name in ("ray-head", *WORKERS)}


def test_doctor_is_content(client: Client) -> None:
    found = client.doctor(0)
    assert found["nodes"]["found"] == "all 3 answer; 1 MB pass to and from each"


def test_a_job_gives_the_report_of_run_inline(client: Client) -> None:
    """256 losses at 100 steps, twice and in single precision, are results of 200 kB."""
    file = client.write(
        'name = "xor"\n[problem]\nname = "xor"\n[search]\noptimizers = ["gd", "adam"]\n'
        'sampler = "tpe"\nsettings = 4\n[training]\nrestarts = 256\nsteps = 200\n',
        "xor.toml",
    )
    ran = client.surefoot("submit", file, "--json")
    assert ran.code in (0, 3), ran
    assert without_run(ran.out) == client.here(file)


# ------------------------------------------------------------------------- who reaches whom


def test_published_ports_answer_on_the_machine_and_nothing_else_does(site: Namespaces) -> None:
    here, all_ports = site.inside(MACHINE), range(1, 2**16)
    assert reached(here, [("127.0.0.1", port) for port in all_ports]) == PUBLISHED
    assert reached(here, [(MACHINE_OUTWARD, port) for port in all_ports]) == set()
    assert {port.port for service in read().values() for port in service.published} == {
        port for _, port in PUBLISHED
    }


def test_a_neighbour_of_the_machine_reaches_nothing(site: Namespaces) -> None:
    """Not even one who knows the containers' addresses, and has the machine as the way there."""
    neighbour = site.inside(NEIGHBOUR)
    machine = [(MACHINE_OUTWARD, port) for port in range(1, 2**16)]
    assert reached(neighbour, machine) == set()
    containers = {port for name in SERVICES for port in every_port(site, name)}
    assert len(containers) > 30
    assert reached(neighbour, containers) == set()


@pytest.mark.parametrize("name", SERVICES)
def test_who_reaches_whom(site: Namespaces, name: str) -> None:
    """Under any address of the other: a service that shares no network is reached by none."""
    for other in SERVICES:
        ports = every_port(site, other)
        came = reached(site.inside(name), ports)
        assert bool(came) == (other in REACHES[name]), (other, came)
        if other in REACHES[name] and other != name:
            shared = set(site.addresses[name]) & set(site.addresses[other])
            assert {host for host, _ in came} <= {site.addresses[other][n] for n in shared}


@pytest.mark.parametrize("name", WORKERS)
def test_workers_reach_no_database_and_nothing_outside(site: Namespaces, name: str) -> None:
    names = [("postgres", 5432), ("postgres.records", 5432), ("mlflow.records", 5000)]
    gateways = [("10.88.0.1", 5432), ("10.88.1.2", 5432), ("10.88.2.2", 5432), (NEIGHBOURS, 22)]
    assert reached(site.inside(name), [*names, *gateways]) == set()
    assert reached(site.inside("ray-head"), names) == set(names)


# --------------------------------------------------------------------- the networks fail


def begun(client: Client, name: str) -> tuple[Path, str]:
    """A job that would take minutes, at work: its file and its id."""
    file = client.valley(name, settings=8, seconds=0.4)
    job_id = client.submit(file)
    until(lambda: status(client, job_id)["done"] > 0)
    return file, job_id


def test_a_worker_that_is_cut_off_for_20_seconds(site: Namespaces, client: Client) -> None:
    file, job_id = begun(client, "cut")
    with site.cut("ray-worker-1", "inside"):
        time.sleep(20.0)
    client.write("0", "cut.marks/seconds")
    assert wait_for_end(client, job_id) == "done"
    assert report(client, job_id) == client.here(file)
    until(lambda: len(nodes(client)) == 3)
    assert client.doctor(0)["nodes"]["ok"]


def test_results_that_do_not_come_are_lost_and_tried_again(
    site: Namespaces, client: Client
) -> None:
    """The problem has come to the workers by then. 256 restarts are results of 200 kB."""
    file = client.write(
        'name = "stuck"\n[problem]\nname = "xor"\n[search]\noptimizers = ["gd"]\n'
        'sampler = "tpe"\nsettings = 20\n'
        "[training]\nrestarts = 256\nsteps = 400\n[cluster]\ntransfer_timeout = 2.0\n",
        "stuck.toml",
    )
    job_id = client.submit(file)
    until(lambda: status(client, job_id)["done"] > 0)
    head = site.addresses["ray-head"]["inside"]
    with site.closed(nodes(client)[head]):
        until(lambda: f"to {head} within 2 s" in client.surefoot("logs", job_id).out)
    assert wait_for_end(client, job_id) == "done"
    assert report(client, job_id) == client.here(file)
    assert "a task was lost, its result did not come" in client.surefoot("logs", job_id).out


def test_the_outside_is_down_while_a_job_runs(site: Namespaces, client: Client) -> None:
    """Nobody can look at the cluster meanwhile, and the cluster does not notice."""
    file, job_id = begun(client, "dark")
    begin = time.time()
    with site.down("outside"):
        time.sleep(15.0)
        assert reached(site.inside(MACHINE), PUBLISHED) == set()
        end = time.time()
    meanwhile = [at for _, at in client.times(file) if begin + 2.0 < at < end]
    assert len(meanwhile) > 15  # two nodes; a start in 0.4 s each
    client.write("0", "dark.marks/seconds")
    assert wait_for_end(client, job_id) == "done"
    assert report(client, job_id) == client.here(file)
    assert status(client, job_id)["coordinators"] == 1
