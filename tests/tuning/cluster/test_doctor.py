"""What is wrong with a cluster is named, with what to do about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_cluster import ADDRESS, FakeRay, add, new_url
from tests.support.postgres_server import PASSWORD, Postgres
from tests.support.surefoot_command import surefoot
from tuning import tracking
from tuning.cluster import doctor
from tuning.cluster.doctor import PROBED, Finding, examine, probe
from tuning.jobs.cluster import ClusterJobs


@dataclass
class ProbedRay(FakeRay):
    """Carries `printed` out at once."""

    printed: str = ""

    def alive(self, submission: str) -> bool:
        return False

    def log(self, submission: str) -> str:
        return self.printed


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return new_url(postgres)


@pytest.fixture
def world(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ProbedRay:
    """All is well, and the cluster's head sees what this process sees."""
    monkeypatch.setenv("SUREFOOT_STORAGE_URL", url)
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setattr(tracking, "reach", lambda _: None)

    def facts(look: Any) -> dict[str, Any]:
        nodes = [node(f"10.0.0.{number}", look()) for number in (1, 2)]
        return {"cpus": 4.0, "free_cpus": 3.0, "head": "10.0.0.1", "nodes": nodes}

    monkeypatch.setattr(doctor, "cluster_facts", facts)
    ray = ProbedRay()
    monkeypatch.setattr(doctor, "RayJobs", ray)
    says(ray, probe())
    return ray


def node(address: str, own: Any, **changes: Any) -> dict[str, Any]:
    """A node that is well, but for `changes`."""
    well = {
        "is_head": address == "10.0.0.1",
        "error": None,
        "own": own,
        "argument": True,
        "result": True,
        "closed": [],
    }
    return {"address": address, **well, **changes}


def says(ray: ProbedRay, seen: dict[str, Any], **changes: Any) -> None:
    ray.printed = f"INFO of Ray's own\n{PROBED}{json.dumps({**seen, **changes})}\n"


def failing(findings: list[Finding]) -> dict[str, str]:
    """What is not well, with what was found and what to do."""
    for finding in findings:
        assert finding.ok == (finding.remedy == "")
        assert "\n" not in finding.found + finding.remedy
        assert PASSWORD not in repr(finding)
    return {f.what: f"{f.found}: {f.remedy}" for f in findings if not f.ok}


@pytest.mark.usefixtures("world")
def test_all_is_well() -> None:
    findings = examine(ADDRESS)
    assert failing(findings) == {}
    assert [finding.what for finding in findings] == [
        "Ray", "database", "MLflow", "head's versions", "nodes' versions", "head's database",
        "head's MLflow", "head's disk", "CPUs", "nodes",
    ]  # fmt: skip
    assert findings[-2].found == "3 of 4 free, on 2 nodes"
    assert findings[-1].found == "all 2 answer; 1 MB pass to and from each"


def test_what_is_wrong_inside(world: ProbedRay) -> None:
    seen = probe()
    other = {**seen["versions"], "numpy": "1.0", "python": seen["versions"]["python"] + "9"}
    elsewhere = {**seen["database"], "id": "another/surefoot"}
    says(
        world, seen, versions=other, database=elsewhere, mlflow={"error": "it does not answer"},
        free_bytes=10, cpus=0.0, free_cpus=0.0, nodes=[node("10.0.0.1", seen["versions"])],
    )  # fmt: skip
    wrong = failing(examine(ADDRESS))
    assert set(wrong) == {
        "CPUs",
        "head's MLflow",
        "head's database",
        "head's disk",
        "head's versions",
    }
    differs = f"head: numpy 1.0 there, {version('numpy')} here: install"
    assert wrong["head's versions"].startswith(differs)
    assert "let SUREFOOT_STORAGE_URL name the same database here and" in wrong["head's database"]
    assert wrong["head's MLflow"].endswith("it does not answer")
    says(world, seen, writable=False)
    assert ", which cannot be written: free some space" in failing(examine(ADDRESS))["head's disk"]


