"""Reports made by hand, for tests of how they look. Nothing is trained but one weight."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tuning.report.comparison import RivalComparison
from tuning.report.model import (
    BestStable,
    LossProfile,
    Minimum,
    OwnBest,
    Paths,
    QuantileCurves,
    Report,
    RunFacts,
    SettingRow,
    SharpnessCurves,
    Status,
    Target,
)
from tuning.statistics.cliff import fit_cliff
from tuning.statistics.intervals import clopper_pearson_upper, mcnemar, unseen_mass, wilson

__all__ = [
    "bowl",
    "edge",
    "flat",
    "hostile",
    "no_minima",
    "no_stable",
    "report",
    "ring",
    "row",
    "single",
    "strange",
    "unconfirmed",
]

R = 64
RATES = (0.003, 0.03, 0.3, 0.95, 1.2, 3.0)
EVIL = "<script>alert(1)</script>"


def row(
    number: int, optimizer: str, learning_rate: float, joint: dict[str, int], **changes: Any
) -> SettingRow:
    """A setting whose counts and rates follow from `joint`."""
    dynamics = dict.fromkeys(("settled", "descending", "hovering", "oscillating", "diverged"), 0)
    basins = dict.fromkeys(
        ("global-minimum", "local-minimum", "saddle", "plateau", "undetermined"), 0
    )
    for labels, count in joint.items():
        doing, _, where = labels.partition("/")
        dynamics["oscillating" if doing == "unstable" else doing] += count
        if where != "none":
            basins[where] += count
    total = sum(joint.values())
    unstable = dynamics["oscillating"] + dynamics["diverged"]
    undecided = basins["undetermined"]
    made = SettingRow(
        number=number,
        optimizer=optimizer,
        learning_rate=learning_rate,
        role="search",
        restarts=total,
        dynamics=dynamics,
        basins=basins,
        joint=joint,
        falls={
            name: n
            for name, n in (
                ("diverged", dynamics["diverged"]),
                ("swings", dynamics["oscillating"]),
            )
            if n
        },
        hover=None if dynamics["diverged"] == total else 1e-5,
        worst_hover=None if dynamics["diverged"] == total else 0.004,
        evidence={"proven": total - undecided, "extrapolated": 0, "level": 0},
        unstable=wilson(unstable, total),
        diverged=wilson(dynamics["diverged"], total),
        trapped=wilson(basins["local-minimum"], total, undecided=undecided),
        global_minimum=wilson(basins["global-minimum"], total, undecided=undecided),
        trapped_at={
            part: wilson(basins["local-minimum"], total, undecided=undecided)
            for part in ("0.001", "0.003", "0.01")
        },
        unstable_upper=clopper_pearson_upper(unstable, total),
        status=Status.LOOKS_STABLE if unstable == 0 else Status.UNSTABLE,
        loss=None if dynamics["diverged"] >= total / 2 else 0.0123456,
        best_loss=0.001,
        validation_loss=None,
        reached=basins["global-minimum"],
        cost=1234.5 if basins["global-minimum"] else None,
    )
    return replace(made, **changes)


def _joint(rate: float) -> dict[str, int]:
    if rate >= 3:
        return {"diverged/none": 64}
    if rate > 1:
        return {"settled/global-minimum": 10, "unstable/local-minimum": 14, "diverged/none": 40}
    if rate < 0.01:
        return {
            "descending/global-minimum": 30,
            "descending/local-minimum": 31,
            "descending/undetermined": 3,
        }
    return {"settled/global-minimum": 41, "settled/local-minimum": 23}


def _curves(rate: float) -> QuantileCurves:
    """The median is that of J = w^2 from w = 2 by gradient descent, cut off where it has
    diverged."""
    steps = np.unique(np.geomspace(1, 201, 40).round().astype(np.int64)) - 1
    with np.errstate(over="ignore"):
        loss = 4.0 * (1.0 - 2.0 * rate) ** (2.0 * steps)
    loss = np.where(loss > 1e8, np.nan, loss + 0.01)
    median = np.asarray(loss, dtype=np.float64)
    upper = np.asarray(np.where(median > 5, np.nan, 1.4 * median), dtype=np.float64)
    return QuantileCurves(steps, np.asarray(0.7 * median, dtype=np.float64), median, upper)


def bowl() -> LossProfile:
    """J = (w^2 - 1)^2 + 0.3 w, on which gradient descent of three weights settles, is trapped, or
    leaves."""

    def loss(w: Any) -> Any:
        return (w * w - 1.0) ** 2 + 0.3 * w

    w = np.linspace(-2.2, 2.2, 301)
    paths = []
    for rate in (0.01, 0.1, 0.6):
        walk = [np.array([-1.7, 0.4, 1.6])]
        for _ in range(60):
            here = walk[-1]
            with np.errstate(all="ignore"):
                walk.append(here - rate * (4.0 * here * (here * here - 1.0) + 0.3))
        path = np.array(walk)
        path[~np.isfinite(path)] = np.nan
        ends = ("diverged" if np.isnan(column[-1]) else "settled" for column in path.T)
        paths.append(Paths("gd", rate, path, tuple(ends)))
    return LossProfile(w, loss(w), np.array([-1.0356]), np.array([0.9601]), tuple(paths))


def against(name: str) -> RivalComparison:
    """The recommended setting beside another optimizer's best."""
    found = mcnemar(np.arange(R) < 12, np.arange(R) < 9)
    return RivalComparison(
        optimizer=name,
        learning_rate=0.3,
        number=14,
        starts=R,
        first_only=found.first_only,
        second_only=found.second_only,
        p_value=found.p_value,
        first_cost=1234.5,
        second_cost=2345.6,
    )


