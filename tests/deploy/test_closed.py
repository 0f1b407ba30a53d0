"""Who has neither token nor password gets nothing: every port, every route, every method."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import stat
import subprocess
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest

from deploy.cluster import Cluster
from deploy.secret_files import shown
from tests.deploy.client import PYTHON, command_line, listeners, secrets_of, status
from tests.deploy.grpc_methods import answers
from tests.support.thoroughness import WHOLE

Routes = dict[str, list[tuple[str, str]]]

# Answered to everybody, and why that does no harm.
PUBLIC = {
    "dashboard": {
        "/": "the page that asks for the token",
        "/favicon.ico": "its icon",
        "/static/x": "its scripts, the same in every installation",
        "/api/authentication_mode": "says that a token is needed",
        "/api/gcs_healthz": "health",
    },
    "agent": {"/api/healthz": "health", "/api/local_raylet_healthz": "health"},
    "mlflow": {
        "/health": "health",
        "/static-files/x": "the scripts of the UI, the same in every installation",
        "/api/3.0/mlflow/server-info": "what kind of store it has",
        "/ajax-api/3.0/mlflow/server-info": "the same",
    },
}
#: SUREFOOT_KEEP_ROUTES=1 in the environment renews it, when MLflow has another version.
KEPT_ROUTES = Path(__file__).with_name("data") / "mlflow-routes.json"

pytestmark = pytest.mark.usefixtures("job")


@pytest.fixture(scope="module")
def ports(cluster: Cluster) -> dict[int, str]:
    """What listens on each port."""
    found = {port: (pid, inside) for _, pid, port, inside in listeners(cluster)}
    outside = [command_line(pid) for pid, inside in found.values() if not inside]
    assert outside == []
    return {port: command_line(pid) for port, (pid, _) in found.items()}


@pytest.fixture(scope="module")
def routes() -> Routes:
    """Ray's routes by who has them, from its own tables."""
    return asked("ray")


def asked(server: str) -> Routes:
    program = Path(__file__).with_name("routes.py")
    done = subprocess.run(
        [PYTHON, program, server], capture_output=True, text=True, check=True, timeout=180
    )
    found: Routes = json.loads(done.stdout.splitlines()[-1])
    return found


def bases(cluster: Cluster) -> dict[str, list[str]]:
    """The addresses at which each kind of HTTP server answers."""
    agents = [("ray-head", 52365), ("ray-worker-1", 52365), ("ray-worker-2", 52365)]
    return {
        "dashboard": [cluster.address("ray-head", 8265)],
        "agent": [cluster.address(*agent) for agent in agents],
        "mlflow": [cluster.address("mlflow", 5000)],
    }


def speaks_http(port: int) -> bool:
    try:
        status(f"http://127.0.0.1:{port}/")
    except http.client.BadStatusLine:
        return False
    return True


# ------------------------------------------------------------------------------------------ ports


def test_every_port_is_refused_or_public(cluster: Cluster, ports: dict[int, str]) -> None:
    """What is not tested by its routes, below, refuses every path or every method."""
    elsewhere = [address for kind in bases(cluster).values() for address in kind]
    elsewhere += [cluster.address("postgres", 5432), cluster.address("ray-head", 44227)]
    tested = {int(address.split(":")[1]) for address in elsewhere}
    assert tested <= set(ports)
    counts = {"http": 0, "grpc": 0}
    for port in set(ports) - tested:
        if speaks_http(port):
            counts["http"] += 1
            assert status(f"http://127.0.0.1:{port}/any") == 401, ports[port]
        else:
            counts["grpc"] += 1
            codes = answers(port)
            assert codes, f"{ports[port]} has no method that this test knows"
            assert set(codes.values()) == {grpc.StatusCode.UNAUTHENTICATED}, (ports[port], codes)
    # Three nodes: a raylet has two ports and an agent one; and the GCS, Ray's client, a driver, an
    # actor and the supervisor of the job. One agent of each node speaks HTTP.
    assert counts["grpc"] >= 3 * 3 + 5
    assert counts["http"] >= 3


def test_the_dashboard_s_metrics_are_public(cluster: Cluster) -> None:
    """How many requests of which kind it had: Ray offers no token there, and no way to close it."""
    assert status(f"http://{cluster.address('ray-head', 44227)}/metrics") == 200


