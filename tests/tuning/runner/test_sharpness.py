"""The sharpness along the way: from the job file to the study, the report, MLflow and replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuning
from tests.support.made_results import GOOD, block, block_answer, job, result, same, setting
from tests.support.surefoot_command import results_in, surefoot
from trainers import Problem
from trainers.problem import FloatArray
from tuning.cli.exit_codes import ExitCode
from tuning.report.model import Status
from tuning.runner.estimate import estimate
from tuning.runner.mlflow_projection import setting_run
from tuning.trial.curves import SharpnessHistory
from tuning.trial.gathering import gathered
from tuning.trial.result import SettingResult

pytestmark = pytest.mark.usefixtures("no_pictures")

#: Rates of 0.05, 0.5 and 5 on a curvature of 3: the last one diverges.
BOWL: dict[str, Any] = {
    "search": {
        "optimizers": ["gd", "adam"],
        "settings": 6,
        "try_first": [0.05, 0.5, 5.0],
        "sampler": "random",
    },
    "training": {"restarts": 9, "steps": 60, "sharpness_every": 25},
    "stability": {"max_unstable": 0.4},
}


class Bowl(Problem):
    """J = 3 u^2 / 2 + v^2 / 2."""

    known_minimum = 0.0
    parameters = 2

    def initial(self, rng: np.random.Generator) -> FloatArray:
        return rng.uniform(1.0, 2.0, 2)

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        gradient = w * np.array([3.0, 1.0])
        return 0.5 * (w * gradient).sum(axis=1), gradient


def measured(values: list[list[float]], steps: list[int] | None = None) -> SharpnessHistory:
    return SharpnessHistory(
        np.array(steps or range(len(values)), dtype=np.int64), np.array(values, dtype=np.float32)
    )


# ------------------------------------------------------------------------------------- the study


def test_json_and_back_is_exact() -> None:
    made = replace(
        result(0, 0.1, [GOOD, GOOD]), sharpness=measured([[1.5, 2.0], [np.nan, np.inf]], [0, 7])
    )
    back = SettingResult.from_json(json.loads(json.dumps(made.to_json(), allow_nan=False)))
    assert same(back, made)
    assert made.sharpness is not None
    assert back.sharpness is not None
    assert back.sharpness.values.dtype == np.float32
    np.testing.assert_array_equal(back.sharpness.values, made.sharpness.values)
    np.testing.assert_array_equal(back.sharpness.steps, [0, 7])


def test_a_study_from_before_it_existed_still_loads() -> None:
    old = result(0, 0.1, [GOOD]).to_json()
    del old["sharpness"]
    assert SettingResult.from_json(old).sharpness is None


def test_joined_parts_are_the_whole() -> None:
    parts = [
        replace(block_answer(block(0.1), [GOOD] * 2), sharpness=measured([[1.0, 2.0]] * 2)),
        replace(
            block_answer(block(0.1, first=2), [GOOD] * 2),
            sharpness=measured([[3.0, 4.0], [5.0, 6.0]]),
        ),
    ]
    whole = SettingResult.join(setting(0, 0.1, restarts=4), parts).sharpness
    assert whole is not None
    np.testing.assert_array_equal(whole.values, [[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 5.0, 6.0]])
    silent = SettingResult.join(setting(0, 0.1), [block_answer(block(0.1), [GOOD] * 2)])
    assert silent.sharpness is None


def test_quantiles_count_the_diverged_as_infinite_and_are_few() -> None:
    values = np.arange(1000, dtype=np.float32)[:, None] + np.zeros(10, dtype=np.float32)
    values[500:, 0] = np.nan
    values[800:, :6] = np.nan
    steps, (p10, p50, p90) = SharpnessHistory(np.arange(1000, dtype=np.int64), values).quantiles()
    assert len(steps) == 200
    assert (steps[0], steps[-1]) == (0, 999)
    np.testing.assert_array_equal(p10, steps)
    np.testing.assert_array_equal(p50, np.where(steps < 800, steps, np.nan))
    np.testing.assert_array_equal(p90, np.where(steps < 800, steps, np.nan))
    few, _ = measured([[1.0], [2.0]], [0, 9]).quantiles()
    assert few.tolist() == [0, 9]


# -------------------------------------------------------------------------------- a job, inline


@pytest.fixture(scope="module")
def bowl(
    tmp_path_factory: pytest.TempPathFactory,
    no_pictures: None,  # noqa: ARG001
) -> tuple[Path, tuning.Report]:
    home = tmp_path_factory.mktemp("home")
    return home, tuning.tune(**BOWL, problem=Bowl(), workers="inline", home=home)


def test_the_report_has_the_curves_and_the_limits(bowl: tuple[Path, tuning.Report]) -> None:
    home, report = bowl
    rows = report.rows
    assert report.sharpness.keys() == {row.number for row in rows}
    for row in rows:
        curves = report.sharpness[row.number]
        assert curves.steps.tolist() == [0, 25, 50, 60]
        limit = 2.0 if row.optimizer == "gd" else 38.0
        assert curves.limit == pytest.approx(limit / row.learning_rate)
        if row.optimizer == "gd" and row.learning_rate < 2 / 3:
            # float32 in the study
            np.testing.assert_allclose([curves.p10, curves.p50, curves.p90], 3.0, rtol=2e-6)
        if row.optimizer == "gd" and row.learning_rate == 5.0:
            assert np.isnan(curves.p50[-1])  # a curve ends where half of them have diverged
            assert curves.p50[0] == pytest.approx(3.0)
    tree = json.loads(report.to_json())["sharpness"]
    assert tree["0"]["steps"] == [0, 25, 50, 60]
    assert tree["0"]["p50"] == pytest.approx([3.0] * 4, rel=2e-6)
    again = tuning.load_report(report.run.job_id, home=home)
    assert again.to_json() == report.to_json()


def test_mlflow_gets_curves_and_the_limit(bowl: tuple[Path, tuning.Report]) -> None:
    home, report = bowl
    spec = job(**BOWL)
    for told in gathered(results_in(home, report.run.job_id)):
        run = setting_run("j", told, np.array([None] * 9), Status.LOOKS_STABLE, spec)
        assert run.metrics["sharpness_limit"] == report.sharpness[told.setting.number].limit
        for name in ("p10", "p50", "p90"):
            curve = run.curves[f"sharpness/{name}"]
            assert [step for step, _ in curve] == [0, 25, 50, 60][: len(curve)]
            assert np.isfinite([value for _, value in curve]).all()
    told = result(0, 0.1, [GOOD] * 9)
    without = setting_run("j", told, np.array([None] * 9), Status.LOOKS_STABLE, spec)
    assert "sharpness_limit" not in without.metrics
    assert "sharpness/p50" not in without.curves


def test_replay_shows_it(bowl: tuple[Path, tuning.Report]) -> None:
    home, report = bowl
    where = (report.run.job_id, "--setting", "0", "--restart", "3")
    ran = surefoot(home, "replay", *where)
    assert ran.code == 0
    assert "learning rate x sharpness; the limit is 2\n0         0.15\n25        0.15\n" in ran.out
    told = json.loads(surefoot(home, "replay", *where, "--json").out)
    assert told["sharpness_steps"] == [0, 25, 50, 60]
    assert told["sharpness"] == pytest.approx([3.0] * 4, rel=2e-6)
    assert told["sharpness_limit"] == pytest.approx(2 / 0.05)
    diverged = next(
        r.setting.number for r in results_in(home, report.run.job_id) if r.restarts.diverged.all()
    )
    gone = tuning.replay(report.run.job_id, setting=diverged, restart=0, home=home)
    assert gone.differences == ()
    assert gone.sharpness is not None
    assert np.isnan(gone.sharpness[-1])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_replay_of_a_network_has_the_same_bits(activation: str, tmp_path: Path) -> None:
    """Its curvatures are products of its own, from buffers that other calls have filled before."""
    problem = {"name": "mlp", "data": "wine", "hidden": [5], "activation": activation}
    ran = tuning.tune(**(BOWL | {"problem": problem}), workers="inline", home=tmp_path)
    for number in (0, 3, 4):
        again = tuning.replay(ran.run.job_id, setting=number, restart=8, home=tmp_path)
        assert again.differences == ()
        assert again.sharpness is not None


def test_replay_of_a_job_that_did_not_ask_says_nothing_of_it(wells: Path) -> None:
    where = ("wells-1", "--setting", "0", "--restart", "0")
    assert "sharpness;" not in surefoot(wells, "replay", *where).out
    assert "sharpness_steps" not in json.loads(surefoot(wells, "replay", *where, "--json").out)


# --------------------------------------------------------------------------------------- the cost


def test_the_estimate_accounts_for_it() -> None:
    problem = Bowl()
    without = estimate(job(training={"steps": 2000}), problem)
    often = estimate(job(training={"steps": 2000, "sharpness_every": 2}), problem)
    assert without.sharpness_share == 0.0
    # 20 + 10 x 1,000 products of two gradients, beside 2,000 steps.
    assert often.sharpness_share == pytest.approx(20040 / (20040 + 2000))
    assert any("91 % of the training is for the sharpness" in line for line in often.lines())
    assert not any("sharpness" in line for line in without.lines())
    assert often.tasks == without.tasks  # cut as if nothing were measured


def test_help_says_how_to_ask(wells: Path, write: Callable[..., str]) -> None:
    for command in ("report", "replay"):
        assert "sharpness_every" in surefoot(wells, command, "--help").out
    path = write(
        '[problem]\nname = "double-well"\n[training]\nsteps = 100\nsharpness_every = 101\n'
    )
    refused = surefoot(wells, "check", path)
    assert refused.code == ExitCode.USAGE
    assert "sharpness_every = 101 is more than the 100 steps" in refused.err
