"""Each label's explanation, on restarts whose labels are known; the numbers are the arrays'."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from trainers import (
    Basin,
    Dynamics,
    Evidence,
    Fall,
    Outcome,
    Outcomes,
    Point,
    Problem,
    Thresholds,
    classify,
    get_optimizer,
    get_problem,
    starts,
    train,
)
from trainers.outcomes.basins import Credibility, label_basins, label_evidence
from trainers.outcomes.character_plot import character_plot
from trainers.outcomes.explain import explanation_dict, facts
from trainers.outcomes.reasoning import (
    STABLE,
    Comparison,
    Frame,
    why_basin,
    why_dynamics,
    why_fall,
)
from trainers.outcomes.stability import TailFacts, find_falls

GD = get_optimizer("gd")
BOWL, DOUBLE = get_problem("single-weight"), get_problem("double-well")


def ran(problem: Problem, rate: float, start: list[float], steps: int) -> Outcome:
    return classify(
        problem, train(problem, GD, learning_rate=rate, starts=np.array([start]), steps=steps)
    )[0]


def wine(batch_size: int | None, name: str, rate: float) -> Outcomes:
    problem = get_problem("mlp", data="wine", hidden=[5], weight_decay=0.003)
    w0 = starts(problem, restarts=12)
    run = train(
        problem,
        get_optimizer(name),
        learning_rate=rate,
        starts=w0,
        steps=600,
        batch_size=batch_size,
    )
    return classify(problem, run)


def last(steps: list[Comparison]) -> str:
    assert [step.label for step in steps[:-1]] == [""] * (len(steps) - 1)
    return steps[-1].label


def agrees(o: Outcome) -> None:
    """The reasoning ends with the labels, and every comparison that is shown holds."""
    doing, fall, basin = (why(o, o.frame) for why in (why_dynamics, why_fall, why_basin))
    assert last(doing) == o.dynamics, o
    assert last(fall) == (o.fall or STABLE), o
    assert last(basin) == (o.basin or "none"), o
    for step in (*doing, *fall, *basin):
        match step.relation:
            case ">":
                assert step.value > step.limit
            case ">=":
                assert step.value >= step.limit
            case "<":
                assert step.value < step.limit
            case "<=":
                assert step.value <= step.limit
            case _:
                assert np.isnan(step.value)


# ------------------------------------------------------------------------------- dynamics and falls


def test_settled() -> None:
    o = ran(BOWL, 0.1, [2.5], 100)
    agrees(o)
    (step,) = why_dynamics(o, o.frame)
    # w shrinks by 0.8 a step: J90 is J at the second of the tail's 11 losses, step 91.
    assert step.value == pytest.approx(6.25 * 0.8**182, rel=1e-9)
    assert step.limit == pytest.approx(1e-3 * 6.25)
    assert "-> settled: nothing is left to gain" in o.explain()


def test_descending() -> None:
    o = ran(BOWL, 0.01, [2.5], 100)
    agrees(o)
    more, progress = why_dynamics(o, o.frame)
    assert (more.value, more.relation) == (o.tail_gap, ">")
    # J falls by 0.98^2 a step, and a block of the second half has five steps or six.
    assert 10 * np.log(0.98) * 1.3 < progress.value < 10 * np.log(0.98) * 0.9
    assert "-> descending: still falling\n" in o.explain()


def test_descending_along_the_edge() -> None:
    o = ran(BOWL, 0.999, [2.5], 500)
    agrees(o)
    assert "-> descending: still falling, along the edge of stability" in o.explain()


def test_oscillating_and_unstable_by_swinging() -> None:
    o = ran(DOUBLE, 0.3, [1.2], 300)
    agrees(o)
    assert (o.dynamics, o.fall) == (Dynamics.OSCILLATING, Fall.SWINGS)
    text = o.explain()
    assert "cosine = -1 < -0.5 = opposed" in text
    assert "-> oscillating: successive steps oppose each other" in text
    high = next(s for s in why_fall(o, o.frame) if s.what == "J90 - J_bottom")
    assert high.text == f"J90 - J_bottom = {o.tail_gap:.4g} > {0.05 * o.frame.descent:.4g} = " + (
        "max_hover x D"
    )
    assert f"unstable: yes, swings\n  J90 - J0 = {o.tail_loss - o.start_loss:.4g} <= " in text


def test_above_its_start() -> None:
    # From beside the shallow well's bottom the loss only rises, to the same swing.
    o = ran(DOUBLE, 0.3, [0.97], 300)
    agrees(o)
    assert o.fall is Fall.ABOVE_START
    (step,) = why_fall(o, o.frame)
    assert step.value == o.tail_loss - o.start_loss > 0.05 * o.frame.descent == step.limit


def test_diverged() -> None:
    o = ran(BOWL, 1.05, [2.5], 200)
    agrees(o)
    text = o.explain()
    # w grows by 1.1 a step, J from 6.25 to above 6.25e8: ln(1e8) / (2 ln 1.1) = 96.6 steps.
    assert "step 97: not finite, or J > 6.25e+08 = diverged x max(J0, 1) and growing" in text
    assert "basin: none\n  diverged" in text
    assert [f.name for f in facts(o)] == ["J0", "J*", "D"]


def test_hovering() -> None:
    found = wine(8, "gd", 1.0)
    for o in found:
        agrees(o)
    o = found[int(np.flatnonzero(found.dynamics == Dynamics.HOVERING)[0])]
    steps = why_dynamics(o, o.frame)
    assert [s.what for s in steps] == ["J90 - J_bottom", "trend", "sharpness"]
    assert steps[-1].value == o.sharpest < 2.0 == steps[-1].limit
    assert f"sharpness = {o.sharpest:.4g} < 2 = limit of gd" in o.explain()
    assert "-> hovering: the noise of mini-batches holds it off" in o.explain()


@pytest.mark.parametrize("cosine", [-1.0, 0.0])
@pytest.mark.parametrize("displacement", [0.05, 0.5])
@pytest.mark.parametrize("rate", [0.2, 0.6, 1.0])
def test_every_way_through_the_dynamics(cosine: float, displacement: float, rate: float) -> None:
    # J does not change: at rest in all but the statistics of the steps, which are made up.
    run = train(BOWL, GD, learning_rate=1.0, starts=np.ones((1, 1)), steps=300)
    run = replace(
        run,
        cosine=np.array([cosine]),
        displacement=np.array([displacement]),
        learning_rate=np.array([rate]),
    )
    for size in (None, 1):
        agrees(classify(BOWL, replace(run, batch_size=size))[0])


def test_fewer_than_eight_losses_say_nothing() -> None:
    o = ran(BOWL, 0.01, [2.5], 5)
    agrees(o)
    assert "fewer than 8 losses of the tail are recorded" in o.explain()
    assert "hover" not in {f.name for f in facts(o)}


def test_the_walk_finds_the_falls_of_the_rule() -> None:
    o = ran(DOUBLE, 0.3, [1.2], 300)
    ask = o.frame.limits
    grid = itertools.product(
        (-1.0, 0.01, 0.2), (0.01, 0.2), (-0.1, 0.1), (-1.0, 0.0), (0.2, 1.5, np.nan), (0.0, 0.2),
        (0.001, 0.2), (0.0, 1.0),
    )  # fmt: skip
    seen = set()
    for rise, gap, trend, cosine, sharpest, excess, swing, descent in grid:
        still = trend > 0
        held = still and (cosine < -0.5 or not sharpest < 1.0) and swing > ask.swing * gap
        columns = (False, 1.0, 1.0 + rise, gap, still, held, excess)
        (fall,) = find_falls(TailFacts(*(np.array([c]) for c in columns)), descent, ask.max_hover)
        made = replace(
            o,
            fall=fall,
            start_loss=1.0,
            tail_loss=1.0 + rise,
            tail_gap=gap,
            trend=trend,
            cosine=cosine,
            sharpest=sharpest,
            tail_excess=excess,
            swing=swing,
        )
        assert last(why_fall(made, replace(o.frame, descent=descent))) == (fall or STABLE)
        seen.add(fall)
    assert seen == {None, Fall.SWINGS, Fall.ABOVE_START}


# ------------------------------------------------------------------------------------------- basins


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("trust", [(3, 3, 1), (2, 3, 1), (3, 3, 0)], ids=str)
@pytest.mark.parametrize("point", [p for p in Point if p != Point.NONE])
@pytest.mark.parametrize("loss", [1.0, 1.1, 1.2, np.nan])
@pytest.mark.parametrize("lower", [-np.inf, 1.05, 1.15])
def test_the_walk_finds_the_basins_of_the_rule(
    known: bool, trust: tuple[int, int, int], point: Point, loss: float, lower: float
) -> None:
    credible = Credibility(*trust)
    lower = float(np.minimum(lower, loss)) if point == Point.UNDETERMINED else loss
    one = np.array([point], dtype=object)
    (basin,) = label_basins(
        one, np.array([loss]), np.array([lower]), 1.0, 0.1, known=known, credible=credible.holds
    )
    limits = Thresholds(material=0.1)
    frame = Frame("gd", 2.0, None, 100, 1.0, known, credible, 1.0, limits)
    (evidence,) = label_evidence(one, np.array([basin], dtype=object))
    o = replace(
        ran(BOWL, 0.1, [2.5], 100),
        point=point,
        basin=basin,
        evidence=evidence,
        basin_loss=loss,
        lower_bound=lower,
        frame=frame,
    )
    assert last(why_basin(o, frame)) == basin
    text = o.explain()
    assert ("what would help: more steps, or [outcomes] polish_budget above 1" in text) == (
        basin == Basin.UNDETERMINED
    )
    assert ("evidence: " in text) == (evidence is not None)


def test_trapped_proven() -> None:
    run = train(DOUBLE, GD, learning_rate=0.02, starts=np.array([[1.9], [-1.9]]), steps=300)
    trapped, free = classify(DOUBLE, run)
    agrees(trapped)
    agrees(free)
    assert trapped.evidence == Evidence.PROVEN
    text = trapped.explain()
    # J'' = 12 w^2 - 4 at 0.9601.
    assert re.search(r"smallest curvature = 7.06\d? > 7.06\d?e-05 = strict x largest", text)
    assert "-> local-minimum: no bottom below is low enough" in text
    assert "basin: local-minimum (trapped)" in text
    assert "-> global-minimum: within the tolerance of J*" in free.explain()


def test_saddle() -> None:
    ridge = get_problem("saddle-between-wells")
    o = ran(ridge, 0.1, [0.0, 1.2], 300)
    agrees(o)
    assert "smallest curvature = -1 < -0.0001 = -saddle x largest" in o.explain()
    assert "-> saddle: at rest where some direction curves down" in o.explain()


def test_plateau() -> None:
    """How soon it is proven differs by processor: by rounding, and the budget is spent."""
    problem = get_problem("mlp", data="wine", hidden=[4])
    w = starts(problem, restarts=1)
    runs = (train(problem, GD, learning_rate=1.0, starts=w, steps=steps) for steps in (1000, 3000))
    ended = (o for run in runs for o in classify(problem, run))
    o = next(o for o in ended if o.basin == Basin.PLATEAU)
    agrees(o)
    assert "proven: the loss falls for ever as the weights grow" in o.explain()
    assert "-> plateau" in o.explain()


def test_reached_by_level_and_not_judged() -> None:
    # 98 parameters: too many to be proven first, and J* is not known.
    found = wine(None, "gd", 0.3)
    for o in found:
        agrees(o)
    assert found.frame.credibility.holds
    o = found[int(np.flatnonzero(found.evidence == Evidence.LEVEL)[0])]
    level, enough, near = why_basin(o, o.frame)
    assert level.value == o.basin_loss <= o.frame.best + 0.01 * o.frame.descent == level.limit
    tight = found.basin_loss - found.lower_bound <= found.frame.tolerance / 4
    assert (enough.value, enough.limit) == (tight.sum(), 3)
    assert near.label == Basin.GLOBAL_MINIMUM
    assert "evidence: level, the loss that was reached" in o.explain()
    # Were fewer known so well, nobody would have reached it.
    frame = replace(o.frame, credibility=Credibility(2, 3, 1))
    doubted = replace(o, basin=Basin.UNDETERMINED, evidence=None, frame=frame)
    agrees(doubted)
    text = doubted.explain()
    assert "bottoms known to tau / 4 = 2 < 3 = needed" in text
    assert "so that more bottoms are known well" in text


def test_trapped_by_extrapolation() -> None:
    # Twelve ReLU units that learn twelve: J* is 0, and no other minimum is below 1e-3 (Safran &
    # Shamir 2018). The training is far from its end.
    problem = get_problem("relu-teacher", units=12)
    w0 = starts(problem, restarts=16)
    found = classify(problem, train(problem, GD, learning_rate=0.1, starts=w0, steps=1000))
    for o in found:
        agrees(o)
    trapped = np.flatnonzero(found.evidence == Evidence.EXTRAPOLATED)
    assert trapped.size
    o = found[int(trapped[0])]
    level, lower = why_basin(o, o.frame)
    assert level.value == o.basin_loss > o.lower_bound == lower.value
    assert lower.limit == o.frame.tolerance == 1e-3 * o.frame.descent
    assert f"J_low = {o.lower_bound:.4g} > {lower.limit:.4g} = J* + tau" in o.explain()
    assert "evidence: extrapolated" in o.explain()


# --------------------------------------------------------------------------------------- the facts


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize(("name", "rate"), [("gd", 30.0), ("adam", 0.05), ("rmsprop", 0.05)])
def test_the_reasoning_ends_with_the_labels_of_a_network(
    name: str, rate: float, batch_size: int | None
) -> None:
    found = wine(batch_size, name, rate)
    for o in found:
        agrees(o)


def test_the_facts_are_the_arrays() -> None:
    run = train(DOUBLE, GD, learning_rate=0.3, starts=np.array([[1.2], [0.97]]), steps=300)
    found = classify(DOUBLE, run)
    o = found[0]
    told = {f.name: f.value for f in facts(o)}
    tail = run.losses[-31:, 0]
    assert told["J0"] == run.losses[0, 0]
    assert told["J90"] == np.quantile(tail, 0.9, method="higher")
    assert told["middle"] == np.median(tail)
    assert told["J_bottom"] == pytest.approx(found.basin_loss[0], rel=1e-12)
    assert told["D"] == np.median(run.losses[0]) - DOUBLE.known_minimum
    assert told["hover"] == pytest.approx((told["J90"] - told["J_bottom"]) / told["D"])
    assert (told["cosine"], told["displacement"]) == (run.cosine[0], run.displacement[0])
    assert told["excess"] == pytest.approx(
        tail.mean() - DOUBLE.loss_and_gradient(run.tail_weights[:1])[0][0]
    )
    for name, value in told.items():
        assert re.search(rf"^  {re.escape(name)} +{re.escape(f'{value:.5g}')} ", o.explain(), re.M)
    plain = json.loads(json.dumps(explanation_dict(o), allow_nan=False))
    assert plain["facts"] == {k: v if np.isfinite(v) else None for k, v in told.items()}
    assert plain["dynamics"]["because"][-1]["label"] == "oscillating"
    assert plain["unstable"]["label"] == "swings"


def test_two_numbers_that_look_alike_get_more_digits() -> None:
    step = Comparison("J", "", "", 1.0000001, ">", 1.0, "J* + tau")
    assert step.text == "J = 1.0000001 > 1 = J* + tau"
    assert Comparison("J", "", "", 1.0, "<=", 1.0).text == "J = 1 <= 1"


# ---------------------------------------------------------------------------------------- the plot


def test_a_straight_line_is_a_diagonal() -> None:
    x, y = np.arange(60), np.arange(60.0)
    drawn = character_plot(x, 60.0 - y, {}, tail=54, ascii_only=True)
    assert len(drawn) == 10
    assert "\n".join(drawn).isascii()
    # Not all positive beyond a factor of ten: 60 to 1 is logarithmic, and starts flat.
    assert drawn[0].startswith("       60 |'")
    assert drawn[7].startswith("        1 |")
    assert drawn[8].index("+") == 11 + 54
    assert drawn[9].split() == ["step", "0", "59"]
    linear = character_plot(x, 160.0 - y, {}, tail=54, ascii_only=True)
    rows = [max(r for r in range(8) if linear[r][11 + c :][:1] in set("'.:")) for c in range(60)]
    # 16 heights over 60 columns: the row at column c is that of 15 c / 59, rounded.
    assert rows == [round(15 * c / 59) // 2 for c in range(60)]


def test_thresholds_are_lines_where_they_are_near() -> None:
    x = np.arange(100)
    marks = {"max_hover": 0.05, "settled": 1e-9}
    braille = character_plot(x, np.full(100, 0.01), marks, tail=0)
    assert any(line.endswith("┄ max_hover = 0.05") for line in braille)
    assert not any("settled" in line for line in braille)
    assert any("⠤" in line or "⣀" in line or "⠉" in line or "⠒" in line for line in braille)


def test_what_is_not_finite_is_left_out() -> None:
    assert character_plot(np.arange(3), np.full(3, np.nan), {}, tail=0) == ["no loss is finite"]
    drawn = character_plot(np.arange(3), np.array([1.0, np.nan, 3.0]), {}, tail=0)
    assert drawn[-1].split() == ["step", "0", "2"]
    o = ran(BOWL, 0.01, [2.5], 300)
    assert "the tail: (J - J_bottom) / D" in o.explain()
    assert o.explain(ascii_only=True).isascii()
    assert not o.explain().isascii()
