"""`surefoot doctor` on a cluster that is well, and on one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from tests.service.client import ROOT, Client, without
from tests.service.test_refusals import TOKENLESS, wrong_passwords


def failed(findings: dict[str, dict[str, Any]]) -> dict[str, str]:
    """What is not well, and what to do."""
    return {what: f["remedy"] for what, f in findings.items() if not f["ok"]}


def test_a_healthy_cluster(client: Client) -> None:
    ran = client.surefoot("doctor")
    assert (ran.code, ran.err) == (0, ""), ran
    assert all(line.startswith("ok  ") for line in ran.out.splitlines())
    for what in (
        "Ray",
        "database",
        "MLflow",
        "head's versions",
        "nodes' versions",
        "head's disk",
        "CPUs",
        "nodes",
    ):
        assert f"  {what} " in ran.out


def test_a_client_without_token_and_with_wrong_passwords(client: Client, tmp_path: Path) -> None:
    remedies = failed(
        client.doctor(
            1,
            **TOKENLESS,
            HOME=str(tmp_path),
            PGPASSFILE=wrong_passwords(tmp_path),
            MLFLOW_TRACKING_PASSWORD="wrong-password",
        )
    )
    assert set(remedies) == {"Ray", "database", "MLflow"}
    assert "RAY_AUTH_TOKEN_PATH" in remedies["Ray"]
    assert "password" in remedies["database"]
    assert "MLFLOW_TRACKING_PASSWORD" in remedies["MLflow"]


def test_mlflow_and_postgresql_are_away(client: Client) -> None:
    """From the inside, too."""
    with without(client, "postgres", "mlflow"):
        remedies = failed(client.doctor(1))
    assert set(remedies) == {"database", "head's database", "MLflow", "head's MLflow"}
    for what, remedy in remedies.items():
        expected = "MLFLOW_TRACKING_URI" if "MLflow" in what else "start it or wait for it"
        assert expected in remedy


def test_no_workers_another_database_and_another_version(client: Client, tmp_path: Path) -> None:
    host, port = client.cluster.address("postgres", 5432).split(":")
    password = (client.cluster.secrets / "postgres_password").read_text(encoding="ascii").strip()
    with psycopg.connect(
        host=host, port=int(port), user="postgres", password=password, autocommit=True
    ) as session:
        session.execute("create database elsewhere owner surefoot")
    about = tmp_path / "surefoot-9.9.9.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: surefoot\nVersion: 9.9.9\n", encoding="utf-8")
    with without(client, "ray-worker-1", "ray-worker-2"):
        findings = client.doctor(
            1,
            SUREFOOT_STORAGE_URL=f"postgresql+psycopg://surefoot@{host}:{port}/elsewhere",
            PYTHONPATH=f"{tmp_path}:{ROOT}",
        )
    remedies = failed(findings)
    assert set(remedies) == {"CPUs", "head's database", "head's versions"}
    assert "start workers" in remedies["CPUs"]
    assert "SUREFOOT_STORAGE_URL" in remedies["head's database"]
    assert "requirements.lock" in remedies["head's versions"]
    assert "surefoot 0.1.0 there, 9.9.9 here" in findings["head's versions"]["found"]
