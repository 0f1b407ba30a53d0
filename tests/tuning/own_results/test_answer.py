"""The report on somebody's own trainings: known truths, and the report of a job on the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

import tuning
from tests.support.surefoot_command import results_in
from trainers import InvalidInput, get_optimizer, get_problem, starts, train
from tuning.report.model import Report, Status
from tuning.statistics.intervals import clopper_pearson_upper

SPREAD = 0.2  # of the logarithm of the thresholds, which is logistic


def simulated(
    middles: dict[str, float], *, seed: int, seeds: int = 64, missing: float = 0.0
) -> pd.DataFrame:
    """Each start falls above a threshold of its own; P(unstable) = expit(log(rate / m) / spread).

    What does not diverge ends the lower, the higher the rate.
    """
    rng = np.random.default_rng(seed)
    luck = rng.logistic(scale=SPREAD, size=seeds)
    rows = [
        {
            "optimizer": name,
            "learning_rate": rate,
            "seed": i,
            "loss": np.nan if np.log(rate / middle) > luck[i] else np.exp(-3 * rate),
            "start_loss": 1.0,
        }
        for name, middle in middles.items()
        for rate in np.geomspace(0.01, 10, 13)
        for i in range(seeds)
        if rng.random() >= missing or i < 2
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("seeds", "missing"), [(64, 0.0), (110, 0.4)])
def test_the_cliff_s_interval_covers_the_truth(seeds: int, missing: float) -> None:
    """P(unstable) passes 5 % at m exp(spread logit(0.05)); asked for 95 %, and 40 tables of a true
    95 % have fewer than 34 that cover it in 1 of 80."""
    truth = np.exp(SPREAD * logit(0.05))
    cliffs = [
        tuning.verdict(simulated({"sgd": 1.0}, seed=seed, seeds=seeds, missing=missing)).cliffs[
            "sgd"
        ]
        for seed in range(40)
    ]
    covered = [(c.low or 0.0) <= truth <= (c.high or np.inf) for c in cliffs]
    assert sum(covered) >= 34
    # And says something: at most three of the gaps between rates, a quarter of a decade each.
    widths = [np.log10(c.high / c.low) for c in cliffs if c.low and c.high]
    assert np.median(widths) <= 0.76
    assert len(widths) >= 30


def test_the_rates_are_those_of_scipy() -> None:
    table = simulated({"sgd": 1.0}, seed=3)
    rows = tuning.verdict(table).settings
    for row in rows:
        here = table[table.learning_rate == row.learning_rate].loss
        fallen, total = int((~np.isfinite(here)).sum()), len(here)
        assert (row.unstable.count, row.unstable.total) == (fallen, total) == (fallen, 64)
        test = stats.binomtest(fallen, total)
        wilson = test.proportion_ci(0.95, method="wilson")
        assert (row.unstable.low, row.unstable.high) == pytest.approx(wilson, abs=1e-12)
        one_sided = stats.binomtest(fallen, total, alternative="less").proportion_ci(0.95)
        assert row.unstable_upper == pytest.approx(one_sided.high, abs=1e-9)
        assert row.diverged == row.unstable
    counts = np.array([row.unstable.count for row in rows])
    expected = 64 * expit(np.log([row.learning_rate for row in rows]) / SPREAD)
    assert np.abs(counts - expected).max() <= 3.3 * np.sqrt(64 / 4)


def test_the_best_rate_looks_stable_and_the_way_to_confirm_it_is_told() -> None:
    report = tuning.verdict(simulated({"sgd": 1.0, "adamw": 0.1}, seed=0))
    best = report.best_stable
    assert best is not None
    assert best.status is Status.LOOKS_STABLE
    assert not any(row.status in (Status.RECOMMENDED, Status.CONFIRMED) for row in report.rows)
    assert (best.optimizer, best.fresh_starts, best.unstable_at_margin) == ("sgd", 0, None)
    assert best.hyperparameters == {}
    # 59 without any, or 124 with two: the least by Clopper and Pearson's bound.
    assert "train 59 new seeds at it and at 2 times it: if none" in report.explanation
    assert "of 124 at each, 2 may be" in report.explanation
    assert clopper_pearson_upper(2, 124) <= 0.05 < clopper_pearson_upper(2, 123)
    beside = report.comparisons["adamw"]
    assert beside.learning_rate is not None
    assert beside.learning_rate < 0.1
    assert (beside.starts, beside.first_only, beside.second_only) == (64, 64, 0)
    assert "Of the 64 seeds that both were trained from" in beside.explanation


def test_stability_is_asked_as_in_a_job_file() -> None:
    table = simulated({"sgd": 1.0}, seed=0)
    strict = tuning.verdict(table, stability={"max_unstable": 0.05, "margin": 8.0}).best_stable
    loose = tuning.verdict(table, stability={"max_unstable": 0.3, "margin": 1.0}).best_stable
    assert strict is not None
    assert loose is not None
    assert strict.learning_rate < loose.learning_rate
    assert (strict.margin, loose.margin) == (8.0, 1.0)


def test_what_final_losses_do_not_tell_is_not_known() -> None:
    """Not 0 %: no trapped rate, no hover, no cost, no descent."""
    table = simulated({"sgd": 1.0}, seed=0).drop(columns="start_loss")
    report = tuning.verdict(table)
    best = report.best_stable
    assert best is not None
    assert best.trapped.estimate is None
    assert (best.trapped.low, best.trapped.high) == (0.0, 1.0)
    assert best.cost is None
    assert {row.hover for row in report.settings} == {None}
    assert {row.cost for row in report.settings} == {None}
    assert report.minima == ()
    assert report.unseen is None
    assert report.to_dict()["start_loss"] is None
    told = " ".join(report.warnings)
    assert "of instability only divergence was looked for" in told
    assert "The losses at the start are not known" in told
    assert "restarts are not judged" in told
    assert "–" not in " ".join(str(report).split("What the words refer to")[1])


def test_costs_are_told_where_the_steps_are() -> None:
    table = simulated({"sgd": 1.0}, seed=0)
    report = tuning.verdict(table, steps=500)
    best = report.best_stable
    assert best is not None
    assert best.cost == 500  # each training reached the target, and nobody knows earlier
    assert report.run.restart_steps == 500 * len(table)


def test_who_reached_a_known_minimum_is_told_and_who_is_trapped_is_not() -> None:
    """Half of the seeds end at 0 and half at 0.3, with three rates where all end at 0."""
    rows = [
        (rate, seed, 0.3 if rate > 0.1 and seed % 2 else 0.0, 1.0)
        for rate in (0.01, 0.03, 0.1, 0.3)
        for seed in range(20)
    ]
    table = pd.DataFrame(rows, columns=["learning_rate", "seed", "loss", "start_loss"])
    report = tuning.verdict(table, known_minimum=0.0)
    assert [row.basins["global-minimum"] for row in report.settings] == [20, 20, 20, 10]
    assert [row.basins["undetermined"] for row in report.settings] == [0, 0, 0, 10]
    assert [row.trapped.estimate for row in report.settings] == [0.0, 0.0, 0.0, None]
    assert report.best_loss_is_known
    one = table[(table.learning_rate < 0.2) | (table.seed < 2)]  # one of two is not judged
    assert tuning.verdict(one, known_minimum=0.0).settings[3].trapped.estimate is None
    few = pd.concat([one, table[(table.learning_rate > 0.2) & (table.seed % 2 == 0)].iloc[1:]])
    almost = tuning.verdict(few, known_minimum=0.0).settings[3]  # one of eleven: 9 %
    assert (almost.trapped.undecided, almost.trapped.total) == (1, 11)
    assert almost.trapped.estimate is None
    below = tuning.verdict(table, known_minimum=0.2)
    assert "known_minimum, 0.2, is not its minimum" in below.warnings[0]


def test_any_seeds_at_any_rate() -> None:
    """One seed alone, seeds that are not shared, text as seeds."""
    table = pd.DataFrame(
        {
            "learning_rate": [0.1, 0.1, 0.2, 0.4],
            "seed": ["a", "b", "c", "a"],
            "loss": [0.5, 0.4, 0.3, np.inf],
        }
    )
    report = tuning.verdict(table)
    assert [row.restarts for row in report.settings] == [2, 1, 1]
    assert report.cliffs["optimizer"].starts == 3
    assert [point.restarts for point in report.cliffs["optimizer"].curve] == [2, 1, 1]
    assert report.cliffs["optimizer"].estimate == pytest.approx(np.sqrt(0.2 * 0.4))


def test_optimizers_without_a_shared_seed_are_not_compared() -> None:
    table = simulated({"sgd": 1.0, "adamw": 0.5}, seed=0)
    table.loc[table.optimizer == "adamw", "seed"] += 1000
    (beside,) = tuning.verdict(table).comparisons.values()
    assert beside.starts is None
    assert beside.explanation.endswith("shares no seed with the best, so they are not compared.")


def test_it_shows_itself_without_a_job(tmp_path: Path) -> None:
    report = tuning.verdict(simulated({"sgd": 1.0, "<b>adamw</b>": 0.1}, seed=0), steps=500)
    page = report.save_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Best learning rate that looks stable, not confirmed" in page
    pictures = re.findall(r'data-picture="(\w+)"', page)
    assert pictures == ["rates", "outcomes", "costs"]  # there are no curves
    assert "<b>adamw" not in page
    assert "nan" not in page.lower().split("</style>")[1].split("<figure")[0]
    assert "Best learning rate that looks stable" in report._repr_html_()
    assert len(report.to_dataframe()) == 26
    json.loads(report.to_json())
    assert "To confirm it" in " ".join(str(report).split())


def test_nothing_looks_stable() -> None:
    table = pd.DataFrame({"learning_rate": [1.0, 1.0], "seed": [0, 1], "loss": [np.nan, np.nan]})
    report = tuning.verdict(table)
    assert report.best_stable is None
    assert report.settings[0].unstable.count == 2
    assert str(report)
    assert report.to_html()


# ------------------------------------------------------------------ the same trainings as a job's


def job_and_verdict(
    home: Path, name: str, optimizers: list[str], known_minimum: float | None
) -> tuple[Report, Report]:
    """A job's report, and the verdict on the very losses of its restarts."""
    spec: dict[str, Any] = {
        "problem": {"name": name},
        "search": {
            "optimizers": optimizers,
            "sampler": "grid",
            "settings": 14,
            "try_first": [],
            "learning_rate": {"low": 1e-2, "high": 10.0},
        },
        "training": {"restarts": 24, "steps": 300},
        "stability": {"max_unstable": 0.2},
    }
    report = tuning.tune(spec, workers="inline", home=home)
    problem = get_problem(name)
    rows = []
    for result in results_in(home, report.run.job_id):
        setting = result.setting
        if setting.role.value != "search":
            continue
        rule = optimizers[setting.optimizer]
        w0 = starts(problem, restarts=24, seed=0)
        run = train(
            problem,
            get_optimizer(rule),
            learning_rate=setting.learning_rate,
            starts=w0,
            steps=300,
        )
        assert (run.diverged == result.restarts.diverged).all()
        rows += [
            (rule, setting.learning_rate, start, run.losses[:, start].tolist())
            for start in setting.starts
        ]
    table = pd.DataFrame(rows, columns=["optimizer", "learning_rate", "seed", "loss"])
    limits = {"max_unstable": 0.2}
    return report, tuning.verdict(table, stability=limits, known_minimum=known_minimum)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("name", "optimizers", "known"),
    [("double-well", ["gd", "momentum"], None), ("xor", ["gd", "adam"], 0.0)],
)
def test_the_verdict_on_a_job_s_losses_is_the_job_s(
    tmp_path: Path, name: str, optimizers: list[str], known: float | None
) -> None:
    """Counts of who diverged, and of who ended above its start, are the same, and so are cliffs and
    statuses where nothing else befell. Who fell by swinging the verdict does not know: it counts
    among those of whom it is not known, or, where it swings between places of the same loss, not
    at all. The scale is that of these starts; a job's has its fresh ones too."""
    job, own = job_and_verdict(tmp_path, name, optimizers, known)
    mine = {(row.optimizer, row.learning_rate): row for row in own.settings}
    assert len(mine) == len(job.settings)
    swung = set()
    for row in job.settings:
        told = mine[row.optimizer, row.learning_rate]
        assert told.diverged == row.diverged
        assert told.falls.get("above-start", 0) == row.falls.get("above-start", 0)
        assert told.loss == row.loss
        assert told.best_loss == row.best_loss
        if "swings" in row.falls:
            swung.add(row.optimizer)
            assert told.unstable.undecided <= row.falls["swings"]
            continue
        assert told.unstable.count == row.unstable.count
        if told.unstable.undecided == 0:
            assert told.unstable_upper == row.unstable_upper
    assert sum(row.diverged.count for row in own.settings) > 24
    for optimizer in optimizers:
        doubtful = any(r.unstable.undecided for r in own.settings if r.optimizer == optimizer)
        if optimizer not in swung and not doubtful:
            assert own.cliffs[optimizer] == job.cliffs[optimizer]
    assert swung == ({"gd"} if name == "double-well" else set())
    assert own.cliffs.keys() == job.cliffs.keys()
    assert own.best_loss_is_known == (known is not None)


