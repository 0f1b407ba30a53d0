"""MLflow holds each run once and complete, whatever happens in between."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from trainers.errors import InvalidInput
from tuning.tracking import Run, Tracker, check, report_path
from tuning.tracking.run import DIGEST_TAG, KEY_TAG, NOT_FINITE_TAG

NAN, INFINITY = float("nan"), float("inf")
PATIENCE = 60.0


def make_run(number: int = 0, **changes: Any) -> Run:
    """A run as the coordinator makes it: 3 curves of 5 points, 3 scalars."""
    run = Run(
        key=f"xor-1/{number}",
        name=f"adam lr={0.01 * (number + 1):g}",
        params={"optimizer": "adam", "learning_rate": 0.01 * (number + 1), "steps": 40},
        tags={"outcome": "stable"},
        metrics={"log10_lr": -2.0 + number, "unstable": 0.0, "trapped": 0.25},
        curves={
            f"loss/{name}": [(step, scale / (step + 1)) for step in range(0, 50, 10)]
            for name, scale in (("p10", 1.0), ("p50", 2.0), ("p90", 3.0))
        },
        seconds=(1_760_000_000.0 + number, 1_760_000_000.8 + number),
        colour="#2e7d32",
        note="**fine**",
    )
    return replace(run, **changes)


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Creating MLflow's tables takes 2 s: once is enough."""
    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    tracker = Tracker(f"sqlite:///{file}", "none", artifact_root=None, experiment_tags={})
    tracker.start()
    assert tracker.close(PATIENCE) == []
    assert tracker.experiment_id is not None
    return file


@pytest.fixture
def file(empty_store: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(empty_store, tmp_path / "mlflow.db"))


