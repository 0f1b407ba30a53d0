"""The command: what it prints, where, with which exit code, and what it leaves behind."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
import pytest

import tuning
from tests.support.surefoot_command import WELLS, complaint, results_in, surefoot, without_run
from trainers import Basin
from tuning.cli.exit_codes import ExitCode
from tuning.cli.inspect import summary
from tuning.cli.main import cli
from tuning.jobs.files import LEASE, REPORT, REPORT_MARKDOWN, REPORT_PAGE
from tuning.jobs.local import LocalJobs
from tuning.search.records import results_of
from tuning.spec.job import read_spec
from tuning.study import StudyStore
from tuning.trial.result import SettingResult

pytestmark = pytest.mark.usefixtures("no_pictures")

# --------------------------------------------------------------------------------------- finished


def test_run_prints_progress_the_report_and_where_it_is(wells: Path) -> None:
    printed = (wells / "printed.txt").read_text(encoding="utf-8").splitlines()
    wanted = "job wells-1: 6 settings (gd, momentum) x 16 restarts x 40 steps of double-well"
    assert printed[0] == wanted
    assert printed[1].startswith("searching: 0/6 settings")
    (done,) = [line for line in printed if line.startswith("done: 6/6 settings")]
    assert "unconfirmed" not in done  # the report that follows says what was confirmed
    # The answer is the last screen: five lines and the paths, within ten.
    assert any(line.startswith("Best stable learning rate: ") for line in printed[-10:])
    assert [line for line in printed if line != line.rstrip()] == []
    assert printed[-2] == f"HTML report: {wells / 'jobs' / 'wells-1' / 'report.html'}"
    assert re.fullmatch(r"MLflow runs: experiment wells-1; see them with: \S+ ui", printed[-1])
    assert (wells / "jobs" / "wells-1" / REPORT_PAGE).stat().st_size > 1000


def test_quiet_run_says_where_the_report_is(tmp_path: Path, write: Callable[..., str]) -> None:
    ran = surefoot(tmp_path / "home", "run", write(WELLS), "--workers", "inline", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split(":")[0] for line in ran.out.splitlines()] == ["HTML report", "MLflow runs"]


def test_run_as_json(tmp_path: Path, wells: Path, write: Callable[..., str]) -> None:
    ran = surefoot(tmp_path / "home", "run", write(WELLS), "--workers", "inline", "--json")
    assert ran.code == 0
    assert without_run(ran.out) == without_run(
        surefoot(wells, "report", "wells-1", "--format", "json").out
    )
    assert ran.err.startswith("job wells-1: 6 settings")  # progress does not spoil the JSON


def test_report_in_every_format(wells: Path, tmp_path: Path) -> None:
    file = tmp_path / "report"
    for form in ("table", "json", "csv", "html", "md"):
        shown = surefoot(wells, "report", "wells-1", "--format", form)
        written = surefoot(wells, "report", "wells-1", "--format", form, "--output", str(file))
        assert (shown.code, shown.err) == (0, "")
        assert (written.code, written.out, written.err) == (0, "", "")
        content = file.read_text(encoding="utf-8")
        match form:
            case "table":
                assert "Best stable learning rate: " in content
                full = surefoot(wells, "report", "wells-1", "--full").out
                assert "\nSettings\n" in full
                assert "\nSettings\n" not in shown.out
                assert len(shown.out.splitlines()) < 15
                assert surefoot(wells, "report", "wells-1").out == shown.out
                assert shown.out.split()[:20] == content.split()[:20]
            case "json":
                assert content == shown.out == LocalJobs(wells).job("wells-1").read(REPORT)
            case "md":
                assert content == shown.out == LocalJobs(wells).job("wells-1").read(REPORT_MARKDOWN)
            case "csv":
                rows = list(csv.DictReader(io.StringIO(content)))
                assert content == shown.out
                assert [row["number"] for row in rows[:6]] == ["0", "1", "2", "3", "4", "5"]
            case "html":
                assert shown.out == content + "\n"
                assert content.lower().startswith("<!doctype html>")
    bad = surefoot(wells, "report", "wells-1", "--output", str(tmp_path / "no" / "report"))
    assert complaint(bad).endswith("No such file or directory")


def test_list_and_status(wells: Path) -> None:
    (row,) = surefoot(wells, "list").out.splitlines()
    (entry,) = json.loads(surefoot(wells, "list", "--json").out)
    found = json.loads(surefoot(wells, "report", "wells-1", "--format", "json").out)["best_stable"]
    answer = f"{found['optimizer']} {found['learning_rate']:.3g}, {found['status']}"
    assert entry == {**entry, "id": "wells-1", "state": "done", "answer": answer}
    assert len(entry) == 4
    when = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    assert re.fullmatch(rf"wells-1 +done +{when}  {re.escape(answer)}", row)
    refused = surefoot(wells, "report", "wells-1", "--full", "--format", "csv")
    assert complaint(refused).endswith("--full is for the table; csv has everything already")
    facts = json.loads(surefoot(wells, "status", "wells-1", "--json").out)
    told = len(results_in(wells, "wells-1"))
    assert facts.pop("created") == entry["created"]
    assert facts == {
        "id": "wells-1",
        "state": "done",
        "settings": 6,
        "done": 6,
        "confirmations": told - 6,
        "folder": str(wells / "jobs" / "wells-1"),
    }
    lines = surefoot(wells, "status", "wells-1").out.splitlines()
    assert [line.split()[1] for line in lines[:4]] == ["wells-1", "done", "6", "6"]


def test_an_empty_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert surefoot(home, "list").out == f"no jobs in {home}\n"
    assert json.loads(surefoot(home, "list", "--json").out) == []
    for command in ("status", "report", "resume"):
        line = complaint(surefoot(home, command, "wells-1"))
        assert line == f"surefoot: no job 'wells-1' in {home}; no job has run here yet"
    assert "no runs are recorded" in complaint(surefoot(home, "ui"))
    assert not home.exists()


def test_replay(wells: Path) -> None:
    arguments = ("replay", "wells-1", "--setting", "1", "--restart", "3")
    shown = surefoot(wells, *arguments)
    assert shown.code == 0
    assert shown.out.startswith("setting 1: momentum at learning rate 0.001, restart 3\n")
    assert shown.out.endswith("the same as in the study, bit for bit\n")
    table = json.loads(surefoot(wells, *arguments, "--json").out)
    (result,) = [r for r in results_in(wells, "wells-1") if r.setting.number == 1]
    assert table["differences"] == []
    assert table["steps"] == list(range(41))
    assert table["losses"][-1] == table["loss"] == result.restarts.loss[3]
    assert table["lr_sharpness"] == result.restarts.lr_sharpness[3]
    assert table["stability_limit"] == pytest.approx(3.8)  # 2 (1 + beta)
    assert table["basin"] in list(Basin)
    assert table["reason"] == result.restarts.reason[3]
    assert f"lambda_max(P^-1 H) = {table['lr_sharpness']:.4g} where it ended, below" in shown.out
    assert f"reason    {table['reason']}\n" in shown.out


def test_replay_labels_a_restart_as_the_report_does(wells: Path) -> None:
    """Also where the best minimum of the job is in another setting, or in another task."""
    report = tuning.load_report("wells-1", home=wells)
    for row in report.settings[:2]:
        found = Counter(
            str(tuning.replay("wells-1", setting=row.number, restart=i, home=wells).outcome.basin)
            for i in range(row.restarts)
        )
        assert {name: n for name, n in row.basins.items() if n} == {
            name: n for name, n in found.items() if name != "None"
        }


def test_replay_of_a_study_that_kept_no_sharpness(
    wells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def earlier(store: StudyStore) -> list[SettingResult]:
        results = results_of(store)
        table = results[0].restarts
        gone = np.full(len(table), np.nan)
        results[0] = replace(results[0], restarts=replace(table, lr_sharpness=gone))
        return results

    monkeypatch.setattr("tuning.runner.replay.results_of", earlier)
    ran = surefoot(wells, "replay", "wells-1", "--setting", "0", "--restart", "0")
    assert ran.code == 0
    assert ran.out.endswith("the same as in the study, bit for bit\n")


def test_replay_says_what_differs(wells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(store: StudyStore) -> list[SettingResult]:
        """Another processor, which rounded the last bit otherwise."""
        results = results_of(store)
        table = results[0].restarts
        results[0] = replace(results[0], restarts=replace(table, loss=table.loss * (1 + 2**-52)))
        return results

    monkeypatch.setattr("tuning.runner.replay.results_of", elsewhere)
    ran = surefoot(wells, "replay", "wells-1", "--setting", "0", "--restart", "0")
    assert ran.code == ExitCode.FAILED
    assert "differs from the study in: loss" in ran.out


def test_resume_of_a_finished_job_changes_nothing(wells: Path) -> None:
    folder = wells / "jobs" / "wells-1"
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != LEASE}
    ran = surefoot(wells, "resume", "wells-1", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != LEASE} == before


def test_check_estimates_and_writes_nothing(
    tmp_path: Path, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, home = write(WELLS), tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    shown = surefoot(home, "check", path)
    assert shown.code == 0
    wanted = f"{path} is valid: 6 settings (gd, momentum) x 16 restarts x 40 steps of double-well"
    assert shown.out.splitlines()[0] == wanted
    cost = json.loads(surefoot(home, "check", path, "--json").out)
    assert cost["restart_steps"] == 6 * 16 * 40
    assert cost["parameters"] == 1
    assert cost["tasks"] == 6
    assert 0 < cost["seconds"] < 60
    assert [p.name for p in tmp_path.iterdir()] == ["job.toml"]


@pytest.mark.parametrize(
    ("budget", "extent"),
    [
        ({}, "384 restarts, and 1024 at most to confirm the winner, x 40 steps"),
        ({"restarts": 96}, "96 restarts x 40 steps"),
        ({"restarts": 96, "minutes": 5}, "96 restarts x 40 steps"),
        ({"minutes": 2.5}, "as many restarts as 2.5 minutes allow x 40 steps"),
    ],
)
def test_how_large_a_job_is_in_a_few_words(budget: dict[str, float], extent: str) -> None:
    job = {"problem": {"name": "double-well"}, "training": {"steps": 40}, "budget": budget}
    spec = read_spec({**job, "search": {"optimizers": ["gd"]}})
    assert summary(spec) == f"a search for the cliff (gd): {extent} of double-well"


def test_check_says_that_the_minutes_cut_the_search(
    tmp_path: Path, write: Callable[..., str]
) -> None:
    job = '[problem]\nname = "double-well"\n[budget]\nminutes = {}\n'
    said = "[budget] minutes = {}: the search is cut to end in time"
    for minutes, cut in ((0.01, True), (1_000_000, False)):
        ran = surefoot(tmp_path, "check", write(job.format(minutes)))
        assert ran.code == 0
        assert (said.format(f"{minutes:g}") in ran.out) == cut


def test_catalogues(tmp_path: Path) -> None:
    problems = json.loads(surefoot(tmp_path, "problems", "--json").out)
    assert problems["double-well"]["parameters"] == {"tilt": 0.3, "span": 2.0}
    assert problems["mlp"]["parameters"]["data"] == "required"
    rules = json.loads(surefoot(tmp_path, "optimizers", "--json").out)
    assert rules["momentum"]["parameters"] == {"beta": 0.9}
    for command, table in (("problems", problems), ("optimizers", rules)):
        text = surefoot(tmp_path, command).out
        names = [line.split()[0] for line in text.splitlines() if not line.startswith(" ")]
        assert names == list(table)
        assert all(entry["summary"] for entry in table.values())


def test_no_stable_rate(tmp_path: Path, write: Callable[..., str]) -> None:
    """Every rate is above the limit of 1."""
    job = write(
        '[problem]\nname = "single-weight"\n[search]\nlearning_rate = { low = 2.0, high = 9.0 }\n'
        'sampler = "tpe"\nsettings = 3\n[training]\nrestarts = 8\nsteps = 30\n'
    )
    ran = surefoot(tmp_path / "home", "run", job, "--workers", "inline")
    assert (ran.code, ran.err) == (3, "")
    assert "No stable learning rate" in ran.out
    assert json.loads(surefoot(tmp_path / "home", "list", "--json").out)[0]["state"] == "done"
    again = surefoot(tmp_path / "home", "resume", "single-weight-1", "--json")
    assert again.code == 3
    assert json.loads(again.out)["best_stable"] is None


# ------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_and_option_is_explained(tmp_path: Path, name: str) -> None:
    ran = surefoot(tmp_path, name, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: surefoot {name} ")
    assert surefoot(tmp_path, name, "-h") == ran
    for parameter in cli.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in ran.out
            assert parameter.help
    listed = re.search(rf"^  {name} +\S", surefoot(tmp_path, "--help").out, re.MULTILINE)
    assert (listed is None) == cli.commands[name].hidden  # Ray runs those, and nobody else


def test_without_a_command(tmp_path: Path) -> None:
    bare, asked = surefoot(tmp_path), surefoot(tmp_path, "--help")
    assert (bare.code, asked.code) == (2, 0)
    assert bare.out == asked.out
    assert surefoot(tmp_path, "--version").out == f"surefoot, version {version('surefoot')}\n"