def test_bad_arguments_are_one_line() -> None:
    table = simulated({"sgd": 1.0}, seed=0)
    for wanted, told in (
        ({"stability": {"max_unstabel": 0.1}}, "unknown key 'max_unstabel'; did you mean"),
        ({"stability": 0.1}, "stability = 0.1 is not valid: give a dict"),
        ({"stability": {"margin": 0.5}}, "stability: margin = 0.5 is not valid"),
        ({"stability": {"choose_by": "validation"}}, "has no column validation_loss"),
        ({"known_minimum": np.nan}, "known_minimum = nan is not valid"),
        ({"known_minimum": "low"}, "known_minimum = 'low' is not valid"),
        ({"steps": 0}, "steps = 0 is not valid: a whole number from 1"),
        ({"steps": 1.5}, "steps = 1.5 is not valid"),
    ):
        with pytest.raises(InvalidInput) as raised:
            tuning.verdict(table, **wanted)
        assert told in str(raised.value)
        assert "\n" not in str(raised.value)


def test_choice_by_validation() -> None:
    table = simulated({"sgd": 1.0}, seed=0)
    table["validation_loss"] = np.abs(np.log(table.learning_rate / 0.0316))
    best = tuning.verdict(table, stability={"choose_by": "validation"}).best_stable
    assert best is not None
    assert best.learning_rate == pytest.approx(0.0316, rel=0.01)
