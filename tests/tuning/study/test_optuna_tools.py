"""What Optuna and its dashboard make of a job's study, out of the box."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import optuna.visualization as plots
import pytest

import tuning
from tests.support.study_places import Journal, record
from tests.support.surefoot_command import without_pictures
from tuning.report.model import Report
from tuning.study.trials import to_trial


@dataclass(frozen=True)
class Done:
    """A job that was run to its end."""

    home: Path
    report: Report

    @property
    def study(self) -> optuna.Study:
        return tuning.load_study(self.report.run.job_id, home=self.home)

    @property
    def journal(self) -> Path:
        return self.home / "jobs" / self.report.run.job_id / "study.log"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("home")
    with without_pictures():
        report = tuning.tune(
            problem="single-weight",
            search={
                "optimizers": ["gd", "momentum"],
                "learning_rate": {"low": 0.01, "high": 10.0},
                "settings": 10,
                "sampler": "random",
                "try_first": [0.1, 2.0],
            },
            training={"restarts": 64, "steps": 60},
            workers="inline",
            home=home,
        )
    return Done(home, report)


PLOTS: dict[str, dict[str, Any]] = {
    "plot_optimization_history": {},
    "plot_slice": {"params": ["learning_rate", "optimizer"]},
    "plot_contour": {"params": ["learning_rate", "optimizer"]},
    "plot_parallel_coordinate": {},
    "plot_param_importances": {
        "evaluator": optuna.importance.FanovaImportanceEvaluator(n_trees=4, seed=0)
    },
    "plot_edf": {},
    "plot_timeline": {},
    "plot_rank": {"params": ["learning_rate", "optimizer"]},
    "plot_intermediate_values": {},
    "plot_terminator_improvement": {},
}
#: For several objectives.
OTHERS = {"plot_pareto_front", "plot_hypervolume_history", "is_available", "matplotlib"}


def test_all_of_optuna_s_plots_are_tried() -> None:
    assert set(PLOTS) | OTHERS == set(plots.__all__)


@pytest.mark.parametrize("name", PLOTS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_draws_it(done: Done, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    if name == "plot_terminator_improvement":
        pytest.importorskip("torch", reason="its evaluator needs PyTorch")
    drawn = getattr(plots, name)(done.study, **PLOTS[name])
    shown = json.loads(drawn.to_json())["data"]
    assert sum(len(trace.get("x") or trace.get("dimensions") or ()) for trace in shown) > 0, name
    assert "Traceback" not in capfd.readouterr().err


def test_trials_lasted_as_long_as_they_did(done: Done) -> None:
    trials = done.study.trials
    told = [trial.duration for trial in trials]
    assert all(duration is not None and duration > timedelta(0) for duration in told)
    seconds = sum(duration.total_seconds() for duration in told if duration is not None)
    run = done.report.run
    assert seconds == pytest.approx(run.training_seconds + run.classifying_seconds, rel=1e-3)
    curve = trials[0].intermediate_values
    assert 10 < len(curve) <= 20
    assert (min(curve), max(curve)) == (0, 60)
    assert curve[60] == pytest.approx(done.report.curves[0].p50[-1])


def test_no_confirmation_is_the_best_trial(done: Done) -> None:
    study, best = done.study, done.report.best_stable
    assert best is not None
    assert done.report.confirmations
    roles = {trial.user_attrs["role"] for trial in study.trials}
    assert {"search", "confirmation"} <= roles
    assert study.best_trial.user_attrs["role"] == "search"
    assert study.best_trial.user_attrs["unstable"] <= 0.05
    # By cost, not by loss; and by its number.
    used = study.trials[study.user_attrs["recommended"]]
    assert used.number == best.number
    assert used.params["learning_rate"] == best.learning_rate


def test_a_finished_job_that_is_resumed_writes_nothing(done: Done) -> None:
    before = done.journal.read_bytes()
    again = tuning.resume(done.report.run.job_id, workers="inline", home=done.home)
    assert again.to_dict()["best_stable"] == done.report.to_dict()["best_stable"]
    assert done.journal.read_bytes() == before


def test_studies_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """All was in user attributes, and no trial had times."""
    place, told = Journal(tmp_path / "job.log"), record(0)
    store = place.create("job", {})
    plain = to_trial(told)
    store.optuna_study.add_trial(
        optuna.trial.create_trial(
            value=plain.value,
            params=plain.params,
            distributions=plain.distributions,
            constraints=plain.constraints,
            user_attrs=dict(told.attributes),
        )
    )
    assert store.records() == [told]


# ------------------------------------------------------------------------------------ dashboard


@contextmanager
def dashboard(journal: Path, log: Path) -> Iterator[str]:
    """Its address; the real program, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("optuna-dashboard")
    if not program.exists():
        pytest.skip("pip install optuna-dashboard")
    with log.open("wb") as said:
        running = subprocess.Popen(
            [str(program), str(journal), "--host", "127.0.0.1", "--port", str(port)],
            stdout=said,
            stderr=said,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            assert running.poll() is None, log.read_text()
            try:
                urllib.request.urlopen(f"{url}/api/studies", timeout=10).close()
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        yield url
    finally:
        running.terminate()
        running.wait(30)


def asked(url: str) -> tuple[Any, int]:
    """What an address answers, and its bytes."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        content = answer.read()
    return json.loads(content), len(content)


@pytest.mark.cluster
def test_the_dashboard_opens_on_it(done: Done, tmp_path: Path) -> None:
    with dashboard(done.journal, tmp_path / "log") as url:
        found, _ = asked(f"{url}/api/studies")
        (study,) = found["study_summaries"]
        assert study["study_name"] == done.report.run.job_id
        detail, size = asked(f"{url}/api/studies/{study['study_id']}?after=0")
        trials = detail["trials"]
        assert len(trials) == len(done.study.trials)
        assert size < 5_000 * len(trials)
        for trial in trials:
            assert trial["datetime_start"] < trial["datetime_complete"]
            assert {each["key"] for each in trial["user_attrs"]} == {"role", "unstable"}
        assert {each["key"] for each in detail["union_user_attrs"]} == {"role", "unstable"}
        assert detail["has_intermediate_values"]
        recommended = {each["key"]: each["value"] for each in detail["user_attrs"]}["recommended"]
        assert done.report.best_stable is not None
        assert int(recommended) == done.report.best_stable.number