def report(**changes: Any) -> Report:
    """Two optimizers, a recommended setting, two minima, a landscape."""
    names = ("gd", "adam(beta1=0.8)")
    rows = tuple(
        row(2 * i + k, name, rate, _joint(rate))
        for i, rate in enumerate(RATES)
        for k, name in enumerate(names)
    )
    rows = tuple(replace(r, status=Status.RECOMMENDED) if r.number == 4 else r for r in rows)
    fresh = {"settled/global-minimum": 44, "settled/local-minimum": 20}
    confirmations = tuple(
        row(len(rows) + i, "gd", rate, fresh, role="confirmation", status=Status.CONFIRMED)
        for i, rate in enumerate((0.3, 0.6))
    )
    verdicts = np.array([np.arange(R) < row.unstable.count for row in rows[::2]])
    at, above = confirmations
    best = BestStable(
        number=4,
        optimizer="gd",
        hyperparameters={},
        learning_rate=0.3,
        status=Status.CONFIRMED,
        fresh_starts=R,
        look=3,
        looks=4,
        unstable=at.unstable,
        unstable_upper=at.unstable_upper,
        margin=2.0,
        unstable_at_margin=above.unstable,
        unstable_upper_at_margin=above.unstable_upper,
        trapped=at.trapped,
        trapped_at=at.trapped_at,
        cost=1234.5,
        decades_to_cliff=0.55,
    )
    made = Report(
        job={
            "name": "wells",
            "seed": 0,
            "problem": {"name": "double-well", "tilt": 0.3},
            "search": {"optimizers": ["gd", {"name": "adam", "beta1": 0.8}], "try_first": None},
            "stability": {"max_unstable": 0.05, "confidence": 0.95, "margin": 2.0},
        },
        problem={
            "name": "double-well",
            "parameters": 1,
            "examples": None,
            "flops": 12.0,
            "known_minimum": 0.0,
            "loss": None,
        },
        settings=rows,
        probes=(),
        confirmations=confirmations,
        rivals=(row(14, "adam(beta1=0.8)", 0.3, fresh, role="comparison"),),
        best_stable=best,
        explanation="Of 3 settings that looked stable this one has the least expected cost.",
        advice="",
        unfinished="",
        stopped={},
        cliffs={name: fit_cliff(name, RATES, verdicts, 0.05, 0.95, 0) for name in names},
        minima=(
            Minimum(0.0, 0.0, 300, True, 7.1, 8.9, 2 / 8.9, {4: 41}),
            Minimum(0.6, 0.31, 170, False, 3.2, 7.1, 2 / 7.1, {4: 23}),
        ),
        unseen=unseen_mass([300, 170]),
        best_loss=0.0,
        best_loss_is_known=True,
        best_loss_found_by="gd",
        own_best={"gd": OwnBest(0.0, wilson(41, 64))},
        label_drift=None,
        tolerance=0.002,
        start_loss=4.0,
        target=Target(0.002, "the known global minimum, and its tolerance"),
        sensitivity={"gd": 1.25, "adam(beta1=0.8)": 0.75},
        comparisons={"adam(beta1=0.8)": against("adam(beta1=0.8)")},
        warnings=("The best rate is the highest that was tried: set learning_rate.high = 300.",),
        sharpness={},
        curves={row.number: _curves(row.learning_rate) for row in rows},
        landscape=bowl(),
        run=RunFacts(
            "job-1", "2026-01-02T03:04:05+00:00", 125.0, 80.0, 40.0, 123456, {"python": "3.11"}
        ),
    )
    return replace(made, **changes)


