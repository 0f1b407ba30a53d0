"""`surefoot explain`: what decided one restart's labels, from the study or trained again."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.surefoot_command import complaint, results_in, surefoot
from tuning.cli.exit_codes import ExitCode
from tuning.cli.main import main
from tuning.search.records import results_of
from tuning.study import StudyStore
from tuning.trial.result import Restarts, SettingResult

pytestmark = pytest.mark.usefixtures("no_pictures")

ONE = ("--setting", "1", "--restart", "3")


def test_from_the_study(wells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("tuning.runner.replay.train_block", never)
    shown = surefoot(wells, "explain", "wells-1", *ONE)
    assert (shown.code, shown.err) == (0, "")
    table = results_in(wells, "wells-1")[1].restarts
    lines = shown.out.splitlines()
    assert lines[0].startswith("restart 3 of setting 1: momentum at rate ")
    assert f"J0            {table.start_loss[3]:<11.5g} loss at the start" in shown.out
    assert f"J             {table.basin_loss[3]:<11.5g} where the descent" in shown.out
    assert f"cosine        {table.cosine[3]:<11.5g} mean, between" in shown.out
    # 40 steps: ten of the tail, too few for a picture of their own.
    assert "the way, with a tick where the tail begins, at 30: (J - J_bottom) / D" in lines
    assert lines[-1].startswith("at the checkpoints of the study; --train-again ")
    assert [line for line in lines if line != line.rstrip()] == []


def test_every_restart_s_reasoning_ends_with_its_labels(wells: Path) -> None:
    for result in results_in(wells, "wells-1"):
        where = ("--setting", str(result.setting.number))
        for row in result.setting.starts[:4]:
            ran = surefoot(wells, "explain", "wells-1", *where, "--restart", str(row), "--json")
            told = json.loads(ran.out)
            for what, none in (("dynamics", None), ("unstable", None), ("basin", "none")):
                assert told[what]["because"][-1]["label"] == (told[what]["label"] or none)


def test_trained_again_it_says_the_same(wells: Path) -> None:
    study, again = (
        surefoot(wells, "explain", "wells-1", *ONE, *more, "--json")
        for more in ((), ("--train-again",))
    )
    assert (study.code, again.code) == (0, 0)
    assert json.loads(study.out) == json.loads(again.out)
    shown = surefoot(wells, "explain", "wells-1", *ONE, "--train-again").out
    assert "--train-again" not in shown


def test_trained_again_elsewhere_it_says_what_differs(
    wells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(store: StudyStore) -> list[SettingResult]:
        results = results_of(store)
        table = results[1].restarts
        results[1] = replace(results[1], restarts=replace(table, loss=table.loss * (1 + 2**-52)))
        return results

    monkeypatch.setattr("tuning.runner.replay.results_of", elsewhere)
    ran = surefoot(wells, "explain", "wells-1", *ONE, "--train-again")
    assert ran.code == ExitCode.FAILED
    assert ran.out.endswith("differs from the study in: loss\n")


def test_in_a_terminal_without_braille(wells: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_HOME", str(wells))
    for encoding, plain in (("ascii", True), ("latin-1", True), ("utf-8", False)):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
        with pytest.raises(SystemExit):
            main(["explain", "wells-1", *ONE])
        sys.stdout.flush()
        assert written.getvalue().isascii() == plain
        assert b"?" not in written.getvalue()


def test_a_study_from_before_tails_were_measured(
    wells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {
        "dynamics", "point", "start_loss", "loss", "basin_loss", "smallest_curvature",
        "largest_curvature", "lr_sharpness", "diverged_at", "validation_loss", "reason",
    }  # fmt: skip

    def earlier(store: StudyStore) -> list[SettingResult]:
        return [
            replace(
                result,
                restarts=Restarts.from_json(
                    {k: v for k, v in result.restarts.to_json().items() if k in kept}
                ),
            )
            for result in results_of(store)
        ]

    monkeypatch.setattr("tuning.runner.replay.results_of", earlier)
    ran = surefoot(wells, "explain", "wells-1", *ONE)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("told by an earlier version of Surefoot, which kept nothing of the") == 2
    assert "cosine" not in ran.out
    assert not np.isnan(results_in(wells, "wells-1")[1].restarts.cosine).any()


def test_what_is_not_there(wells: Path) -> None:
    line = complaint(surefoot(wells, "explain", "wels-1", *ONE))
    assert line.startswith(f"surefoot: no job 'wels-1' in {wells}; did you mean 'wells-1'?")
    for number in ("-1", "99"):
        line = complaint(
            surefoot(wells, "explain", "wells-1", "--setting", number, "--restart", "0")
        )
        last = len(results_in(wells, "wells-1")) - 1
        assert line == f"surefoot: job wells-1 has no setting {number}; valid: 0 to {last}"
        line = complaint(
            surefoot(wells, "explain", "wells-1", "--setting", "0", "--restart", number)
        )
        assert line == f"surefoot: setting 0 has no restart {number}; valid: 0 to 15"
    line = complaint(surefoot(wells, "explain", "wells-1", "--setting", "1"))
    assert "Missing option '--restart'" in line
