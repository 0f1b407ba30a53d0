"""MLflow's UI and its entrance with a job of 300 settings, in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.made_jobs import begun, finish, large_job, told_so_far
from tests.support.mlflow_server import Server, wait_until
from tuning.report.formatting import number
from tuning.report.model import Report, SettingRow
from tuning.tracking.view import view_path

pytestmark = [pytest.mark.cluster, pytest.mark.browser]

SETTINGS, PAGE = 300, 100  # MLflow's UI loads a hundred runs
PATIENCE = 120_000.0  # of the browser, in milliseconds; for machines that are busy
#: Kept, to be looked at.
SCREENSHOTS = Path(__file__).resolve().parents[3] / "build" / "screenshots"
#: MLflow's own, without a password: it asks who is logged in, and nobody can be.
OF_MLFLOW = "/ajax-api/2.0/mlflow/users/current"


@dataclass
class Watched:
    """A page, and what went wrong in it."""

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on(
            "console",
            lambda said: (
                self.wrong.append(said.text)
                if said.type == "error"
                and OF_MLFLOW not in said.location["url"]
                and "ResizeObserver loop" not in said.text  # Chromium's way to say: next frame
                else None
            ),
        )
        self.page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.wrong.append(f"leaves this machine: {url}")

    def kept(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("large")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as driver:
        one = driver.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        yield one
        one.close()


@dataclass
class Shown:
    """The job, its server, and a page."""

    server: Server
    report: Report
    experiment: str


@pytest.fixture(scope="module")
def shown(home: Path, browser: Browser) -> Iterator[Shown]:
    """A job that was looked at in the entrance while it ran, and is done."""
    kept, results = large_job(home, SETTINGS)
    tracker, live = begun(kept)
    told_so_far(live, results[:17])
    assert tracker.wait(PATIENCE)
    server = Server(home, "mlflow-artifacts")
    try:
        server.start()
        wait_until(server.answers, 300.0)
        told_so_far(live, results[:17])  # it is heard of, however long the server took
        assert tracker.wait(PATIENCE)
        watched = Watched(browser.new_page(), server.address)
        watched.page.goto(server.address)
        row = watched.page.locator("article[data-job=large-1]")
        expect(row).to_contain_text("17 of 300 settings")
        expect(row).to_contain_text(re.compile(r"best so far \S+ with momentum, not confirmed"))
        assert row.locator("progress").get_attribute("value") == "17"
        assert row.get_by_role("link", name="Report").count() == 0
        watched.kept("entrance-running")
        report = finish(kept, results, tracker, live)
        # The page that has been open all the time.
        expect(row.locator(".done")).to_be_visible(timeout=PATIENCE)
        assert report.best_stable is not None
        answer = f"{number(report.best_stable.learning_rate)} with momentum"
        expect(row.locator(".answer")).to_have_text(f"Best stable learning rate: {answer}")
        unstable = row.locator("svg").nth(1).locator("path")
        drawn = [int(path.get_attribute("data-points") or 0) for path in unstable.all()]
        assert sum(drawn) == len(report.rows)
        watched.kept("entrance-done")
        assert watched.wrong == []
        watched.page.close()
        yield Shown(server, report, str(tracker.experiment_id))
    finally:
        server.kill()


def drawn(page: Page, chart: int) -> dict[str, int]:
    """By the name of a run, how many points of it a chart draws."""
    read = (
        "(all, i) => Object.fromEntries((all[i]?.data || []).map(one => [one.name, one.x.length]))"
    )
    found: dict[str, int] = page.locator(".js-plotly-plot").evaluate_all(read, chart)
    return found


def test_the_view(shown: Shown, browser: Browser) -> None:
    watched = Watched(
        browser.new_page(viewport={"width": 1440, "height": 900}), shown.server.address
    )
    page, best = watched.page, shown.report.best_stable
    page.goto(shown.server.address)
    page.get_by_role("link", name="All settings").click()
    name = f"★ momentum {number(best.learning_rate)}" if best else ""
    first_row = page.locator("[role=row][row-index='0']").filter(has_text=name)
    expect(first_row.first).to_be_visible()
    second_row = page.locator("[role=row][row-index='1']").filter(has_text="all ")
    expect(second_row.first).to_be_visible()
    expect(page.get_by_text(f"{PAGE} matching runs")).to_be_visible()
    sure = re.compile(r"0 of \d+ fresh starts unstable.*trapped 25.0 %")
    expect(page.get_by_text(sure)).to_be_visible()
    for chart in ("all/loss", "all/unstable"):
        expect(page.get_by_text(chart, exact=True).first).to_be_visible()
    # Every setting of each optimizer, and the recommended one's point.
    half = SETTINGS // 2
    wait_until(lambda: drawn(page, 1) == {name: 1, "all momentum": half, "all adam": half}, 120.0)
    assert drawn(page, 0).keys() == drawn(page, 1).keys()
    watched.kept("mlflow-view")
    page.locator(".js-plotly-plot").nth(2).scroll_into_view_if_needed()
    # Of the first 20 runs, the two of all settings have no loss curve.
    wait_until(lambda: len(drawn(page, 2)) == 18, 120.0)
    assert name in drawn(page, 2)
    watched.kept("mlflow-curves")
    page.reload()
    expect(first_row.first).to_be_visible()
    expect(page.get_by_text("all/unstable", exact=True).first).to_be_visible()
    assert watched.wrong == []
    page.close()


def test_the_report_is_one_click_from_the_entrance(shown: Shown, browser: Browser) -> None:
    watched = Watched(browser.new_page(), shown.server.address)
    watched.page.goto(f"{shown.server.address}/")
    watched.page.get_by_role("link", name="Report").click()
    expect(watched.page.frame_locator("iframe").get_by_text("The answer")).to_be_visible()
    assert watched.wrong == []
    watched.page.close()


def test_the_entrance_draws_losses_below_zero(shown: Shown, browser: Browser) -> None:
    """Of a double well the best one is. What the last one's loss is is not known."""
    client = MlflowClient(f"sqlite:///{shown.server.file}")
    points = {"gd": [[-1.0, 0.25, 0.0], [-0.5, -0.3, 0.0], [0.5, None, 1.0]]}
    tags = {"surefoot.job": "wells-1", "surefoot.state": "done"}
    made = client.create_experiment("wells-1", tags={**tags, "surefoot.points": json.dumps(points)})
    watched = Watched(browser.new_page(), shown.server.address)
    try:
        watched.page.goto(f"{shown.server.address}/")
        charts = watched.page.locator("article[data-job=wells-1] svg")
        expect(charts).to_have_count(2)
        loss, unstable = charts.all()
        assert [
            chart.locator("path[data-points]").get_attribute("data-points")
            for chart in (loss, unstable)
        ] == ["2", "3"]
        expect(loss.get_by_text("-0.3", exact=True)).to_be_visible()
        watched.kept("entrance-below-zero")
    finally:
        client.delete_experiment(made)
    assert watched.wrong == []
    watched.page.close()


