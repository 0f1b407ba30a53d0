"""Where the global minimum is unknown, a job that finds a better one renews the labels of all it
found before: in the report, in replay and in MLflow, also when it was interrupted in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.tracking import MlflowClient

import tuning
from trainers import Basin, Problem
from trainers.problem import FloatArray
from tuning.jobs.local import LocalJobs
from tuning.search.loop import Progress

pytestmark = pytest.mark.usefixtures("no_pictures")

RESTARTS = 24


class Shelf(Problem):
    """(w^2 - 1)^2 + 0.3 w from beside the shallow well at 0.96: gradient descent stays in it,
    momentum rolls on to the deep one."""

    parameters = 1

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(1.3, 1.7, 1)

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        bend = w * w - 1.0
        return (bend * bend + 0.3 * w).sum(axis=1), 4.0 * w * bend + 0.3


JOB: dict[str, Any] = {
    "search": {
        "optimizers": ["gd", "momentum"],
        "sampler": "tpe",
        "settings": 2,
        "learning_rate": {"low": 0.005, "high": 0.02},
        "try_first": [0.01],
        "in_flight": 1,
    },
    "training": {"restarts": RESTARTS, "steps": 300},
    "stability": {"max_unstable": 0.15},
}


def stop(progress: Progress) -> None:
    """Ctrl-C when one setting has been told."""
    if progress.told:
        raise KeyboardInterrupt


def counts(home: Path, job_id: str) -> dict[int, dict[str, int]]:
    """Setting -> basin -> restarts, as MLflow holds them."""
    client = MlflowClient(LocalJobs(home).tracking_uri)
    experiment = client.get_experiment_by_name(job_id)
    if experiment is None:
        return {}
    runs = [
        run
        for run in client.search_runs([experiment.experiment_id])
        if "setting" in run.data.tags and run.info.status == "FINISHED"
    ]
    return {
        int(run.data.tags["setting"]): {
            basin.value: int(run.data.metrics[f"count/{basin.value}"]) for basin in Basin
        }
        for run in runs
    }


def test_labels_are_renewed_on_resume(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tuning.tune(problem=Shelf(), **JOB, workers="inline", home=tmp_path, progress=stop)
    (job,) = LocalJobs(tmp_path).jobs()
    (early,) = tuning.load_report(job.id, home=tmp_path).settings
    # Nothing lower is known yet: the well that all are in is the best.
    assert early.basins["global-minimum"] == RESTARTS
    replayed = tuning.replay(job.id, setting=early.number, restart=0, home=tmp_path)
    assert replayed.outcome.basin == Basin.GLOBAL_MINIMUM

    report = tuning.resume(job.id, workers="inline", home=tmp_path)
    first, second = report.settings
    assert (first.optimizer, second.optimizer) == ("gd", "momentum")
    assert second.basins["global-minimum"] > 0
    assert first.basins["local-minimum"] == first.trapped.count == RESTARTS
    shallow = report.minima[-1]
    assert not shallow.is_global
    assert shallow.found_by[first.number] == RESTARTS
    replayed = tuning.replay(job.id, setting=first.number, restart=0, home=tmp_path)
    assert replayed.outcome.basin == Basin.LOCAL_MINIMUM
    assert replayed.best_loss == report.best_loss
    rows = report.rows
    assert counts(tmp_path, job.id) == {row.number: dict(row.basins) for row in rows}