def test_a_node_that_objects_do_not_reach_is_named_with_the_cause(world: ProbedRay) -> None:
    """Small messages pass on the way that the head chooses, objects on one that it gave others."""
    seen = probe()
    own = seen["versions"]
    cut_off = {"argument": False, "result": False, "closed": ["10.0.0.1:4001", "10.0.0.1:4002"]}
    says(
        world,
        seen,
        nodes=[
            node("10.0.0.1", own),
            node("10.0.1.2", own, **cut_off),
            node("10.0.1.3", own, result=False),
            node("10.0.1.4", own, closed=["10.0.1.5:7"]),
            node("10.0.1.5", None, error="nothing came in 8 s", argument=False, result=False),
        ],
    )
    wrong = failing(examine(ADDRESS))
    assert set(wrong) == {f"node 10.0.1.{number}" for number in (2, 3, 4, 5)}
    assert wrong["node 10.0.1.2"].startswith(
        "an argument of 1 MB does not come to it; a result of 1 MB does not come from it; "
        "10.0.0.1:4001; 10.0.0.1:4002 cannot be reached from it: the head is registered under "
        "10.0.0.1, where 10.0.1.2 does not get: on a machine with several networks start Ray with "
        "--node-ip-address"
    )
    assert "does not come to it" not in wrong["node 10.0.1.3"]
    assert "look at the MTU on the way" in wrong["node 10.0.1.3"]
    assert "those are registered under 10.0.1.5, where 10.0.1.4" in wrong["node 10.0.1.4"]
    assert wrong["node 10.0.1.5"].startswith("does not answer: nothing came in 8 s: see that its")


def test_versions_that_differ_on_a_few_of_many_nodes(world: ProbedRay) -> None:
    seen = probe()
    other = {**seen["versions"], "ray": "1.0"}
    nodes = [node(f"10.0.0.{n}", other if n > 2 else seen["versions"]) for n in range(1, 9)]
    says(world, seen, nodes=nodes)
    wrong = failing(examine(ADDRESS))
    assert set(wrong) == {"nodes' versions"}
    assert wrong["nodes' versions"].startswith("10.0.0.3: ray 1.0 there, ")
    assert "; and 2 more: install the same" in wrong["nodes' versions"]


def test_what_is_wrong_here(world: ProbedRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUREFOOT_STORAGE_URL")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    world.printed = ""
    wrong = failing(examine(ADDRESS))
    assert wrong == {
        "database": "cannot be used: SUREFOOT_STORAGE_URL is not set",
        "MLflow": "cannot be used: MLFLOW_TRACKING_URI is not set",
        "inside": "no answer: surefoot does not run on the cluster (it printed nothing): install "
        f"the version that is here, {version('surefoot')}, on every node",
    }
    world.away = True
    assert list(failing(examine(ADDRESS))) == ["Ray", "database", "MLflow"]


def test_a_probe_that_does_not_end_is_stopped(
    world: ProbedRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_PROBE_SECONDS", 0.0)
    monkeypatch.setattr(doctor, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(ProbedRay, "alive", FakeRay.alive)
    assert "a job did not begin and end within 0 s" in failing(examine(ADDRESS))["inside"]
    assert world.stopped == [world.submitted[0][0]]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("may_insert", [False, True])
def test_a_user_who_may_only_read_is_told_so(postgres: Postgres, may_insert: bool) -> None:
    url = new_url(postgres)
    name = url.rpartition("/")[2]
    add(ClusterJobs(url))
    postgres.execute("create role looker login password 'looks'", name)
    try:
        rights = "select, insert" if may_insert else "select"
        postgres.execute(f"grant {rights} on all tables in schema public to looker", name)
        looker = postgres.url_of(name, "looker", "looks")
        [database] = [f for f in examine(ADDRESS, looker) if f.what == "database"]
    finally:
        postgres.execute("drop owned by looker", name)
        postgres.execute("drop role looker", name)
    told = "user looker may only read: no jobs can be submitted"
    assert database.ok
    assert database.found.endswith("answers" if may_insert else told)


def test_the_command_prints_it(world: ProbedRay, tmp_path: Path) -> None:
    ran = surefoot(tmp_path, "doctor", "--address", ADDRESS)
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.out.splitlines()) == 10
    assert all(line.startswith("ok    ") for line in ran.out.splitlines())
    world.away = True
    ran = surefoot(tmp_path, "doctor", "--address", ADDRESS)
    assert (ran.code, ran.err) == (1, "")
    first, remedy, *_ = ran.out.splitlines()
    assert first.split() == ["FAIL", "Ray", "cannot", "be", "used"]
    assert remedy.strip() == f"no Ray cluster answers at {ADDRESS}: it is away"
    rows = json.loads(surefoot(tmp_path, "doctor", "--address", ADDRESS, "--json").out)
    assert [row["what"] for row in rows if not row["ok"]] == ["Ray"]
