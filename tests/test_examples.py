"""The examples are what people run first: each is valid, and runs to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.surefoot_command import surefoot
from tuning.report.export import to_toml

pytestmark = [pytest.mark.science, pytest.mark.usefixtures("no_pictures")]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
JOBS = sorted(EXAMPLES.glob("*.toml"))
SCRIPTS = sorted(EXAMPLES.glob("*.py"))

#: What keeps an example from taking long here; the small ones run as they are.
SHRUNK: dict[str, dict[str, dict[str, Any]]] = {
    "breast-cancer": {
        "budget": {"restarts": 700},
        "training": {"steps": 100},
    },
    "digits": {
        "budget": {"restarts": 240},
        "training": {"steps": 40},
    },
}


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_check_finds_it_valid(tmp_path: Path, path: Path) -> None:
    ran = surefoot(tmp_path / "home", "check", str(path))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"{path} is valid: ")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_it_runs_to_its_end(tmp_path: Path, path: Path) -> None:
    job = tomllib.loads(path.read_text(encoding="utf-8"))
    for name, changes in SHRUNK.get(path.stem, {}).items():
        job[name] = {**job.get(name, {}), **changes}
    copy = tmp_path / path.name
    copy.write_text(to_toml(job), encoding="utf-8")
    ran = surefoot(tmp_path / "home", "run", str(copy), "--workers", "inline", "--json")
    report = json.loads(ran.out)
    assert ran.code == 0, report["explanation"]
    assert report["job"]["name"] == path.stem
    assert report["best_stable"]["optimizer"] in report["cliffs"]
    # Eight rates over the range for each optimizer, and more where it is decided.
    assert len(report["settings"]) > 8 * len(report["cliffs"])
    best = report["best_stable"]["learning_rate"]
    match path.stem:
        case "single-weight":
            # The limit is 2 / curvature = 1, and a stable rate is so at twice the rate too.
            assert best < 0.5
            tried = {row["learning_rate"]: row["dynamics"] for row in report["settings"]}
            assert tried[0.1]["settled"] == 6
            assert tried[2.0]["diverged"] == 6
            assert report["cliffs"]["gd"]["basis"] == "thresholds"
            assert report["cliffs"]["gd"]["high"] / report["cliffs"]["gd"]["low"] < 1.05
            assert report["cliffs"]["gd"]["low"] <= 1.0 <= report["cliffs"]["gd"]["high"]
        case "double-well":
            # Starts are drawn evenly over both wells; gradient descent stays where it begins.
            assert report["best_stable"]["trapped"]["total"] >= 128
            assert 0.3 < report["best_stable"]["trapped"]["estimate"] < 0.7
            assert len(report["minima"]) == 2
        case "xor":
            assert report["best_loss_is_known"]
            assert report["best_loss"] == 0.0
        case "digits":
            assert report["settings"][0]["validation_loss"] is not None


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_script_runs(tmp_path: Path, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env={**os.environ, "SUREFOOT_HOME": str(tmp_path / "home"), "SUREFOOT_WORKERS": "inline"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.strip()
    # A study of the user's own leaves nothing behind, and a verdict nothing beside its table.
    left = {"cliff_sampler": [], "verdict": ["results.csv"]}.get(path.stem, ["home"])
    assert [p.name for p in tmp_path.iterdir()] == left
