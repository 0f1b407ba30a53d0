"""A job that was submitted and followed to its end, and all that may be asked about it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import tuning
from tests.service.client import ROOT, Client, listed
from tests.service.conftest import Finished
from tests.support.surefoot_command import without_run
from tuning.jobs.base import State
from tuning.jobs.files import REPORT, REPORT_PAGE
from tuning.runner.replay import replay


def test_it_is_followed_to_its_report(finished: Finished) -> None:
    """What the problem prints here, where it is checked, is no part of the output."""
    assert finished.ran.code == 0
    assert finished.ran.err == f"the valley is entered with {tuning.__file__}\n"
    assert finished.ran.out.startswith(f"{finished.id}\n")
    assert re.search(r"^\d\d:\d\d:\d\d submitted by ada$", finished.ran.out, re.MULTILINE)
    assert "Best stable learning rate" in finished.ran.out
    assert f"surefoot report {finished.id} --format html" in finished.ran.out
    assert re.search(r"^MLflow runs: http://127\.0\.0\.1:", finished.ran.out, re.MULTILINE)


@pytest.mark.usefixtures("_as_client")
def test_its_report_is_that_of_run_inline(client: Client, finished: Finished) -> None:
    ran = client.surefoot("run", finished.file, "--workers", "inline", "--json")
    assert ran.code == 0, ran
    there = client.surefoot("report", finished.id, "--format", "json")
    assert without_run(there.out) == without_run(ran.out)
    assert list(json.loads(there.out)) == list(json.loads(ran.out))
    one, other = (
        tuning.load_report(finished.id),
        tuning.load_report("valley-1", home=client.folder / "home"),
    )
    assert replace(one, run=other.run).to_html() == other.to_html()
    csv = [
        client.surefoot("report", job, "--format", "csv").out for job in (finished.id, "valley-1")
    ]
    assert csv[0] == csv[1] != ""
    page = client.folder / "page.html"
    client.surefoot("report", finished.id, "--format", "html", "--output", page)
    assert page.read_text(encoding="utf-8") == one.to_html()


def test_submitted_again_it_is_the_same_job(client: Client, finished: Finished) -> None:
    before = [line.number for line in client.database.job(finished.id).lines()]
    report = client.surefoot("submit", finished.file, "--json")
    assert report.code == 0
    assert without_run(report.out) == client.answer(finished.id)
    assert finished.id in report.err.splitlines()
    assert f"surefoot: job {finished.id} has been submitted before; it is done" in report.err
    quiet = client.surefoot("submit", finished.file, "-q")
    assert (quiet.code, quiet.out) == (0, f"{finished.id}\n")
    left = client.surefoot("submit", finished.file, "--no-wait", "--json")
    assert json.loads(left.out) == {"id": finished.id, "state": "done", "owner": "ada"}
    assert [line.number for line in client.database.job(finished.id).lines()] == before
    assert client.database.job(finished.id).entry.attempt == 1


def test_it_is_in_the_list_and_has_a_status(client: Client, finished: Finished) -> None:
    row = next(row for row in listed(client) if row["id"] == finished.id)
    assert (row["state"], row["owner"], row["done"], row["settings"]) == ("done", "ada", 3, 3)
    assert json.loads(client.surefoot("list", "--json", "--owner", "nobody").out) == []
    table = client.surefoot("list", "--owner", "ada").out
    answer = "(.+, (confirmed|looks stable)|no stable rate)"
    assert re.search(rf"^{finished.id} +done .* 3/3  ada  {answer}$", table, re.MULTILINE)
    status = json.loads(client.surefoot("status", finished.id, "--json").out)
    assert (status["state"], status["done"], status["coordinators"]) == ("done", 3, 1)
    assert "s3cret" not in client.surefoot("status", finished.id).out


def test_its_log_is_kept_and_ends_with_it(client: Client, finished: Finished) -> None:
    plain = client.surefoot("logs", finished.id)
    assert plain.code == 0
    assert plain.out.splitlines()[0].endswith("submitted by ada")
    assert plain.out.splitlines()[-1].endswith("done")
    followed = client.surefoot("logs", finished.id, "-f")
    assert (followed.code, followed.out) == (0, plain.out)


def test_what_its_problem_printed_is_in_the_log_of_ray(client: Client, finished: Finished) -> None:
    """And it ran these modules, not those of an installation."""
    out = client.surefoot("logs", finished.id, "--ray").out
    assert f"the valley is entered with {ROOT / 'tuning' / '__init__.py'}" in out


@pytest.mark.usefixtures("_as_client")
def test_its_study_is_the_real_one(finished: Finished) -> None:
    frame = tuning.load_study(finished.id).trials_dataframe()
    assert len(frame) >= 3
    assert set(frame["state"]) == {"COMPLETE"}
    assert {"params_learning_rate", "params_optimizer", "value"} <= set(frame.columns)


@pytest.mark.usefixtures("_as_client")
def test_a_restart_of_it_is_replayed_bit_for_bit(client: Client, finished: Finished) -> None:
    ran = client.surefoot("replay", finished.id, "--setting", 1, "--restart", 5, "--json")
    assert ran.code == 0, ran
    assert replay(finished.id, setting=1, restart=5).differences == ()


@pytest.mark.usefixtures("_as_client")
def test_a_restart_of_it_is_explained(client: Client, finished: Finished) -> None:
    where = ("--setting", 1, "--restart", 5)
    ran = client.surefoot("explain", finished.id, *where)
    assert ran.code == 0, ran
    assert ran.out.startswith("restart 5 of setting 1: ")
    told = json.loads(client.surefoot("explain", finished.id, *where, "--json").out)
    again = client.surefoot("explain", finished.id, *where, "--json", "--train-again")
    assert json.loads(again.out) == told


@pytest.mark.usefixtures("_as_client")
def test_mlflow_holds_its_runs(client: Client, finished: Finished, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    records = MlflowClient(client.cluster.environment["MLFLOW_TRACKING_URI"])
    experiment = records.get_experiment_by_name(finished.id)
    assert experiment is not None
    runs = records.search_runs([experiment.experiment_id])
    told = client.database.job(finished.id).told
    settings = [run for run in runs if "setting" in run.data.tags]
    assert len(settings) == told
    assert {run.info.status for run in runs} == {"FINISHED"}
    (report,) = [run for run in runs if run.info.run_name == "report"]
    names = {file.path for file in records.list_artifacts(report.info.run_id)}
    assert {REPORT_PAGE, REPORT, "settings.csv"} <= names
    path = records.download_artifacts(report.info.run_id, REPORT, str(tmp_path))
    assert without_run(Path(path).read_text(encoding="utf-8")) == client.answer(finished.id)


def test_nobody_is_at_work_on_it_any_more(client: Client, finished: Finished) -> None:
    entry = client.database.job(finished.id).entry
    assert (entry.state, entry.complete, entry.holder) == (State.DONE, True, None)
    resumed = client.surefoot("resume", finished.id, "-q")
    assert (resumed.code, resumed.err) == (0, "")
