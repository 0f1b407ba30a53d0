"""The jobs that chaos disturbs: what an undisturbed run gives, and what the cluster gave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

import tuning
from deploy.cluster import Cluster
from tuning.jobs.base import Job
from tuning.jobs.files import REPORT
from tuning.jobs.local import LocalJobs
from tuning.search.records import results_of

__all__ = ["Answer", "answer_of", "calm", "mlflow_in_database", "mlflow_in_home", "table_of"]

#: Metric points by run: (metric, step, value) and how often.
Points = Mapping[str, Counter[tuple[str, int, float]]]
_TIMES = ("training_seconds", "classifying_seconds", "finished_at")


@dataclass(frozen=True)
class Answer:
    """All that a job left behind, apart from the facts of the run.

    Attributes:
        report: the report's JSON, byte for byte.
        study: the results in the order in which they were told.
        mlflow: each run once, by the end of its key.
    """

    report: str
    study: list[dict[str, Any]]
    mlflow: Points


def table_of(seed: int, settings: int = 40) -> dict[str, Any]:
    """A job of half a second of work for each setting: traps, divergence, confirmations. On a slow
    machine that is disturbed a confirmation takes ten."""
    return {
        "name": f"chaos-{seed}",
        "seed": seed,
        "problem": {"name": "mlp", "data": "wine", "hidden": [2], "weight_decay": 0.003},
        "search": {
            "optimizers": ["gd", "momentum"],
            "learning_rate": {"low": 1e-2, "high": 100.0},
            "sampler": "tpe",
            "settings": settings,
        },
        "training": {"restarts": 24, "steps": 300},
        "stability": {"max_unstable": 0.15},
        "cluster": {"task_timeout": 30.0},
    }


def calm(table: Mapping[str, Any], home: Path) -> Answer:
    """Run the job here, in this process, undisturbed."""
    tuning.tune(table, home=home, workers="inline")
    job = LocalJobs(home).jobs()[-1]
    return answer_of(job, mlflow_in_home(job, home))


def answer_of(job: Job, points: Points) -> Answer:
    """What `job` left behind; every setting is there once, in order, and so is every run."""
    text = job.read(REPORT)
    assert text is not None
    results = results_of(job.study())
    assert [r.setting.number for r in results] == list(range(len(results)))
    told = [{k: v for k, v in r.to_json().items() if k not in _TIMES} for r in results]
    every = [f"all-{i}" for i in sorted({r.setting.optimizer for r in results})]
    assert sorted(points) == sorted([*map(str, range(len(results))), *every, "report"])
    report = {**json.loads(text), "run": None}
    return Answer(json.dumps(report), told, points)


def mlflow_in_home(job: Job, home: Path) -> Points:
    """The embedded store's runs of a job, read past MLflow's own code."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True)) as store:
        return _points(job.id, lambda query, values: store.execute(query, values).fetchall())


def mlflow_in_database(job: Job, cluster: Cluster) -> Points:
    """The server's runs of a job, read past MLflow's own code."""
    host, _, port = cluster.address("postgres", 5432).partition(":")
    password = (cluster.secrets / "mlflow_password").read_text().strip()
    with psycopg.connect(
        host=host, port=port, user="mlflow", dbname="mlflow", password=password
    ) as store:
        return _points(
            job.id,
            lambda query, values: store.execute(
                query.replace("?", "%s").encode(), values
            ).fetchall(),
        )


def _points(job_id: str, select: Callable[[str, tuple[str, ...]], list[Any]]) -> Points:
    runs = select(
        "SELECT t.value, r.run_uuid, r.status FROM runs r"
        " JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'surefoot.key'"
        " JOIN experiments e ON e.experiment_id = r.experiment_id"
        " WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active' AND e.name = ?",
        (job_id,),
    )
    assert {status for _, _, status in runs} == {"FINISHED"}
    keys = [str(key).removeprefix(f"{job_id}/") for key, _, _ in runs]
    assert len(set(keys)) == len(keys), f"twice in MLflow: {sorted(keys)}"
    return {
        key: Counter(
            (str(name), int(step), float(value))
            for name, step, value in select(
                "SELECT key, step, value FROM metrics WHERE run_uuid = ?", (run,)
            )
        )
        for key, (_, run, _) in zip(keys, runs, strict=True)
    }
