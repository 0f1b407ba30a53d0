"""A setting that is trained in several trials is one in the report, in MLflow and for `replay`."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

import tuning
from trainers import InvalidInput
from tuning.jobs.local import LocalJobs

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuning.Report]:
    """64 fresh starts at most: four looks at 16 each, of which the last alone can accept."""
    home = tmp_path_factory.mktemp("gathered")
    report = tuning.tune(
        problem="double-well",
        search={"sampler": "tpe", "settings": 2, "try_first": [0.01, 0.02]},
        training={"restarts": 64, "steps": 60},
        stability={"confirm": 64, "margin": 1},
        workers="inline",
        home=home,
    )
    return home, report


def test_the_report_has_one_row(job: tuple[Path, tuning.Report]) -> None:
    home, report = job
    (row,) = report.confirmations
    assert (row.number, row.restarts) == (2, 64)
    assert report.best_stable is not None
    assert (report.best_stable.look, report.best_stable.fresh_starts) == (4, 64)
    assert len(tuning.load_study(report.run.job_id, home=home).trials) == 6


def test_so_has_mlflow(job: tuple[Path, tuning.Report]) -> None:
    home, report = job
    client = MlflowClient(LocalJobs(home).tracking_uri)
    experiment = client.get_experiment_by_name(report.run.job_id)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    held = {run.data.tags.get("setting", run.data.tags["role"]): run for run in runs}
    # Three settings, those of the one optimizer once more as points, and the report.
    assert sorted(held) == ["0", "1", "2", "report", "summary"]
    assert len(runs) == len(held)
    assert held["2"].data.params["restarts"] == "64"
    assert held["2"].data.params["first_restart"] == "64"
    assert held["2"].data.tags["status"] == "confirmed"
    assert held["report"].data.tags["best_status"] == "confirmed"


def test_a_restart_of_any_trial_is_found_by_the_row_s_number(
    job: tuple[Path, tuning.Report],
) -> None:
    home, report = job
    for restart in (64, 95, 127):
        again = tuning.replay(report.run.job_id, setting=2, restart=restart, home=home)
        assert again.restart == restart
        assert again.differences == ()
    with pytest.raises(InvalidInput, match="setting 2 has no restart 63; valid: 64 to 127"):
        tuning.replay(report.run.job_id, setting=2, restart=63, home=home)