def edge() -> Report:
    """With the sharpness: it rises to its limit, or falls to zero, or ends with the restarts."""
    made = report()
    steps = np.arange(0, 201, 5, dtype=np.int64)
    rising = np.minimum(1.0, 0.02 + steps / 100.0)

    def curves(row: SettingRow) -> SharpnessCurves:
        limit = (2.0 if row.optimizer == "gd" else 18.0) / row.learning_rate
        middle = limit * rising
        if row.learning_rate == RATES[0]:
            middle = -0.0 * middle
        if row.learning_rate > 1.0:
            middle = np.where(steps < 50, 3.0 * middle, np.nan)
        upper = np.where(steps < 30, 1.2 * middle, np.nan)
        return SharpnessCurves(limit, steps, 0.8 * middle, middle, upper)

    return replace(made, sharpness={row.number: curves(row) for row in made.settings})


def flat() -> Report:
    """Minima that are flat, one of them not measured; restarts on plateaus and at saddles."""
    made = report()
    joint = {
        "settled/global-minimum": 30,
        "settled/local-minimum": 10,
        "descending/plateau": 17,
        "settled/saddle": 4,
        "descending/undetermined": 3,
    }
    nothing = float("nan")
    return replace(
        made,
        settings=(row(0, "gd", RATES[0], joint), *made.settings[1:]),
        minima=(
            Minimum(0.0, 0.0, 300, True, 7.1, 8.9, 2 / 8.9, {4: 41}),
            Minimum(0.6, 0.31, 170, False, 1e-9, 7.1, 2 / 7.1, {2: 20, 4: 23}, flat=True),
            Minimum(0.7, 0.34, 9, False, nothing, nothing, None, {4: 9}, flat=True),
        ),
    )


def ring() -> Report:
    """gd fails at 0.03 and holds above; and adam has no stable rate to compare with."""
    made = report()
    verdicts = np.arange(R) < np.array([0, 20, 0, 0, 54, 64])[:, np.newaxis]
    return replace(
        made,
        cliffs={**made.cliffs, "gd": fit_cliff("gd", RATES, verdicts, 0.05, 0.95, 0)},
        rivals=(),
        comparisons={"adam(beta1=0.8)": RivalComparison("adam(beta1=0.8)")},
    )


def no_stable() -> Report:
    """Nothing is stable, no landscape, J* is not known."""
    rows = tuple(
        row(i, "gd", rate, {"diverged/none": 60, "unstable/undetermined": 4})
        for i, rate in enumerate(RATES)
    )
    cliff = fit_cliff("gd", RATES, np.ones((len(RATES), R), dtype=bool), 0.05, 0.95, 0)
    return report(
        settings=rows,
        confirmations=(),
        rivals=(),
        best_stable=None,
        landscape=None,
        minima=(),
        unseen=None,
        comparisons={},
        explanation="No setting from 0.003 to 3 is stable.",
        advice="lower learning_rate.low to 3e-05",
        cliffs={"gd": cliff},
        best_loss=None,
        best_loss_is_known=False,
        target=Target(float("nan"), "none: no setting was stable"),
        warnings=(),
        sensitivity={},
    )