@pytest.fixture
def tracker(file: Path) -> Iterator[Callable[..., Tracker]]:
    """Makes and starts trackers of `file`; all are closed at the end."""
    made: list[Tracker] = []

    def make(uri: str | None = None, start: bool = True, **options: Any) -> Tracker:
        made.append(
            Tracker(
                uri or f"sqlite:///{file}",
                "xor-1",
                artifact_root=file.parent / "files",
                experiment_tags={"surefoot.job": "xor-1"},
                **options,
            )
        )
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close(0.0)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def client(file: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{file}")


def held(file: Path) -> dict[str, MlflowRun]:
    """The runs of the experiment by key; each key once."""
    found = client(file).get_experiment_by_name("xor-1")
    assert found is not None
    runs = client(file).search_runs([found.experiment_id])
    keys = [run.data.tags[KEY_TAG] for run in runs]
    assert len(keys) == len(set(keys))
    return dict(zip(keys, runs, strict=True))


def rows(file: Path) -> dict[str, int]:
    """How much is in the database, deleted runs included."""
    with sqlite3.connect(file) as database:
        return {
            table: database.execute(f"select count(*) from {table}").fetchone()[0]
            for table in ("runs", "metrics", "params", "tags")
        }


def points(file: Path, run_id: str, metric: str) -> list[tuple[int, float]]:
    history = client(file).get_metric_history(run_id, metric)
    return sorted((point.step, point.value) for point in history)


def test_a_run_that_is_under_way_grows_and_is_dropped(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    one, other = tracker(), make_run(1)
    whole = make_run(key="xor-1/0.training", under_way=True)
    one.put(other)
    for count in (2, 3, 5):
        curves = {name: list(curve)[:count] for name, curve in whole.curves.items()}
        one.put(replace(whole, curves=curves, note=f"{count} points"))
        assert one.wait(PATIENCE)
        found = held(file)[whole.key]
        assert (found.info.status, found.info.end_time) == ("RUNNING", None)
        assert found.data.tags["mlflow.note.content"] == f"{count} points"
        assert points(file, found.info.run_id, "loss/p50") == curves["loss/p50"]
        assert points(file, found.info.run_id, "trapped") == [(0, 0.25)]
    one.drop(whole.key)
    one.drop("xor-1/7.training")  # one that never was
    assert one.close(PATIENCE) == []
    assert list(held(file)) == [other.key]


def test_a_run_that_was_under_way_when_its_writer_was_killed_is_gone(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    killed = tracker()
    killed.put(make_run(key="xor-1/0.training", under_way=True))
    killed.put(make_run(1))
    assert killed.wait(PATIENCE)
    assert len(held(file)) == 2
    one = tracker()
    one.put(make_run(2))
    assert one.close(PATIENCE) == []
    assert set(held(file)) == {"xor-1/1", "xor-1/2"}


def check_complete(file: Path, run: Run) -> None:
    """MLflow holds all of `run`, each point once."""
    found = held(file)[run.key]
    assert found.info.status == "FINISHED"
    assert found.info.run_name == run.name
    assert found.info.start_time == round(1000 * run.seconds[0])
    assert found.info.end_time == round(1000 * run.seconds[1])
    assert found.data.params == {name: str(value) for name, value in run.params.items()}
    assert found.data.tags.items() >= dict(run.tags).items()
    assert found.data.metrics.keys() == {*run.metrics, *run.curves}
    for name, value in run.metrics.items():
        assert points(file, found.info.run_id, name) == [(0, value)]
    for name, curve in run.curves.items():
        assert points(file, found.info.run_id, name) == list(curve)


def test_a_run_is_written_whole(file: Path, tracker: Callable[..., Tracker]) -> None:
    one = tracker()
    for number in range(3):
        one.put(make_run(number))
    assert one.close(PATIENCE) == []
    assert one.problem is None
    for number in range(3):
        check_complete(file, make_run(number))
    tags = held(file)["xor-1/0"].data.tags
    assert tags["mlflow.runColor"] == "#2e7d32"
    assert tags["mlflow.note.content"] == "**fine**"
    experiment = client(file).get_experiment_by_name("xor-1")
    assert experiment is not None
    assert experiment.experiment_id == one.experiment_id
    assert experiment.tags["surefoot.job"] == "xor-1"
    assert one.url is None  # a database has no page


def test_points_are_dated_by_their_step(file: Path, tracker: Callable[..., Tracker]) -> None:
    one = tracker()
    one.put(make_run(0))
    one.close(PATIENCE)
    run_id = held(file)["xor-1/0"].info.run_id
    history = client(file).get_metric_history(run_id, "loss/p50")
    # 0.8 s for steps 0 to 40, a point every 10.
    dates = sorted(point.timestamp - 1_760_000_000_000 for point in history)
    assert dates == [0, 200, 400, 600, 800]


def test_writing_again_adds_nothing(file: Path, tracker: Callable[..., Tracker]) -> None:
    runs = [make_run(number) for number in range(3)]
    first = tracker()
    first.reconcile(runs[:2])
    first.put(runs[0])
    assert first.close(PATIENCE) == []
    before = rows(file)
    assert before["runs"] == 2
    second = tracker()
    second.reconcile(runs[:2])
    assert second.close(PATIENCE) == []
    assert rows(file) == before
    third = tracker()
    third.reconcile(runs)
    assert third.close(PATIENCE) == []
    assert rows(file)["runs"] == 3


def test_what_is_known_at_the_end_is_added_to_the_run(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    first = tracker()
    first.reconcile([make_run(0), make_run(1)])
    assert first.close(PATIENCE) == []
    before = rows(file), held(file)["xor-1/0"].info.run_id
    ranked = make_run(0, name="★ adam 0.01", colour="#e3001b", late={"rank": 1.0})
    for _ in range(2):  # a second time adds nothing
        second = tracker()
        second.reconcile([ranked, make_run(1)])
        assert second.close(PATIENCE) == []
        found = held(file)["xor-1/0"]
        assert (found.info.run_id, found.info.run_name) == (before[1], "★ adam 0.01")
        assert found.data.tags["mlflow.runColor"] == "#e3001b"
        assert points(file, found.info.run_id, "rank") == [(0, 1.0)]
        assert rows(file) == {**before[0], "metrics": before[0]["metrics"] + 1}
    # Another rank than the one that was logged: there is none beside it.
    third = tracker()
    third.reconcile([make_run(0, late={"rank": 2.0})])
    assert third.close(PATIENCE) == []
    assert points(file, held(file)["xor-1/0"].info.run_id, "rank") == [(0, 2.0)]


def test_the_experiment_is_described_when_the_runs_are_there(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    one = tracker(start=False)
    one.describe("xor-1/report", lambda *_: {"surefoot.answer": "replaced before it was written"})
    one.describe("xor-1/report", lambda at, run: {"surefoot.answer": f"in {at}, {run}"})
    one.put(make_run(0, key="xor-1/report"))
    one.start()
    assert one.close(PATIENCE) == []
    run_id = held(file)["xor-1/report"].info.run_id
    experiment = client(file).get_experiment_by_name("xor-1")
    assert experiment is not None
    assert experiment.tags["surefoot.answer"] == f"in {one.experiment_id}, {run_id}"
    assert one.path == report_path(str(one.experiment_id), run_id)


@pytest.mark.parametrize("logged", [0, 2])
def test_a_run_left_open_by_a_dead_writer_is_completed(
    logged: int, file: Path, tracker: Callable[..., Tracker]
) -> None:
    run = make_run(0)
    first = tracker()
    first.put(make_run(1))
    first.close(PATIENCE)
    assert first.experiment_id is not None
    left = client(file).create_run(
        first.experiment_id, 1_760_000_000_000, run.all_tags(), run_name=run.name
    )
    # Points as the writer dates them: step 10 of 40 in 0.8 s.
    some = [Metric("loss/p50", 2.0, 1_760_000_000_000, 0)]
    some += [Metric("loss/p50", 2.0 / 11, 1_760_000_000_200, 10)]
    client(file).log_batch(left.info.run_id, some[:logged])
    second = tracker()
    second.reconcile([run, make_run(1)])
    assert second.close(PATIENCE) == []
    check_complete(file, run)
    assert held(file)[run.key].info.run_id == left.info.run_id
    assert rows(file)["runs"] == 2


def test_what_is_out_of_date_is_replaced(file: Path, tracker: Callable[..., Tracker]) -> None:
    one = tracker()
    one.put(make_run(0))
    one.put(make_run(1))
    assert one.close(PATIENCE) == []
    # The best known minimum improved, and the labels of run 0 with it.
    renewed = make_run(0, metrics={"log10_lr": -2.0, "unstable": 0.0, "trapped": 1.0})
    two = tracker()
    two.reconcile([renewed, make_run(1)])
    assert two.close(PATIENCE) == []
    check_complete(file, renewed)
    check_complete(file, make_run(1))
    assert len(held(file)) == 2


def test_where_only_tags_have_changed_the_run_stays(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    """What most runs come to when a job ends: its status is known."""
    one = tracker()
    one.put(make_run(0))
    one.put(make_run(1))
    assert one.close(PATIENCE) == []
    before, at_first = rows(file), held(file)
    renewed = make_run(0, tags={"outcome": "mixed"})
    two = tracker()
    two.reconcile([renewed, make_run(1)])
    assert two.close(PATIENCE) == []
    check_complete(file, renewed)
    assert held(file)[renewed.key].data.tags[DIGEST_TAG] == renewed.digest
    assert held(file)[renewed.key].info.run_id == at_first[renewed.key].info.run_id
    assert rows(file) == before
    # A tag more or less is another run: one that is gone would stay.
    fewer = make_run(0, tags={})
    three = tracker()
    three.reconcile([fewer, make_run(1)])
    assert three.close(PATIENCE) == []
    assert "outcome" not in held(file)[fewer.key].data.tags


@pytest.mark.parametrize("carried_out", [True, False])
def test_the_answer_to_new_tags_is_lost(
    carried_out: bool,
    file: Path,
    tracker: Callable[..., Tracker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = tracker()
    one.put(make_run(0))
    assert one.close(PATIENCE) == []
    original, calls = MlflowClient.log_batch, []

    def unlucky(*arguments: Any, **named: Any) -> Any:
        calls.append(named)
        if carried_out or len(calls) > 1:
            original(*arguments, **named)
        if len(calls) == 1:
            raise requests.ConnectionError("reset by peer")

    monkeypatch.setattr(MlflowClient, "log_batch", unlucky)
    renewed = make_run(0, tags={"outcome": "mixed"})
    two = tracker()
    two.reconcile([renewed])
    assert two.close(PATIENCE) == []
    check_complete(file, renewed)
    assert len(calls) == 1 + (not carried_out)
    assert rows(file)["runs"] == 1


def test_the_last_put_wins(file: Path, tracker: Callable[..., Tracker]) -> None:
    one = tracker(start=False)
    one.put(make_run(0, name="old"))
    one.put(make_run(0, name="new"))
    one.start()
    assert one.close(PATIENCE) == []
    assert [run.info.run_name for run in held(file).values()] == ["new"]
    assert rows(file)["runs"] == 1


def test_two_runs_of_one_key_become_one(file: Path, tracker: Callable[..., Tracker]) -> None:
    run = make_run(0)
    one = tracker()
    one.put(run)
    one.close(PATIENCE)
    assert one.experiment_id is not None
    # A `create_run` that was carried out after its caller had given up.
    client(file).create_run(one.experiment_id, tags=run.all_tags())
    two = tracker()
    two.reconcile([run])
    assert two.close(PATIENCE) == []
    check_complete(file, run)


def test_what_a_coordinator_without_its_lease_wrote_is_mended(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    """It lives, does not know yet that another has taken over, and goes on writing."""
    new = tracker()
    new.put(make_run(1))
    wait_until(lambda: not new._missing)
    old = tracker()
    old.put(make_run(0))
    old.put(make_run(1, tags={"outcome": "stale"}))
    assert old.close(PATIENCE) == []
    runs = [make_run(0), make_run(1)]
    new.reconcile(runs)
    assert new.close(PATIENCE) == []
    for run in runs:
        check_complete(file, run)


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize(
    ("method", "unlucky_call"),
    [
        ("create_experiment", 1),
        ("search_runs", 1),
        ("create_run", 1),
        ("create_run", 2),
        ("log_batch", 2),
        ("set_terminated", 2),
    ],
)
def test_an_answer_that_is_lost(
    method: str,
    unlucky_call: int,
    carried_out: bool,
    file: Path,
    tracker: Callable[..., Tracker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = getattr(MlflowClient, method)
    calls: list[str] = []

    def unlucky(*arguments: Any, **named: Any) -> Any:
        calls.append(method)
        lost = len(calls) == unlucky_call
        answer = None if lost and not carried_out else original(*arguments, **named)
        if lost:
            try:
                raise requests.ConnectionError("reset by peer")
            except requests.ConnectionError as error:
                # As MLflow's REST client does, which is why the writer looks at the context.
                message = f"API request failed with exception {error}"
                raise MlflowException(message)  # noqa: B904
        return answer

    monkeypatch.setattr(MlflowClient, method, unlucky)
    runs = [make_run(0), make_run(1)]
    one = tracker()
    one.reconcile(runs)
    assert one.close(PATIENCE) == []
    assert one.problem is None
    assert len(calls) > unlucky_call or carried_out
    for run in runs:
        check_complete(file, run)
    assert rows(file)["runs"] == 2


def test_a_full_queue_drops_nothing_for_good(file: Path, tracker: Callable[..., Tracker]) -> None:
    runs = [make_run(number) for number in range(6)]
    one = tracker(start=False, capacity=2)
    for run in runs:
        one.put(run)
    one.start()
    assert one.close(PATIENCE) == [run.key for run in runs[2:]]
    assert held(file).keys() == {run.key for run in runs[:2]}
    # A queue of two is enough for any number of runs when one waits for room.
    two = tracker(capacity=2)
    two.reconcile(runs)
    assert two.close(PATIENCE) == []
    assert held(file).keys() == {run.key for run in runs}


def test_what_was_put_after_the_end_is_missing(tracker: Callable[..., Tracker]) -> None:
    one = tracker()
    assert one.close(PATIENCE) == []
    one.put(make_run(3))
    assert one.close(0.0) == ["xor-1/3"]


def test_no_number_that_is_not_finite_reaches_mlflow(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    run = make_run(
        0,
        metrics={"loss": NAN, "worst": -INFINITY, "unstable": 1.0},
        curves={
            "loss/p50": [(0, 1.0), (10, 2.0), (20, INFINITY), (30, 3.0)],
            "loss/p90": [(0, NAN), (10, 1.0)],
        },
    )
    one = tracker()
    one.put(run)
    assert one.close(PATIENCE) == []
    found = held(file)[run.key]
    assert found.data.metrics.keys() == {"unstable", "loss/p50"}
    assert points(file, found.info.run_id, "loss/p50") == [(0, 1.0), (10, 2.0)]
    assert found.data.tags[NOT_FINITE_TAG] == "loss, worst, loss/p50, loss/p90"
    with sqlite3.connect(file) as database:
        assert database.execute("select count(*) from metrics where is_nan").fetchone() == (0,)


def test_more_than_one_batch_and_too_long_values(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    # MLflow takes 1000 items and 100 params a batch, 6000 characters a param, 8000 a tag.
    run = make_run(
        0,
        params={f"p{i}": i for i in range(250)} | {"long": "x" * 7000},
        tags={"long": "y" * 9000},
        curves={f"c{i}": [(step, float(step)) for step in range(200)] for i in range(11)},
    )
    one = tracker()
    one.put(run)
    assert one.close(PATIENCE) == []
    found = held(file)[run.key]
    assert len(found.data.params) == 251
    assert found.data.params["long"] == "x" * 5999 + "…"
    assert found.data.tags["long"] == "y" * 7999 + "…"
    assert rows(file)["metrics"] == 11 * 200 + 3


def test_files(file: Path, tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    one = tracker()
    one.put(make_run(0, files={"report.html": "<p>é", "pictures/cliff.png": b"\x89PNG"}))
    assert one.close(PATIENCE) == []
    folder = tmp_path / "files" / held(file)["xor-1/0"].info.run_id / "artifacts"
    assert (folder / "report.html").read_text(encoding="utf-8") == "<p>é"
    assert (folder / "pictures" / "cliff.png").read_bytes() == b"\x89PNG"


def test_without_an_artifact_root_files_are_beside_the_database(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    one = Tracker(f"sqlite:///{file.name}", "xor-1", artifact_root=None, experiment_tags={})
    one.start()
    one.put(make_run(0, files={"report.html": "<p>"}))
    assert one.close(PATIENCE) == []
    assert [found.name for found in tmp_path.glob("mlflow.db-artifacts/*/*/*")] == ["report.html"]
    assert not (tmp_path / "mlruns").exists()


def test_a_refused_run_does_not_stop_the_others(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    one = tracker()
    one.put(make_run(0, metrics={"no such! name": 1.0}))
    one.put(make_run(1))
    assert one.close(PATIENCE) == ["xor-1/0"]
    assert one.problem is not None
    assert "refused run xor-1/0: Invalid value" in one.problem
    assert "\n" not in one.problem
    check_complete(file, make_run(1))


def test_an_experiment_that_was_deleted_comes_back(
    file: Path, tracker: Callable[..., Tracker]
) -> None:
    one = tracker()
    one.put(make_run(0))
    one.close(PATIENCE)
    assert one.experiment_id is not None
    client(file).delete_experiment(one.experiment_id)
    two = tracker()
    two.put(make_run(1))
    assert two.close(PATIENCE) == []
    check_complete(file, make_run(1))


def test_two_processes_may_create_one_database(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from tuning.tracking import Run, Tracker
        tracker = Tracker(sys.argv[1], "xor-1", artifact_root=None, experiment_tags={})
        tracker.start()
        tracker.put(Run(sys.argv[2], "a run", {}, {}, {}, {}, (1.0, 2.0)))
        missing = tracker.close(60.0)
        sys.exit(f"{missing} {tracker.problem}" if missing else 0)
    """
    keys = ["xor-1/0", "xor-1/1"]
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, f"sqlite:///{tmp_path}/new/mlflow.db", key],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for key in keys
    ]
    # And neither MLflow nor Alembic says a word about it.
    assert [one.communicate(timeout=PATIENCE)[0] for one in both] == [b"", b""]
    assert [one.returncode for one in both] == [0, 0]
    assert held(tmp_path / "new" / "mlflow.db").keys() == set(keys)


def test_a_process_killed_while_it_makes_the_tables_leaves_nothing_half_made(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mlflow.db"
    code = (
        "from tuning.tracking import Tracker\n"
        f"t = Tracker('sqlite:///{file}', 'one', artifact_root=None, experiment_tags={{}})\n"
        "t.start()\n"
        "t.close(60.0)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: any(_tables(other) for other in tmp_path.glob("mlflow.db*")))
    process.kill()
    process.wait()
    assert not file.exists()  # else it was not killed in the middle
    tracker = Tracker(f"sqlite:///{file}", "xor-1", artifact_root=None, experiment_tags={})
    tracker.start()
    tracker.put(make_run())
    assert tracker.close(PATIENCE) == []
    assert list(held(file)) == ["xor-1/0"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def _tables(file: Path) -> int:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        except sqlite3.DatabaseError:  # locked for a moment, or the file of the lock
            return 0


def test_silence(tracker: Callable[..., Tracker], capfd: pytest.CaptureFixture[str]) -> None:
    one = tracker()
    one.put(make_run(0, metrics={"no such! name": 1.0}))
    one.put(make_run(1, files={"report.html": "<p>"}))
    one.close(PATIENCE)
    assert capfd.readouterr() == ("", "")


def test_mlflow_is_not_imported_before_a_tracker_starts() -> None:
    code = "import sys, tuning.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Answer(BaseHTTPRequestHandler):
    """Answers every request with the server's `status`, and with what it `says` after the headers,
    which may be less than they promise.
    """

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        for header, value in self.server.promised.items():  # type: ignore[attr-defined]
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(self.server.says)  # type: ignore[attr-defined]

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def address() -> Iterator[Callable[..., str]]:
    """The address of a server that only says a status, or a part of an answer."""
    servers: list[HTTPServer] = []

    def start(status: int, promised: dict[str, str] | None = None, says: bytes = b"") -> str:
        server = HTTPServer(("127.0.0.1", 0), Answer)
        server.status = status  # type: ignore[attr-defined]
        server.promised, server.says = promised or {}, says  # type: ignore[attr-defined]
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://me:hunter2@127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (503, "cannot be reached"),
        (429, "cannot be reached"),
        (500, "refused the experiment"),
        (401, "refused the experiment"),
    ],
)
def test_not_now_is_told_from_no(
    status: int, words: str, tracker: Callable[..., Tracker], address: Callable[..., str]
) -> None:
    one = tracker(address(status))
    one.put(make_run(0))
    wait_until(lambda: one.problem)
    assert one.problem is not None
    assert words in one.problem
    assert "hunter2" not in one.problem
    assert one.close(0.0) == ["xor-1/0"]
    assert one.url is None


@pytest.mark.parametrize(
    ("promised", "says"),
    [
        ({"Content-Length": "100"}, b'{"experiment": '),
        ({"Transfer-Encoding": "chunked"}, b'f\r\n{"experiment": \r\n'),
        ({"Transfer-Encoding": "chunked"}, b'40\r\n{"experiment": '),
    ],
)
def test_a_server_killed_in_the_middle_of_its_answer_may_come_back(
    promised: dict[str, str],
    says: bytes,
    tracker: Callable[..., Tracker],
    address: Callable[..., str],
) -> None:
    one = tracker(address(200, promised, says))
    wait_until(lambda: one.problem)
    assert one.problem is not None
    assert "cannot be reached" in one.problem


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_nobody_answers(scheme: str, tracker: Callable[..., Tracker]) -> None:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        port = server.server_port
    one = tracker(f"{scheme}://me:hunter2@127.0.0.1:{port}")
    runs = [make_run(number) for number in range(3)]
    one.reconcile(runs)
    wait_until(lambda: one.problem)
    assert one.problem is not None
    assert one.problem.startswith(f"MLflow at {scheme}://me:***@127.0.0.1:{port} cannot be reached")
    assert "\n" not in one.problem
    assert "hunter2" not in one.problem
    began = time.monotonic()
    assert one.close(0.3) == [run.key for run in runs]
    assert time.monotonic() - began < 2.0


def test_a_digest_is_of_the_content() -> None:
    assert make_run(0).digest == make_run(0).digest
    changes: list[dict[str, Any]] = [
        {"name": "other"},
        {"params": {}},
        {"tags": {}},
        {"metrics": {}},
        {"curves": {}},
        {"seconds": (1.0, 2.0)},
        {"colour": None},
        {"note": None},
        {"files": {"a": b"1"}},
        {"files": {"a": b"2"}},
        {"late": {"rank": 1.0}},
    ]
    digests = {make_run(0, **change).digest for change in changes} | {make_run(0).digest}
    assert len(digests) == len(changes) + 1
    assert make_run(0).all_tags()[DIGEST_TAG] == make_run(0).digest


def test_a_digest_says_whether_a_run_can_be_completed() -> None:
    run, other = make_run(0), make_run(0, tags={"outcome": "mixed"})
    assert run.completes(other.digest)
    assert not run.completes(run.digest)
    done = make_run(0, name="★ adam 0.01", colour="#e3001b", note="other", late={"rank": 1.0})
    assert done.completes(run.digest)
    assert done.completes(make_run(0, late={"rank": 1.0}).digest)
    assert not done.completes(make_run(0, late={"rank": 2.0}).digest)
    assert not run.completes(done.digest)  # what was logged stays
    changes: list[dict[str, Any]] = [
        {"tags": {}},
        {"tags": {"other": "x"}},
        {"metrics": {}},
    ]
    for change in changes:
        assert not run.completes(replace(other, **change).digest)
    assert not run.completes("0123456789abcdef")  # as they were written before


@pytest.mark.parametrize("key", ["", "xor", "xor/", "a/b/c", "it's/0", 'x"/1', "x%/1"])
def test_a_key_that_mlflow_could_not_search_for(key: str) -> None:
    with pytest.raises(ValueError, match="not of the form <job id>/<trial number>"):
        make_run(0, key=key)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5000",
        "https://me:secret@mlflow.example.org/base",
        "sqlite:///mlflow.db",
        "sqlite:///new/folders/mlflow.db",
        "postgresql+psycopg://me:secret@host/db",
        "postgresql+psycopg:///db?host=/run/postgresql",
    ],
)
def test_a_uri_that_may_work(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(uri)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("mlruns", "valid: http://, https://, sqlite://"),
        ("file:///tmp/mlruns", "valid: http://"),
        ("htp://host", "did you mean 'http://'"),
        ("postgres://me:hunter2@host/db", "did you mean 'postgresql://'"),
        ("http://", "host or port is not valid"),
        ("http://host:port", "host or port is not valid"),
        ("http://[::1", "host or port is not valid"),
        ("postgresql+nosuchdriver://me:hunter2@host/db", "driver 'nosuchdriver' is not installed"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///folder", "is a folder; name a file in it"),
        ("sqlite:///folder/file/mlflow.db", "folder/file cannot be written to"),
    ],
)
def test_a_uri_that_cannot_work(
    uri: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput) as error:
        Tracker(uri, "xor-1", artifact_root=None, experiment_tags={})
    message = str(error.value)
    assert message.startswith("tracking.uri = '")
    assert words in message
    assert "\n" not in message
    assert "hunter2" not in message