def test_fragments_of_mlflow_go_on_working(shown: Shown, browser: Browser) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(shown.server.address + view_path(shown.experiment))
    expect(page.get_by_text("all/unstable", exact=True).first).to_be_visible()
    assert "#/experiments/" in page.url
    page.close()


def test_a_home_that_was_moved_has_its_files(shown: Shown, home: Path, tmp_path: Path) -> None:
    moved = Server(Path(shutil.copytree(home, tmp_path / "moved")), "mlflow-artifacts")
    (run,) = MlflowClient(f"sqlite:///{moved.file}").search_runs(
        [shown.experiment], "tags.role = 'report'"
    )
    assert str(home) not in run.info.artifact_uri
    (home / "mlflow-artifacts").rename(home / "elsewhere")
    try:
        moved.start()
        wait_until(moved.answers, 300.0)
        where = f"{moved.address}/get-artifact?path=report.html&run_uuid={run.info.run_id}"
        with urllib.request.urlopen(where, timeout=60) as answer:
            assert answer.read() == b"<h1>The answer</h1>"
    finally:
        moved.kill()
        (home / "elsewhere").rename(home / "mlflow-artifacts")


def _most(row: SettingRow) -> str:
    return max(reversed(list(row.dynamics)), key=lambda name: row.dynamics[name])


FILTERS: dict[str, Callable[[SettingRow], bool]] = {
    "tags.outcome = 'diverged'": lambda row: _most(row) == "diverged",
    "metrics.trapped > 0.2": lambda row: (row.trapped.estimate or 0.0) > 0.2,
    "metrics.unstable < 0.05": lambda row: (
        row.unstable.estimate is not None and row.unstable.estimate < 0.05
    ),
    "metrics.learning_rate < 0.1": lambda row: row.learning_rate < 0.1,
    "params.optimizer = 'adam'": lambda row: row.optimizer == "adam",
    "tags.status = 'looks-stable'": lambda row: row.status == "looks-stable",
    "tags.recommended = 'true'": lambda row: row.status == "recommended",
    "params.optimizer = 'adam' AND metrics.unstable < 0.05": lambda row: (
        row.optimizer == "adam"
        and row.unstable.estimate is not None
        and row.unstable.estimate < 0.05
    ),
}


@pytest.mark.parametrize("wanted", FILTERS)
def test_a_filter_finds_what_the_report_counts(shown: Shown, wanted: str) -> None:
    client = MlflowClient(f"sqlite:///{shown.server.file}")
    found = client.search_runs([shown.experiment], wanted, max_results=1000)
    numbers = {int(run.data.tags["setting"]) for run in found}
    assert numbers == {row.number for row in shown.report.rows if FILTERS[wanted](row)}
    assert 0 < len(numbers) < len(shown.report.rows)


def test_the_filters_are_those_of_the_page() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "mlflow.md"
    assert re.findall(r"^\| `([^`]+)` \|", page.read_text(encoding="utf-8"), re.M) == list(FILTERS)