def unconfirmed() -> Report:
    """A rate that looks stable in the search, and no fresh start was spent on it."""
    made = report()
    assert made.best_stable is not None
    own = made.settings[4]
    return replace(
        made,
        settings=tuple(
            replace(r, status=Status.LOOKS_STABLE) if r is own else r for r in made.settings
        ),
        confirmations=(),
        rivals=(),
        comparisons={},
        best_stable=replace(
            made.best_stable,
            status=Status.LOOKS_STABLE,
            fresh_starts=0,
            look=None,
            looks=None,
            unstable=own.unstable,
            unstable_upper=own.unstable_upper,
            unstable_at_margin=None,
            unstable_upper_at_margin=None,
        ),
        explanation="Not so: 62 fresh starts are too few to tell.",
        advice="set stability.confirm = 64",
    )


def single() -> Report:
    """One optimizer at one rate."""
    made = report()
    rows = made.settings[4:5]
    cliff = fit_cliff("gd", [0.3], np.zeros((1, R), dtype=bool), 0.05, 0.95, 0)
    return replace(
        made,
        settings=rows,
        cliffs={"gd": cliff},
        minima=made.minima[:1],
        landscape=None,
        rivals=(),
        comparisons={},
        curves={4: made.curves[4]},
    )


def no_minima() -> Report:
    """No restart reached the bottom of anything; every curve is NaN from the start."""
    made = report()
    nothing = np.full(3, np.nan)
    empty = QuantileCurves(np.array([0, 1, 200]), nothing, nothing, nothing)
    return replace(
        made, minima=(), unseen=unseen_mass([]), curves=dict.fromkeys(made.curves, empty)
    )


def strange() -> Report:
    """Huge and small numbers, negative losses, dozens of minima, many restarts, some curves NaN
    halfway."""
    made = report()
    minima = tuple(
        Minimum(
            -5e12 + 1e9 * i,
            None,
            10**6 // (i + 1) ** 3 + 1,
            i < 2,
            1e-300,
            1e12 * (1 + i),
            2e-12 / (1 + i),
            {},
        )
        for i in range(40)
    )
    crowd = {
        "settled/global-minimum": 700_000,
        "settled/local-minimum": 200_000,
        "settled/undetermined": 100_000,
    }
    first = row(0, "gd", 1e-12, crowd, loss=-4.9e12, cost=1.5e15)
    curves = {0: QuantileCurves(np.array([0, 10, 10**7]), *np.full((3, 3), [1e13, -1e12, -4.9e12]))}
    curves[2] = QuantileCurves(np.array([0, 10, 10**7]), *np.full((3, 3), [1e13, 1e300, np.nan]))
    return replace(
        made,
        settings=(first, *made.settings[1:]),
        minima=minima,
        unseen=unseen_mass([m.count for m in minima]),
        best_loss=-5e12,
        start_loss=1e13,
        tolerance=1.5e10,
        curves=curves,
        landscape=None,
    )


def hostile() -> Report:
    """Markup, quotes, formulas and control characters wherever a user's words may come in."""
    made = report()
    name = f"{EVIL}$x^2$\x1b[31m[bold]"
    rows = tuple(
        replace(one, optimizer=name) if one.optimizer == "gd" else one for one in made.settings
    )
    assert made.best_stable is not None
    return replace(
        made,
        job={**made.job, "name": name, "problem": {"name": name, '"><img src=x>': EVIL}},
        problem={**made.problem, "name": name, EVIL: [EVIL]},
        settings=rows,
        best_stable=replace(made.best_stable, optimizer=name, hyperparameters={EVIL: 1.0}),
        cliffs={name: made.cliffs["gd"]},
        comparisons={name: against(name)},
        explanation=EVIL,
        warnings=(EVIL,),
        target=Target(0.1, EVIL),
        run=replace(made.run, job_id=EVIL, host={EVIL: EVIL}),
    )
