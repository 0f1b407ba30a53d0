"""`surefoot verdict`: forms, files and exit codes as those of `surefoot report`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tuning
from tests.support.surefoot_command import complaint, surefoot, without_run
from tuning.cli.exit_codes import ExitCode

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def results(tmp_path: Path) -> str:
    """20 seeds at three rates, the highest of which diverges."""
    lines = [
        f"sgd,{rate},{seed},{'nan' if rate > 1 else 1 / (1 + rate) + seed / 100},1.0"
        for rate in (0.1, 0.5, 2.0)
        for seed in range(20)
    ]
    file = tmp_path / "results.csv"
    header = "optimizer,learning_rate,seed,loss,start_loss"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(file)


def test_the_table(tmp_path: Path, results: str) -> None:
    ran = surefoot(tmp_path / "home", "verdict", results)
    assert (ran.code, ran.err) == (ExitCode.DONE, "")
    assert "\nBest learning rate that looks stable, not confirmed: 0.5 " in ran.out
    assert "\nSettings\n" not in ran.out
    full = surefoot(tmp_path / "home", "verdict", results, "--full").out
    assert full.startswith("results\nBest learning rate that looks stable, not confirmed: 0.5 ")
    assert "\nSettings\n" in full
    assert not (tmp_path / "home").exists()


def test_every_form_is_that_of_the_report(tmp_path: Path, results: str) -> None:
    report = tuning.verdict(results, stability={"max_unstable": 0.2, "margin": 1.0}, steps=100)
    asked = ("verdict", results, "--max-unstable", "0.2", "--margin", "1", "--steps", "100")
    for form in (("--json",), ("--format", "json"), ("--json", "--format", "json")):
        ran = surefoot(tmp_path, *asked, *form)
        assert ran.code == ExitCode.DONE
        assert without_run(ran.out) == without_run(report.to_json())
    ran = surefoot(tmp_path, *asked, "--format", "csv")
    assert ran.out == report.to_dataframe().to_csv(index=False, lineterminator="\n")
    page = tmp_path / "report.html"
    ran = surefoot(tmp_path, *asked, "--format", "html", "--output", str(page))
    assert (ran.code, ran.out) == (ExitCode.DONE, "")
    assert "not confirmed" in page.read_text(encoding="utf-8")


def test_a_known_minimum(tmp_path: Path, results: str) -> None:
    ran = surefoot(tmp_path, "verdict", results, "--known-minimum", "0.6", "--json")
    report = json.loads(ran.out)
    assert report["best_loss"] == 0.6
    assert report["best_loss_is_known"]


def test_no_rate_looks_stable(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("learning_rate,seed,loss\n1,0,nan\n1,1,nan\n", encoding="utf-8")
    ran = surefoot(tmp_path, "verdict", str(file))
    assert ran.code == ExitCode.NONE_STABLE
    assert "No stable learning rate was found" in ran.out


def test_bad_input_is_one_line(tmp_path: Path, results: str) -> None:
    text = Path(results).read_text(encoding="utf-8")
    Path(results).write_text(text.replace("0.5,3,", "0.5,3,x"), encoding="utf-8")
    told = complaint(surefoot(tmp_path, "verdict", results))
    assert told.startswith(f"surefoot: {results}: loss in row 24 is 'x0.69")
    Path(results).write_text(text, encoding="utf-8")
    for wrong, told in (
        (("--max-unstable", "2"), "stability: max_unstable = 2.0 is not valid"),
        (("--format", "csv", "--json"), "--json and --format csv are two forms"),
        (("--steps", "0"), "steps = 0 is not valid"),
        (("--output", str(tmp_path)), "--output"),
        (("--format", "pdf"), "'pdf' is not one of"),
    ):
        assert told in complaint(surefoot(tmp_path, "verdict", results, *wrong))
    assert "no such file" in complaint(surefoot(tmp_path, "verdict", f"{results}.csv"))