def test_a_method_refuses_a_wrong_token_and_takes_the_right_one(cluster: Cluster) -> None:
    port = int(cluster.address("ray-head", 6379).split(":")[1])
    wrong = answers(port, (("authorization", "Bearer " + "0" * 64),))
    assert set(wrong.values()) == {grpc.StatusCode.UNAUTHENTICATED}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        token = secrets_of(cluster)["ray_token"].decode()
        alive = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetAllNodeInfo")
        assert alive(b"", timeout=10, metadata=(("authorization", f"Bearer {token}"),))


# ----------------------------------------------------------------------------------------- routes


@pytest.mark.parametrize(
    ("table", "kind", "count"),
    [
        ("dashboard", "dashboard", 60),
        ("agent", "agent", 7),
    ],
)
def test_every_route_of_ray_is_refused_or_public(
    cluster: Cluster, routes: Routes, table: str, kind: str, count: int
) -> None:
    assert len(routes[table]) >= count
    for address in bases(cluster)[kind]:
        for method, path in routes[table]:
            answer = status(f"http://{address}{path}", "GET" if method == "*" else method)
            if path in PUBLIC[kind]:
                assert answer not in {401, 403}, f"{path} is not public: take it off the list"
            else:
                assert answer == 401, (method, path)


def test_every_route_of_mlflow_is_refused_or_public(cluster: Cluster) -> None:
    """There are more than a thousand. They were all asked once for the version of MLflow that is
    kept, with what each answered; all are asked again for another version, or in `make chaos`, and
    otherwise one of twenty and those that are public."""
    address = cluster.address("mlflow", 5000)
    kept: dict[str, Any] = json.loads(KEPT_ROUTES.read_text(encoding="utf-8"))
    same = kept["mlflow"] == version("mlflow")
    if WHOLE or not same:
        found = [route for table in asked("mlflow").values() for route in table]
        assert len(found) >= 1080
        answers = {f"{m} {p}": status(f"http://{address}{p}", m) for m, p in found}
        verdicts = {route: verdict(route, answer) for route, answer in sorted(answers.items())}
        if "SUREFOOT_KEEP_ROUTES" in os.environ:
            kept = {"mlflow": version("mlflow"), "routes": verdicts}
            KEPT_ROUTES.write_text(f"{json.dumps(kept, indent=1)}\n", encoding="utf-8")
        assert not same or verdicts == kept["routes"]
    else:
        public = [route for route, said in kept["routes"].items() if said == "public"]
        assert {route.partition(" ")[2] for route in public} == set(PUBLIC["mlflow"])
        some = random.Random(kept["mlflow"]).sample(
            sorted(kept["routes"]), len(kept["routes"]) // 20
        )
        for route in {*public, *some}:
            method, _, path = route.partition(" ")
            answer = status(f"http://{address}{path}", method)
            assert verdict(route, answer) == kept["routes"][route], answer


def verdict(route: str, answer: int) -> str:
    """`public` or `refused`, for the status of an answer without password."""
    if route.partition(" ")[2] in PUBLIC["mlflow"]:
        assert answer not in {401, 403}, f"{route} is not public: take it off the list"
        return "public"
    assert answer == 401, route
    return "refused"


def test_a_job_without_token_is_no_job(cluster: Cluster) -> None:
    url = f"http://{cluster.address('ray-head', 8265)}/api/jobs/"
    assert status(url, "POST") == 401
    assert status(url, "POST", {"Authorization": "Bearer " + "0" * 64}) == 403
    token = secrets_of(cluster)["ray_token"].decode()
    assert status(url, "GET", {"Authorization": f"Bearer {token}"}) == 200


def basic(password: str, name: str = "admin") -> dict[str, str]:
    credentials = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


def test_mlflow_refuses_a_wrong_password(cluster: Cluster) -> None:
    url = f"http://{cluster.address('mlflow', 5000)}/ajax-api/2.0/mlflow/users/current"
    for wrong in ("", "password1234", "0" * 64):
        assert status(url, headers=basic(wrong)) == 401
    assert status(url, headers=basic(cluster.environment["MLFLOW_TRACKING_PASSWORD"])) == 200


