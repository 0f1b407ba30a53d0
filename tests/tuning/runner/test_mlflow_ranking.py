"""What MLflow is told of all runs together: their order, and every setting in one run."""

from __future__ import annotations

import math
import re

import pytest

from tests.support.made_jobs import RESTARTS, large_job
from tuning.analysis.build import build_report
from tuning.jobs.local import LocalJob
from tuning.report.formatting import number
from tuning.report.model import Report, RunFacts, Status
from tuning.runner.mlflow_note import final_note, running_note
from tuning.runner.mlflow_ranking import RECOMMENDED_COLOUR, ranks
from tuning.runner.outputs import runs_of
from tuning.tracking import Run
from tuning.trial.result import SettingResult

SETTINGS = 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalJob, list[SettingResult], Report]:
    kept, results = large_job(tmp_path_factory.mktemp("ranking"), SETTINGS)
    facts = RunFacts(kept.id, "today", 1.0, 1.0, 1.0, 1, {})
    return kept, results, build_report(kept.spec, kept.header["problem"], results, facts)


@pytest.fixture(scope="module")
def runs(made: tuple[LocalJob, list[SettingResult], Report]) -> dict[str, Run]:
    kept, results, report = made
    found = runs_of(kept, report, results, {"report.html": ""})
    return {run.key.partition("/")[2]: run for run in found}


def test_the_order(made: tuple[LocalJob, list[SettingResult], Report]) -> None:
    """First the recommended one; then the stable ones by cost; then the others, the less unstable
    first."""
    report = made[2]
    rows = {row.number: row for row in report.rows}
    order = [rows[number] for number, _ in sorted(ranks(report).items(), key=lambda item: item[1])]
    assert sorted(ranks(report).values()) == list(range(1, len(rows) + 1))
    assert order[0].status is Status.RECOMMENDED
    stable = [row.status.stable for row in order]
    assert stable == sorted(stable, reverse=True)
    costs = [math.inf if row.cost is None else row.cost for row in order[1 : sum(stable)]]
    assert costs == sorted(costs)
    fallen = [row.unstable.estimate for row in order[sum(stable) :]]
    assert None not in fallen
    assert fallen == sorted(fallen, key=lambda rate: rate or 0.0)


def test_the_recommended_run_stands_out(
    made: tuple[LocalJob, list[SettingResult], Report], runs: dict[str, Run]
) -> None:
    best = made[2].best_stable
    assert best is not None
    settings = [run for run in runs.values() if "setting" in run.tags]
    (one,) = [run for run in settings if run.tags["recommended"] == "true"]
    assert one.key.endswith(f"/{best.number}")
    assert one.name.startswith("★ momentum 0.")
    assert one.late["rank"] == 1
    assert one.colour == RECOMMENDED_COLOUR
    assert RECOMMENDED_COLOUR not in {run.colour for run in settings if run is not one}
    assert one.tags["status"] == "recommended"
    assert {run.tags["status"] for run in settings} <= set(Status)


def test_one_run_holds_every_setting_of_an_optimizer(
    made: tuple[LocalJob, list[SettingResult], Report], runs: dict[str, Run]
) -> None:
    report = made[2]
    for key, name in (("all-0", "momentum"), ("all-1", "adam")):
        run, rows = runs[key], [row for row in report.settings if row.optimizer == name]
        rates = [rate for _, rate in run.curves["all/log10_lr"]]
        assert rates == sorted(math.log10(row.learning_rate) for row in rows)
        assert [step for step, _ in run.curves["all/unstable"]] == list(range(len(rows)))
        unstable = {rates[step]: value for step, value in run.curves["all/unstable"]}
        assert unstable == {math.log10(row.learning_rate): row.unstable.estimate for row in rows}
        # Of those that diverged there is no loss, and none is made up.
        assert len(run.curves["all/loss"]) == sum(row.loss is not None for row in rows) < len(rows)
        assert run.late == {"rank": 1.5}
        assert not {"optimizer", "learning_rate"} & run.params.keys()


def test_the_outcome_is_what_most_restarts_did(
    made: tuple[LocalJob, list[SettingResult], Report], runs: dict[str, Run]
) -> None:
    outcomes = set()
    for row in made[2].rows:
        run = runs[str(row.number)]
        outcomes.add(run.tags["outcome"])
        assert row.dynamics[run.tags["outcome"]] == max(row.dynamics.values())
        assert sum(row.dynamics.values()) in (RESTARTS, row.restarts)
        assert run.metrics["learning_rate"] == row.learning_rate
        assert run.metrics["unstable"] == row.unstable.estimate
        assert run.metrics.get("trapped") == row.trapped.estimate
        assert run.metrics.get("loss") == row.loss
    assert outcomes == {"settled", "oscillating", "diverged"}


def test_the_note_begins_with_the_answer(
    made: tuple[LocalJob, list[SettingResult], Report],
) -> None:
    report = made[2]
    first, *rest = final_note(report, ["outcomes.png"], "7", "abc").splitlines()
    assert report.best_stable is not None
    rate = number(report.best_stable.learning_rate)
    assert first.startswith(f"**Best stable learning rate: {rate} with momentum · 0 of ")
    assert re.search(r"unstable, at most \S+ % · trapped 25.0 % · cliff × \S+ away", first)
    place = "#/experiments/7/runs/abc/artifacts/report.html?workflowType=machine_learning"
    assert first.endswith(f"** · [report]({place})")
    text = "\n".join(rest)
    assert "![outcomes.png](get-artifact?path=outcomes.png&run_uuid=abc)" in text
    for word in ("Promise: at most", "| rank |", "Cliff: "):
        assert word in text
    assert "abc" not in final_note(report, ["outcomes.png"], "7", None)


def test_the_note_of_a_job_that_runs() -> None:
    note = running_note("running", "17 of 48 settings", "best so far 1.95 with <b>_x_")
    assert note.startswith(r"**17 of 48 settings: best so far 1.95 with \<b\>\_x\_**")
