"""What a job's experiment says of it, live."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

import tuning
from tests.support.made_jobs import large_job
from tuning.analysis.build import build_report
from tuning.report.model import RunFacts
from tuning.runner.mlflow_description import Ending, LiveDescription
from tuning.search.loop import Progress
from tuning.tracking.writer import Description


class Recorder:
    """Stands for the tracker, and keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[Mapping[str, str]] = []

    def describe(self, key: str, description: Description) -> None:
        assert key == "large-1/report"
        self.said.append(description("7", "abc"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("tuning.runner.mlflow_description.time.monotonic", lambda: now[0])
    return now


def test_a_job_is_described_while_it_runs_and_when_it_is_done(
    tmp_path: Path, clock: list[float]
) -> None:
    kept, results = large_job(tmp_path, 24)
    recorder: Any = Recorder()
    live = LiveDescription(kept, recorder)
    live.beat()
    assert recorder.said[-1]["surefoot.progress"] == "0 of 24 settings"
    assert recorder.said[-1]["surefoot.answer"] == "no rate looks stable yet"
    live.told(results[:17])
    live.beat()  # not more often than every few seconds
    assert len(recorder.said) == 1
    clock[0] += 6.0
    live.beat()
    running = recorder.said[-1]
    assert (running["surefoot.state"], len(recorder.said)) == ("running", 2)
    assert running["surefoot.progress"] == "17 of 24 settings"
    assert running["mlflow.note.content"].startswith("**17 of 24 settings: best so far 0.")
    points = json.loads(running["surefoot.points"])
    assert {name: len(some) for name, some in points.items()} == {"momentum": 9, "adam": 8}
    clock[0] += 6.0
    live.beat()  # nothing is new
    assert len(recorder.said) == 2
    clock[0] += 15.0
    live.beat()  # a sign of life
    assert len(recorder.said) == 3

    facts = RunFacts(kept.id, "today", 1.0, 1.0, 1.0, 1, {})
    report = build_report(kept.spec, kept.header["problem"], results, facts)
    live.done(report, {"report.html": "", "outcomes.png": b""})
    done = recorder.said[-1]
    assert (done["surefoot.state"], done["surefoot.report"]) == ("done", "abc")
    assert done["surefoot.answer"].startswith("Best stable learning rate: 0.")
    assert "get-artifact?path=outcomes.png&run_uuid=abc" in done["mlflow.note.content"]
    clock[0] += 100.0
    live.beat()  # it is over, though its heart goes on
    assert len(recorder.said) == 4


def test_why_a_job_ended_early_is_said(tmp_path: Path, clock: list[float]) -> None:
    kept, results = large_job(tmp_path, 6)
    recorder: Any = Recorder()
    live = LiveDescription(kept, recorder)
    live.told(results[:2])
    live.ended(Ending.FAILED, "the valley is full\nand more")
    clock[0] += 100.0
    live.beat()
    (said,) = recorder.said
    assert (said["surefoot.state"], said["surefoot.answer"]) == ("failed", "the valley is full")


def test_a_job_that_is_left_at_once_is_interrupted_for_mlflow_too(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"

    def states() -> list[str | None]:
        if not file.exists():
            return []
        experiments = MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
        return [e.tags.get("surefoot.state") for e in experiments if "surefoot.job" in e.tags]

    def leave(_: Progress) -> None:
        if states() == ["running"]:
            raise KeyboardInterrupt
        time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt):
        tuning.tune(
            problem="double-well",
            search={"sampler": "random", "settings": 200, "optimizers": ["gd"]},
            training={"restarts": 4, "steps": 50},
            workers="inline",
            home=tmp_path,
            progress=leave,
        )
    assert states() == ["interrupted"]


def test_a_tag_holds_no_more_settings_than_fit(tmp_path: Path) -> None:
    kept, results = large_job(tmp_path, 40)
    recorder: Any = Recorder()
    live = LiveDescription(kept, recorder)
    live.told(results * 50)
    live.beat()
    assert 8_000 < len(recorder.said[0]["surefoot.points"]) < 20_000