def test_surefoot_s_entrance_asks_for_the_password(cluster: Cluster) -> None:
    headers = basic(cluster.environment["MLFLOW_TRACKING_PASSWORD"])
    for path, says in (("/", b"location.replace('surefoot')"), ("/surefoot", b"Surefoot: jobs")):
        url = f"http://{cluster.address('mlflow', 5000)}{path}"
        assert status(url) == 401
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            assert says in answer.read()


def test_mlflow_answers_to_its_own_names_alone(cluster: Cluster) -> None:
    """A page of another site that makes its own name point here, in a browser that is logged in."""
    url = f"http://{cluster.address('mlflow', 5000)}/ajax-api/2.0/mlflow/users/current"
    headers = basic(cluster.environment["MLFLOW_TRACKING_PASSWORD"])
    assert status(url, headers=headers) == 200
    assert status(url, headers={**headers, "Host": "attacker.example"}) == 403


def test_a_browser_changes_nothing_in_ray(cluster: Cluster) -> None:
    """A page of another site that makes a browser with Ray's cookie send something."""
    url = f"http://{cluster.address('ray-head', 8265)}/api/jobs/"
    token = {"Authorization": f"Bearer {secrets_of(cluster)['ray_token'].decode()}"}
    assert status(url, "POST", {**token, "User-Agent": "Mozilla/5.0"}) == 405
    assert status(url, "POST", token) == 400  # what this client sends is no job


def test_a_new_user_of_mlflow_sees_nothing(cluster: Cluster) -> None:
    base = f"http://{cluster.address('mlflow', 5000)}/api/2.0/mlflow"
    admin = basic(cluster.environment["MLFLOW_TRACKING_PASSWORD"])
    user = {"username": "visitor", "password": "a visitor's own"}
    assert status(f"{base}/users/create", "POST", admin, user) == 200
    visitor = basic(user["password"], user["username"])
    assert status(f"{base}/users/current", headers=visitor) == 200
    assert status(f"{base}/experiments/get?experiment_id=0", headers=admin) == 200
    assert status(f"{base}/experiments/get?experiment_id=0", headers=visitor) == 403
    assert status(f"{base}/users/create", "POST", visitor, {**user, "username": "more"}) == 403


# ---------------------------------------------------------------------------------------- secrets


def test_secret_files_are_their_owner_s_alone(cluster: Cluster) -> None:
    assert stat.S_IMODE(cluster.secrets.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in cluster.secrets.iterdir()}
    assert set(modes.values()) == {0o600}
    copies = [*cluster.folder.glob("*/run/surefoot/pgpass")]
    assert len(copies) == 3  # of mlflow, ray-head and keeper
    assert {stat.S_IMODE(path.stat().st_mode) for path in copies} == {0o600}


def test_no_secret_is_in_a_log_or_command_line(cluster: Cluster) -> None:
    secrets = secrets_of(cluster)
    assert len(secrets) == 7
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    shows = {f"command line of {pid}": command_line(pid).encode() for pid in pids}
    for service in cluster.running:
        home = cluster.folder / service
        for path in home.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name != "pgpass":
                shows[str(path)] = path.read_bytes()
    assert len([name for name in shows if name.endswith((".log", ".out", "/log"))]) > 20
    found = {
        (name, where) for name, value in secrets.items() for where in shows if value in shows[where]
    }
    assert found == set()


def test_what_is_printed_names_files_and_no_secret(cluster: Cluster) -> None:
    text = shown(cluster.secrets, cluster.environment)
    assert [name for name, value in secrets_of(cluster).items() if value.decode() in text] == []
    program = f'{text}printf %s "$MLFLOW_TRACKING_PASSWORD"'
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == cluster.environment["MLFLOW_TRACKING_PASSWORD"]


def test_a_worker_is_given_the_token_and_no_password(cluster: Cluster) -> None:
    environments = {
        pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in cluster.pids("ray-worker-1")
    }
    token = str(cluster.secrets / "ray_token").encode()
    assert any(token in environment for environment in environments.values())
    for environment in environments.values():
        for word in (b"PASSWORD", b"PGPASS", b"MLFLOW_TRACKING", b"SUREFOOT_STORAGE_URL"):
            assert word not in environment
