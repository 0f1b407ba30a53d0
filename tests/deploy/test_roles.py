"""PostgreSQL's roles: each with a password, each with its own database, none with more."""

from __future__ import annotations

import psycopg
import pytest

from deploy.cluster import Cluster
from tests.deploy.client import secrets_of


def connect(cluster: Cluster, role: str, database: str, secret: str) -> psycopg.Connection:
    host, port = cluster.address("postgres", 5432).split(":")
    password = secrets_of(cluster)[secret].decode() if secret.endswith("_password") else secret
    return psycopg.connect(
        host=host,
        port=int(port),
        user=role,
        dbname=database,
        password=password,
        passfile="/dev/null",
        connect_timeout=10,
        autocommit=True,
    )


@pytest.mark.parametrize("secret", ["", "0" * 64])
@pytest.mark.parametrize("role", ["postgres", "surefoot", "surefoot_reader", "mlflow", "nobody"])
def test_the_database_asks_for_a_password(cluster: Cluster, role: str, secret: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        connect(cluster, role, "postgres", secret)


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("surefoot", "mlflow"),
        ("surefoot", "postgres"),
        ("surefoot_reader", "mlflow"),
        ("mlflow", "surefoot"),
    ],
)
def test_a_role_has_its_own_database(cluster: Cluster, role: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(cluster, role, database, f"{role}_password")


def test_an_application_is_no_superuser(cluster: Cluster) -> None:
    with connect(cluster, "postgres", "postgres", "postgres_password") as connection:
        rows = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolcanlogin AND"
            " (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)"
        ).fetchall()
    assert rows == [("postgres",)]


def test_a_reader_reads_and_no_more(cluster: Cluster) -> None:
    secret = "surefoot_password"
    with connect(cluster, "surefoot", "surefoot", secret) as owner:
        owner.execute("CREATE TABLE sight (x int); INSERT INTO sight VALUES (7)")
        try:
            owner.execute("SELECT pg_advisory_lock(1)")  # the owner may
            secret = "surefoot_reader_password"
            with connect(cluster, "surefoot_reader", "surefoot", secret) as reader:
                assert reader.execute("SELECT x FROM sight").fetchall() == [(7,)]
                for statement in (
                    "INSERT INTO sight VALUES (8)",
                    "UPDATE sight SET x = 8",
                    "DELETE FROM sight",
                    "TRUNCATE sight",
                    "CREATE TABLE mine (x int)",
                    "CREATE TEMPORARY TABLE mine (x int)",
                    "SELECT pg_advisory_lock(2)",
                    "SELECT pg_try_advisory_xact_lock_shared(2)",
                    "BEGIN; LOCK TABLE sight",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        reader.execute(statement)
                    reader.rollback()
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must be owner"):
                    reader.execute("DROP TABLE sight")
        finally:
            owner.execute("DROP TABLE sight")
