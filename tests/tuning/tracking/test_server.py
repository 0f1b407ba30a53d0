"""A real MLflow server: killed in the middle, and looked at in a real browser."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support.mlflow_server import PATIENCE, Server, wait_until
from tuning.tracking import Run, Tracker
from tuning.tracking.view import view_path

pytestmark = pytest.mark.cluster

SETTINGS = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("server"))
    try:
        one.start()
        wait_until(one.answers)
        yield one
    finally:
        one.kill()


def runs(job: str) -> list[Run]:
    """Settings below and above a cliff at 1, and the report."""
    found = []
    for number in range(SETTINGS):
        rate = 10 ** (-3 + 5 * number / SETTINGS)
        unstable = float(rate > 1.0)
        found.append(
            Run(
                key=f"{job}/{number}",
                name=f"gd lr={rate:.3g}",
                params={"optimizer": "gd", "learning_rate": rate},
                tags={"outcome": "diverged" if unstable else "settled"},
                metrics={
                    "learning_rate": rate,
                    "log10_lr": math.log10(rate),
                    "unstable": unstable,
                    "trapped": 0.25,
                    "loss": rate,
                    "log10_loss": math.log10(rate),
                },
                curves={
                    f"loss/{name}": [(10 * k, scale * math.exp(-rate * k)) for k in range(100)]
                    for name, scale in (("p10", 0.5), ("p50", 1.0), ("p90", 2.0))
                },
                seconds=(1_760_000_000.0 + number, 1_760_000_001.0 + number),
                colour="#c62828" if unstable else "#2e7d32",
            )
        )
    report = Run(
        key=f"{job}/report",
        name="report",
        params={},
        tags={"outcome": "report"},
        metrics={},
        curves={},
        seconds=(1_760_000_000.0, 1_760_000_020.0),
        files={"report.html": "<h1>The answer</h1>"},
    )
    return [*found, report]


def start_tracker(server: Server, job: str) -> Tracker:
    tracker = Tracker(server.address, job, artifact_root=None, experiment_tags={})
    tracker.start()
    return tracker


def test_a_server_killed_in_the_middle(server: Server) -> None:
    tracker = start_tracker(server, "killed")
    wanted = runs("killed")
    for run in wanted:
        tracker.put(run)
    # Between two requests or in one, wherever it falls.
    wait_until(lambda: server.count("runs where status = 'FINISHED'") >= 2)
    server.kill()
    wait_until(lambda: tracker.problem)
    assert "cannot be reached" in str(tracker.problem)
    assert server.count("runs where status = 'FINISHED'") < len(wanted)
    server.start()
    assert tracker.close(PATIENCE) == []
    assert tracker.problem is None
    key = "tags where key = 'surefoot.key'"
    assert server.count(f"(select distinct value from {key})") == server.count(key) == len(wanted)
    assert server.count("runs where status = 'FINISHED'") == server.count("runs") == len(wanted)
    # 6 scalars and 3 curves of 100 points in each run of a setting.
    assert server.count("metrics") == SETTINGS * (6 + 3 * 100)
    reports = list(server.folder.glob("files/*/*/artifacts/report.html"))
    assert [report.read_text() for report in reports] == ["<h1>The answer</h1>"]


class Text(HTMLParser):
    """The pieces of text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        self.pieces.append(data.strip())


def browse(url: str, profile: Path) -> list[str]:
    """The text pieces of the page at `url` as a browser shows it."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "the tests of the view need chromium: see .ci/run"
    options = """--headless=new --no-sandbox --disable-gpu --disable-background-networking
        --no-first-run --disable-dev-shm-usage --window-size=1600,1400
        --virtual-time-budget=60000 --dump-dom"""
    process = subprocess.Popen(
        [chromium, *options.split(), f"--user-data-dir={profile}", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        page, _ = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    text = Text()
    text.feed(page.decode())
    return text.pieces


@pytest.fixture(scope="module")
def shown(server: Server) -> Tracker:
    """A tracker that has written a job."""
    wait_until(server.answers)
    tracker = start_tracker(server, "shown")
    tracker.reconcile(runs("shown"))
    assert tracker.close(PATIENCE) == []
    return tracker


@pytest.mark.browser
def test_the_view_in_a_browser(server: Server, shown: Tracker, tmp_path: Path) -> None:
    assert shown.experiment_id is not None
    assert shown.url == server.address + view_path(shown.experiment_id)
    pieces = browse(shown.url, tmp_path)
    names = {run.name for run in runs("shown")}
    assert names <= set(pieces)
    assert {"#2e7d32", "#c62828"} <= set(pieces)
    charts = [
        "loss/p50",
        "log10_lr vs. unstable",
        "log10_lr vs. trapped",
        "log10_lr vs. log10_loss",
    ]
    assert [title for title in charts if title not in pieces] == []
    assert "Parallel Coordinates" in pieces
    # All twelve settings are drawn (by default MLflow hides all but ten runs): the legend has them.
    assert {f"{name} (loss/p50)" for name in names - {"report"}} <= set(pieces)


@pytest.mark.browser
def test_the_table_in_a_browser(shown: Tracker, tmp_path: Path) -> None:
    assert shown.url is not None
    pieces = browse(shown.url.replace("&compareRunsMode=CHART", ""), tmp_path)
    columns = {"optimizer", "learning_rate", "outcome", "unstable", "trapped", "loss"}
    assert columns <= set(pieces)
