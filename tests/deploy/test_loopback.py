"""The cluster on loopback: it starts, it stands the loss of any part, it leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from deploy.cluster import Cluster, ClusterFailed
from deploy.compose import COMPOSE_FILE, read
from deploy.loopback import Loopback
from tests.deploy.client import PYTHON, command_line, secrets_of, status
from tests.support.processes import end, wait_until_gone

SERVICES = ["postgres", "mlflow", "ray-head", "ray-worker-1", "ray-worker-2", "keeper"]


def as_client(cluster: Cluster, code: str) -> str:
    """What a client that exports the cluster's environment, and no more, prints."""
    environment = {**os.environ, **cluster.environment}
    done = subprocess.run(
        [PYTHON, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return met


def database(cluster: Cluster) -> psycopg.Connection:
    host, port = cluster.address("postgres", 5432).split(":")
    return psycopg.connect(
        host=host,
        port=int(port),
        user="surefoot",
        dbname="surefoot",
        passfile=cluster.environment["PGPASSFILE"],
        connect_timeout=5,
        autocommit=True,
    )


def nodes(cluster: Cluster) -> int:
    """How many nodes the head says are alive."""
    request = urllib.request.Request(
        f"http://{cluster.address('ray-head', 8265)}/nodes?view=summary",
        headers={"Authorization": f"Bearer {secrets_of(cluster)['ray_token'].decode()}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        summary = json.load(answer)["data"]["summary"]
    return sum(node["raylet"].get("state") == "ALIVE" for node in summary)


# -------------------------------------------------------------------------------------- it is used


def test_all_services_are_healthy(cluster: Cluster) -> None:
    assert sorted(cluster.running) == sorted(SERVICES)
    assert all(cluster.healthy(service) for service in SERVICES)
    assert nodes(cluster) == 3


def test_a_client_needs_what_it_exports_and_no_more(cluster: Cluster) -> None:
    out = as_client(
        cluster,
        "import os, mlflow, sqlalchemy\n"
        "engine = sqlalchemy.create_engine(os.environ['SUREFOOT_STORAGE_URL'])\n"
        "with engine.connect() as connection:\n"
        "    print(connection.execute(sqlalchemy.text('SELECT current_user')).scalar())\n"
        "with mlflow.start_run():\n"
        "    mlflow.log_text('seven', 'seven.txt')\n"
        "    uri = mlflow.get_artifact_uri('seven.txt')\n"
        "print(mlflow.artifacts.load_text(uri))\n",
    )
    assert [line for line in out.splitlines() if line in {"surefoot", "seven"}] == [
        "surefoot",
        "seven",
    ]


# ----------------------------------------------------------------------------- it loses one of them


@pytest.mark.parametrize("service", ["postgres", "mlflow", "ray-worker-1", "keeper"])
def test_a_killed_service_is_gone_and_comes_back(cluster: Cluster, service: str) -> None:
    others = {other: cluster.pids(other)[0] for other in SERVICES if other != service}
    before = cluster.environment
    killed = cluster.pids(service)
    cluster.kill(service)
    assert [pid for pid in killed if Path(f"/proc/{pid}").exists()] == []
    assert not cluster.healthy(service)
    cluster.start(service)
    assert cluster.healthy(service)
    assert not set(killed) & set(cluster.pids(service))
    assert {other: cluster.pids(other)[0] for other in others} == others
    assert cluster.environment == before


def test_what_ends_by_itself_is_started_again(cluster: Cluster) -> None:
    """As Docker's `restart: unless-stopped` does."""
    (main,) = cluster.pids("keeper")[:1]
    os.kill(main, signal.SIGKILL)
    assert wait_for(lambda: (new := cluster.pids("keeper")[:1]) != [] and new != [main], 10)
    assert cluster.healthy("keeper")


def test_a_paused_database_answers_when_resumed(cluster: Cluster) -> None:
    with database(cluster) as connection:
        cluster.pause("postgres")
        assert not cluster.healthy("postgres")
        states = [
            Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            for pid in cluster.pids("postgres")
        ]
        assert set(states) == {"T"}
        cluster.resume("postgres")
        assert connection.execute("SELECT 7").fetchone() == (7,)
    assert cluster.healthy("postgres")


def test_a_stopped_service_is_restarted_at_its_address(cluster: Cluster) -> None:
    cluster.stop("postgres")
    assert cluster.pids("postgres") == []
    cluster.restart("postgres")
    with database(cluster) as connection:
        assert connection.execute("SHOW tcp_keepalives_idle").fetchone() == ("10",)


def test_one_more_worker(cluster: Cluster) -> None:
    name = cluster.add_worker()
    assert name == "ray-worker-3"
    assert wait_for(lambda: nodes(cluster) == 4, 20)
    cluster.stop(name)
    assert wait_for(lambda: nodes(cluster) == 3, 20)


def test_a_killed_head_comes_back_with_address_and_token(cluster: Cluster) -> None:
    """The nodes find the new head: those whose raylet gives up are started again."""
    others = {other: cluster.pids(other)[0] for other in SERVICES if other != "ray-head"}
    before = cluster.environment
    cluster.kill("ray-head")
    time.sleep(1)
    assert {other: cluster.pids(other)[0] for other in others} == others
    cluster.start("ray-head")
    assert cluster.environment == before
    assert wait_for(lambda: nodes(cluster) == 3, 60)


# -------------------------------------------------------------------------- it is as Compose has it


def test_a_command_of_the_compose_file_is_the_command_here(cluster: Cluster) -> None:
    lines = {
        service: " ".join(map(command_line, cluster.pids(service)[:2])) for service in SERVICES
    }
    assert "-ctcp_keepalives_interval=5" in lines["postgres"]
    assert "--head --block --num-cpus=0" in lines["ray-head"]
    assert f"--address={cluster.address('ray-head', 6379)}" in lines["ray-worker-2"]


def test_a_change_in_the_compose_file_comes_through(open_folder: Path) -> None:
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    for old, new in (
        ("      - -ctcp_keepalives_idle=10\n", "      - -ctcp_keepalives_idle=11\n"),
        ("      POSTGRES_USER: postgres ", "      POSTGRES_USER: keeper_of_keys "),
        (
            "GRANT CONNECT ON DATABASE surefoot",
            "CREATE TABLE x (y int); GRANT CONNECT ON DATABASE surefoot",
        ),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    changed = open_folder / "changed.yml"
    changed.write_text(text, encoding="utf-8")
    with Cluster(open_folder / "changed", services=["postgres"], compose=changed) as cluster:
        host, port = cluster.address("postgres", 5432).split(":")
        with psycopg.connect(
            host=host,
            port=int(port),
            user="keeper_of_keys",
            dbname="postgres",
            password=secrets_of(cluster)["postgres_password"].decode(),
        ) as connection:
            assert connection.execute("SHOW tcp_keepalives_idle").fetchone() == ("11",)
            assert connection.execute("SELECT count(*) FROM x").fetchone() == (0,)


# ------------------------------------------------------------------------------------ it goes wrong


def test_a_service_that_cannot_start_says_why_and_nothing_is_left(open_folder: Path) -> None:
    changed = open_folder / "broken.yml"
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    changed.write_text(text.replace("-ctcp_keepalives_idle=10", "-cno_such_thing=1"), "utf-8")
    folder = open_folder / "broken"
    broken = Cluster(folder, services=["postgres"], compose=changed)
    with pytest.raises(ClusterFailed, match=r"(?s)^postgres ended; .*no_such_thing"), broken:
        pass
    assert wait_until_gone(folder, 5) == []


def test_who_started_it_is_killed_and_nothing_is_left(open_folder: Path) -> None:
    folder = open_folder / "orphaned"
    code = (
        "import time\nfrom deploy.cluster import Cluster\n"
        f"with Cluster({str(folder)!r}, services=['postgres']) as cluster:\n"
        "    print(*cluster.pids('postgres'), flush=True)\n    time.sleep(1000)\n"
    )
    with subprocess.Popen([PYTHON, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pids = owner.stdout.readline().split()
        owner.kill()
    try:
        assert len(pids) > 5
        assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 15)
        assert wait_until_gone(folder, 5) == []
    finally:
        end(folder)
        # The short path to the folder is all that stays: nobody was left to remove it.
        for link in Path("/tmp").glob("sf-*/c"):
            if link.is_symlink() and link.readlink() == folder:
                link.unlink()
                link.parent.rmdir()


def test_a_folder_that_the_database_s_user_cannot_reach_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        with pytest.raises(PermissionError, match="is closed to the user"):
            Cluster(tmp_path / "cluster", services=["postgres"]).__enter__()
    else:  # PostgreSQL runs as this user, who reaches what is his
        with Cluster(tmp_path / "cluster", services=["postgres"]) as cluster:
            assert cluster.healthy("postgres")


def test_the_command_prints_what_to_export_and_stops_when_told(open_folder: Path) -> None:
    folder = open_folder / "command"
    with subprocess.Popen(
        [PYTHON, "-m", "deploy", "--folder", folder, "--workers", "0"],
        cwd=COMPOSE_FILE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            assert command.stdout is not None
            assert command.stderr is not None
            said = [command.stdout.readline() for _ in range(8)]
            names = [line.removeprefix("export ").split("=")[0] for line in said]
            assert "RAY_API_SERVER_ADDRESS" in names
            assert "MLFLOW_TRACKING_PASSWORD" in names
            address = said[names.index("MLFLOW_TRACKING_URI")].split('"')[1]
            assert status(f"{address}/health") == 200
            command.send_signal(signal.SIGTERM)
            _, errors = command.communicate(timeout=60)
            assert command.returncode == 0
            assert errors.splitlines()[-1] == "stopped"
            assert wait_until_gone(folder, 5) == []
        finally:
            command.kill()
            end(folder)


def test_a_port_that_is_published_to_everybody_is_refused(tmp_path: Path) -> None:
    text = COMPOSE_FILE.read_text(encoding="utf-8")
    changed = tmp_path / "open.yml"
    changed.write_text(text.replace('"127.0.0.1:${SUREFOOT_RAY', '"${SUREFOOT_RAY'), "utf-8")
    with pytest.raises(ValueError, match="ray-head: port 8265:8265 is published to everybody"):
        read(changed)


def test_ports_are_kept_unless_somebody_listens_there(tmp_path: Path) -> None:
    services, kept = read(COMPOSE_FILE), tmp_path / "ports.json"
    first = Loopback(services, kept)
    first.prepare()
    assert Loopback(services, kept).ports == first.ports
    with socket.create_server(("127.0.0.1", first.ports["mlflow"][5000])):
        again = Loopback(services, kept).ports
    assert again["mlflow"] != first.ports["mlflow"]
    assert {**again, "mlflow": None} == {**first.ports, "mlflow": None}
