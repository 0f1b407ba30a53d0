"""A setting that trains for long is seen in MLflow while it does, and is one run when it has."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

import tuning
from tests.support.slow_problems import Patient
from tuning.search.loop import Progress

STEPS, SECONDS = 50, 16.0

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.usefixtures("ray")
def test_its_curve_grows_while_it_trains(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"

    def client() -> MlflowClient:
        return MlflowClient(tracking_uri=f"sqlite:///{file}")

    def runs() -> list[MlflowRun]:
        if not file.exists():  # with all its tables, or not at all
            return []
        experiments = client().search_experiments()
        return list(client().search_runs([e.experiment_id for e in experiments]))

    seen: dict[str, list[dict[int, float]]] = {}
    called: set[tuple[str, str]] = set()

    def look(progress: Progress) -> None:
        if progress.finished:
            return
        for run in runs():
            if run.info.status == "RUNNING":
                history = client().get_metric_history(run.info.run_id, "loss/p50")
                found = {point.step: point.value for point in history}
                called.add((run.info.run_name, run.data.params["optimizer"]))
                seen.setdefault(run.data.tags["surefoot.key"], []).append(found)

    report = tuning.tune(
        problem=Patient(STEPS, SECONDS, elsewhere=True),
        search={
            "sampler": "random",
            "settings": 2,
            "optimizers": ["gd"],
            "learning_rate": {"low": 0.1, "high": 1.0},
        },
        training={"restarts": 4, "steps": STEPS},
        stability={"max_unstable": 0.9, "confirm": 1},
        home=tmp_path,
        progress=look,
    )
    job = report.run.job_id
    assert set(seen) == {f"{job}/{number}.training" for number in range(2)}
    assert called == {
        (f"gd lr={row.learning_rate:.4g} (training)", "gd") for row in report.settings
    }
    last = {
        run.data.tags["setting"]: run for run in runs() if run.data.tags.get("role") == "search"
    }
    assert len(last) == 2
    assert all(run.info.status == "FINISHED" for run in runs())
    for key, curves in seen.items():
        assert all(few.items() <= many.items() for few, many in itertools.pairwise(curves))
        assert len(curves[0]) < len(curves[-1])
        run = last[key.partition("/")[2].removesuffix(".training")]
        whole = client().get_metric_history(run.info.run_id, "loss/p50")
        assert curves[-1].items() <= {point.step: point.value for point in whole}.items()
