"""deploy/kuberay.yaml: as the operator's schema and the compose file have it, no secret in it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.compose import COMPOSE_FILE, read

MANIFEST = COMPOSE_FILE.parent / "deploy" / "kuberay.yaml"
CRDS = json.loads((Path(__file__).parent / "data" / "kuberay-crds.json").read_text("utf-8"))
DOCUMENTS = {
    document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text("utf-8"))
}


def pods() -> Iterator[dict[str, Any]]:
    cluster = DOCUMENTS["RayCluster"]["spec"]
    yield cluster["headGroupSpec"]["template"]["spec"]
    yield cluster["workerGroupSpecs"][0]["template"]["spec"]
    yield DOCUMENTS["Deployment"]["spec"]["template"]["spec"]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_the_operator_s_schema_holds(kind: str) -> None:
    jsonschema.validate(DOCUMENTS[kind], CRDS[kind])


def misspell_a_key(cluster: dict[str, Any]) -> None:
    cluster["spec"]["authOption"] = cluster["spec"].pop("authOptions")


def count_in_words(cluster: dict[str, Any]) -> None:
    cluster["spec"]["workerGroupSpecs"][0]["replicas"] = "two"


def forget_the_head(cluster: dict[str, Any]) -> None:
    del cluster["spec"]["headGroupSpec"]


def ask_for_another_mode(cluster: dict[str, Any]) -> None:
    cluster["spec"]["authOptions"]["mode"] = "password"


@pytest.mark.parametrize(
    "damage", [misspell_a_key, count_in_words, forget_the_head, ask_for_another_mode]
)
def test_a_mistake_is_noticed(damage: Callable[[dict[str, Any]], None]) -> None:
    cluster = copy.deepcopy(DOCUMENTS["RayCluster"])
    damage(cluster)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster, CRDS["RayCluster"])


def test_every_pod_is_confined() -> None:
    for pod in pods():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }


def test_workers_come_and_go_and_the_autoscaler_alone_talks_to_kubernetes() -> None:
    cluster = DOCUMENTS["RayCluster"]["spec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert 0 == workers["minReplicas"] == workers["replicas"] < workers["maxReplicas"]
    (mount,) = cluster["autoscalerOptions"]["volumeMounts"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    assert mount["name"] in {volume["name"] for volume in head["volumes"]}
    mounted = {m["name"] for c in head["containers"] for m in c["volumeMounts"]}
    assert mount["name"] not in mounted


def test_secrets_are_references() -> None:
    names = set()
    for pod in pods():
        for name, value in environment(pod["containers"][0]).items():
            if any(word in name for word in ("PASSWORD", "TOKEN")):
                assert set(value) == {"secretKeyRef"}, name
                names.add(name)
    assert names == {"PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN"}
    assert "Secret" not in DOCUMENTS
    assert DOCUMENTS["RayCluster"]["spec"]["authOptions"]["mode"] == "token"


def test_the_pods_have_what_compose_gives() -> None:
    """Secrets and the token apart, which come otherwise: as variables, and from the operator."""
    services = read()
    for service, pod in zip(("ray-head", "ray-worker", "keeper"), pods(), strict=True):
        here = environment(pod["containers"][0])
        for name, value in services[service].environment.items():
            if name.endswith("_FILE") or name in {
                "PGPASSFILE",
                "DASHBOARD_METRIC_PORT",
                "RAY_AUTH_MODE",
                "RAY_AUTH_TOKEN_PATH",
            }:
                continue
            there = value.replace("ray-head", "surefoot-head-svc").replace(".records", "")
            assert here[name] == there, (service, name)


def test_a_worker_has_no_password() -> None:
    _, worker, _ = pods()
    assert set(environment(worker["containers"][0])) == {
        "RAY_enable_metrics_collection",
        "RAY_raylet_liveness_self_check_interval_ms",
    }
