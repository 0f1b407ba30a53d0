"""What each label means, seen in real runs: the pictures of docs/outcomes.md.

`python examples/outcomes.py [FOLDER]` draws them into FOLDER, by default `outcomes` under
$SUREFOOT_HOME. Each picture has two panels: what the restart did, and the rule that named it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from panels import contour, limit, name, note, pair, small, valley, walk
from panels.problems import DeadUnit, Median, Separable

from trainers import Outcome, Thresholds, classify, get_optimizer, get_problem, starts
from trainers import train as train_all
from trainers.training.tail_statistics import TailStatistics
from tuning.report.formatting import number
from tuning.report.labels import STACKS
from tuning.report.plots.style import GREY, INK, SIZE, png

LIMITS = Thresholds()
MATERIAL = LIMITS.material_for(known=True)
GD = get_optimizer("gd")
BLUE, PALE, ORANGE, _, GREEN, _, PINK, DARK = STACKS.values()


def run(problem, rate, start, steps, wanted, **more):
    """Train from `start`; (trajectories, outcome) of that one restart, which must be `wanted`."""
    done = train_all(
        problem, GD, learning_rate=rate, starts=[start], steps=steps, record_path=True, **more
    )
    outcome = classify(problem, done)[0]
    said = f"{outcome.dynamics}/{outcome.basin or 'none'}"
    if said != wanted:
        raise SystemExit(f"expected {wanted}, found {said}: {outcome.reason}")
    print(f"{said}: {outcome.reason}")
    return done, outcome


def gap(ax, done, outcome: Outcome, colour: str) -> None:
    """What is left to gain at each step, in descents, with the threshold of `settled`; the tail is
    shaded."""
    left, descent = done.losses[:, 0] - outcome.basin_loss, outcome.frame.descent
    ax.semilogy(done.recorded, np.maximum(left / descent, 1e-12), color=colour, linewidth=2)
    ax.axvspan(done.steps - TailStatistics.length(done.steps), done.steps, color=GREY, alpha=0.15)
    ax.set_ylim(1e-11, 5)
    limit(ax, LIMITS.settled, f"settled = {number(LIMITS.settled)}")
    name(ax, "step; the tail is grey", "(J − J bottom) / D")


def settled():
    problem = get_problem("single-weight")
    done, outcome = run(problem, 0.1, [2.5], 100, "settled/global-minimum")
    drawn, a, b = pair("settled: one weight, rate 0.1", "nothing is left to gain that shows")
    valley(a, problem, done.path, -3, 3, BLUE)
    gap(b, done, outcome, BLUE)
    return drawn


def descending():
    problem = get_problem("single-weight")
    done, outcome = run(problem, 0.01, [2.5], 100, "descending/global-minimum")
    drawn, a, b = pair("descending: the same at rate 0.01", "the steps ended before the gain did")
    valley(a, problem, done.path, -3, 3, PALE, 101)
    gap(b, done, outcome, BLUE)
    return drawn


def oscillating():
    problem = get_problem("double-well")
    done, _ = run(problem, 0.3, [1.2], 300, "oscillating/local-minimum")
    drawn, a, b = pair("oscillating: a double well, rate 0.3", "each step undoes the one before")
    valley(a, problem, done.path[-60:], 0.4, 1.4, PINK)
    b.plot(np.arange(260, 301), done.path[260:, 0, 0], ".-", color=PINK, linewidth=1)
    name(b, "step", "weight w")
    b.set_ylim(0.6, 1.5)
    text = f"mean cosine {done.cosine[0]:.2f}, below opposed = {LIMITS.opposed:g}"
    note(b, text, (0.97, 0.92))
    return drawn


def network(rate, batch_size):
    """Eight restarts of a real network by mini-batches; (trajectories, outcomes)."""
    problem = get_problem("mlp", data="breast-cancer", hidden=[8], weight_decay=0.001)
    w0 = starts(problem, restarts=8, seed=0)
    more = {"steps": 600, "batch_size": batch_size}
    done = train_all(problem, GD, learning_rate=rate, starts=w0, **more)
    return done, classify(problem, done)


def hovering():
    done, outcomes = network(1.0, 8)
    row = int(np.flatnonzero(outcomes.dynamics == "hovering")[0])
    drawn, a, b = pair("hovering: a network, batches of 8", "no progress, held off by noise")
    a.semilogy(done.recorded, done.losses[:, row], ".-", color=PINK, linewidth=1, markersize=3)
    a.axhline(outcomes.basin_loss[row], color=GREY, linewidth=1, linestyle=":")
    note(a, "dotted: the bottom below", (0.97, 0.92), GREY)
    name(a, "step", "loss J")
    late = done.recorded >= done.steps - TailStatistics.length(done.steps)
    bottom, descent = outcomes[row].tail_loss - outcomes[row].tail_gap, outcomes.frame.descent
    heights = (done.losses[late, row] - bottom) / descent
    b.semilogy(done.recorded[late], heights, ".-", color=PINK, linewidth=1, markersize=4)
    b.axhline(outcomes.hover[row], color=PINK, linewidth=1, linestyle=":")
    b.set_ylim(2e-4, 0.4)
    limit(b, LIMITS.settled, f"settled = {number(LIMITS.settled)}")
    limit(b, LIMITS.max_hover, f"max_hover = {LIMITS.max_hover:g}")
    note(b, f"dotted: hover, {outcomes.hover[row]:.3f}", (0.97, 0.92), PINK)
    name(b, "step of the tail", "(J − J bottom) / D")
    return drawn


def unstable():
    rates = (0.3, 1.0, 3.0)
    drawn, a, b = pair("unstable: the same at three rates", "who hovers too high has fallen")
    for place, (rate, colour) in enumerate(zip(rates, (BLUE, PINK, DARK), strict=True)):
        done, outcomes = network(rate, 8)
        middle = np.median(done.losses, axis=1)
        a.semilogy(done.recorded, middle, color=colour, linewidth=1.3, label=f"rate {rate:g}")
        fallen = outcomes.unstable
        across = place + np.linspace(-0.2, 0.2, 8)
        b.semilogy(across[~fallen], outcomes.hover[~fallen], "o", color=colour, markersize=6)
        b.semilogy(across[fallen], outcomes.hover[fallen], "x", color=colour, markersize=7)
        print(f"unstable: rate {rate:g}: {fallen.sum()} of 8")
    a.legend(frameon=False, fontsize=SIZE, loc="upper right", ncols=3)
    a.set_ylim(0.01, 10)
    name(a, "step", "loss J, median of 8")
    b.set_xticks(range(3), [f"{rate:g}" for rate in rates])
    b.set_xlim(-0.5, 2.5)
    b.set_ylim(1e-3, 5)
    limit(b, LIMITS.max_hover, f"max_hover = {LIMITS.max_hover:g}")
    note(b, "× unstable   ● stable", (0.03, 0.92), ha="left")
    name(b, "learning rate", "hover")
    return drawn


def diverged():
    problem = get_problem("single-weight")
    done, outcome = run(problem, 1.05, [2.5], 200, "diverged/none")
    drawn, a, b = pair("diverged: one weight, rate 1.05", "the loss has left for infinity")
    valley(a, problem, done.path[:12], -8, 8, DARK)
    b.semilogy(done.recorded, done.losses[:, 0], color=DARK, linewidth=2)
    b.set_ylim(1, 1e11)
    limit(b, LIMITS.diverged * done.losses[0, 0], f"diverged = {number(LIMITS.diverged)} times J0")
    b.plot(outcome.diverged_at - 1, outcome.loss, "x", color=DARK, markersize=9)
    note(b, f"step {outcome.diverged_at}", (0.5, 0.62), DARK, "left")
    name(b, "step", "loss J")
    return drawn


def global_minimum():
    problem = get_problem("six-hump-camel")
    w0 = starts(problem, restarts=300, seed=0)
    done = train_all(problem, GD, learning_rate=0.01, starts=w0, steps=2000)
    outcomes = classify(problem, done)
    there = outcomes.basin == "global-minimum"
    print(f"global-minimum: {there.sum()} of 300 restarts, the others are trapped")
    drawn, a, b = pair("global-minimum: where 300 starts lead", "within the tolerance of J*")
    contour(a, problem, (-3.1, 3.1), (-2.1, 2.1), [-1, -0.6, -0.2, 0.2, 1, 2, 4, 8, 20, 60])
    for mask, colour in ((there, BLUE), (~there, ORANGE)):
        a.plot(*w0[mask].T, ".", color=colour, markersize=4)
        a.plot(*done.weights[mask].T, "*", color=colour, markeredgecolor=INK, markersize=11)
    name(a, "w₁", "w₂")
    order = np.argsort(outcomes.basin_loss)
    height = outcomes.basin_loss[order] - problem.known_minimum
    descent = np.median(done.losses[0]) - problem.known_minimum
    b.scatter(np.arange(300), height / descent, s=9, c=np.where(there[order], BLUE, ORANGE))
    b.set_yscale("symlog", linthresh=1e-4)
    b.set_ylim(-5e-5, 3)
    limit(b, MATERIAL, f"material = {MATERIAL:g}")
    name(b, "restarts, by the bottom they reach", "(J − J*) / median descent")
    return drawn


def local_minimum():
    problem = get_problem("double-well")
    done, outcome = run(problem, 0.02, [1.9], 300, "settled/local-minimum")
    drawn, a, b = pair("local-minimum: trapped", "at rest, all directions curve up, too high")
    valley(a, problem, done.path, -1.7, 1.95, ORANGE, 301)
    a.plot(-1.0356, problem.known_minimum, "*", color=BLUE, markersize=13)
    a.set_ylim(-1, 8)
    note(a, "★ the global minimum", (0.06, 0.92), BLUE, "left")
    descent = done.losses[0, 0] - problem.known_minimum
    height = (done.losses[:, 0] - problem.known_minimum) / descent
    b.semilogy(done.recorded, height, color=ORANGE, linewidth=2)
    b.set_ylim(1e-4, 3)
    limit(b, MATERIAL, f"material = {MATERIAL:g}")
    note(b, f"curvature {outcome.smallest_curvature:.2f} > 0", (0.97, 0.8), ORANGE)
    name(b, "step", "(J − J*) / descent")
    return drawn


def saddle():
    problem = get_problem("saddle-between-wells")
    drawn, a, b = pair("saddle: a start on the ridge", "at rest, one direction curves down")
    contour(a, problem, (-1.6, 1.6), (-1.3, 1.5), [0.02, 0.08, 0.16, 0.249, 0.4, 0.7, 1.1])
    beside, _ = run(problem, 0.1, [0.05, 1.2], 300, "settled/global-minimum")
    done, outcome = run(problem, 0.1, [0.0, 1.2], 300, "settled/saddle")
    walk(a, beside, BLUE, "*")
    walk(a, done, GREEN)
    name(a, "w₁", "w₂")
    t = np.linspace(-0.8, 0.8, 161)
    lines = (([1, 0], "along w₁", outcome.smallest_curvature),
             ([0, 1], "along w₂", outcome.largest_curvature))  # fmt: skip
    for (way, text, curve), colour in zip(lines, (GREEN, GREY), strict=True):
        J = problem.loss_and_gradient(done.weights[0] + t[:, None] * np.array(way))[0]
        b.plot(t, J, color=colour, linewidth=2, label=f"{text}: curvature {curve:.2g}")
    b.legend(frameon=False, fontsize=SIZE, loc="upper center")
    name(b, "distance from where it rests", "loss J")
    return drawn


def plateau():
    problem = DeadUnit()
    drawn, a, b = pair(
        "plateau: one step too long kills a ReLU unit", "no slope, no curvature, all around"
    )
    contour(a, problem, (-1.6, 1.9), (-1.1, 1.1), [0.002, 0.02, 0.06, 0.12, 0.18, 0.23, 0.4, 0.8])
    w = np.linspace(-1.6, 1.9, 100)
    a.fill_between(w, -1.1, np.minimum(-0.2 * w, -w), color=GREY, alpha=0.15, linewidth=0)
    note(a, "dead: answers to no example", (0.03, 0.07), GREY, "left")
    alive, _ = run(problem, 0.3, [0.8, 0.9], 3000, "settled/global-minimum")
    done, _ = run(problem, 2.0, [0.8, 0.9], 3000, "settled/plateau")
    walk(a, alive, BLUE, "*")
    walk(a, done, GREEN)
    name(a, "weight", "bias")
    far = np.geomspace(0.01, 2.0, 60)
    rng = np.random.default_rng(0)
    for end, colour in ((alive, BLUE), (done, GREEN)):
        for way in rng.standard_normal((20, 2)):
            line = end.weights[0] + far[:, None] * way / np.linalg.norm(way)
            b.semilogx(far, problem.loss_and_gradient(line)[0], color=colour, linewidth=0.8)
    b.set_ylim(-0.02, 0.5)
    name(b, "distance, in 20 directions", "loss J")
    return drawn


def infinity():
    problem = Separable()
    done, _ = run(problem, 1.0, [-3.0], 1000, "settled/plateau")
    drawn, a, b = pair("plateau: a minimum at infinity", "a ray along which the loss never rises")
    valley(a, problem, done.path, -4, 16, GREEN, 1001)
    end = done.weights[0, 0]
    ray = end + 0.1 * (1 + end) * 2.0 ** np.arange(14)
    J = problem.loss_and_gradient(ray[:, None])[0]
    b.loglog(done.path[5:, 0, 0], done.losses[5:, 0], color=GREEN, linewidth=2, label="training")
    b.loglog(ray[J > 0], J[J > 0], "o--", color=GREY, markersize=4, label="the ray, doubling")
    b.set(xlim=(0.5, 400), ylim=(1e-120, 10))
    b.legend(frameon=False, fontsize=SIZE, loc="lower left")
    name(b, "weight w", "loss J")
    return drawn


def undetermined():
    problem = get_problem("relu-teacher", units=12)
    w0 = starts(problem, restarts=40, seed=0)
    done = train_all(problem, GD, learning_rate=0.1, starts=w0, steps=50)
    drawn, a, b = pair("undetermined: the interval holds J*", "more gradients make it shorter")
    colours = {"global-minimum": BLUE, "local-minimum": ORANGE, "undetermined": GREY}
    for ax, budget in ((a, 1.0), (b, 25.0)):
        outcomes = classify(problem, done, Thresholds(polish_budget=budget))
        descent = outcomes.frame.descent
        order = np.argsort(outcomes.basin_loss)
        for place, row in enumerate(order):
            colour = colours[str(outcomes.basin[row])]
            ends = np.maximum(outcomes.lower_bound[row], -1.0), outcomes.basin_loss[row]
            ax.plot([place] * 2, np.array(ends) / descent, color=colour, linewidth=2)
            ax.plot(place, outcomes.basin_loss[row] / descent, "o", color=colour, markersize=3)
        ax.set_yscale("symlog", linthresh=1e-3)
        ax.set_ylim(-0.3, 3)
        limit(ax, MATERIAL, "")
        name(ax, f"40 restarts, {max(250, round(50 * budget)):,} gradients", "(J − J*) / D")
        counts = {label: int((outcomes.basin == label).sum()) for label in colours}
        print(f"undetermined: budget {budget:g}: {counts}")
    note(a, "from J, ●, down to J low; dashed: J* + tau", (0.03, 0.94), ha="left")
    note(b, "blue: global; orange: local; grey: not judged", (0.03, 0.94), ha="left")
    return drawn


def catapult():
    problem = get_problem("deep-linear", inputs=1, outputs=1, hidden=[1], examples=10, noise=0.0)
    rate = 0.03
    done, _ = run(problem, rate, [10.0, 0.1], 60, "settled/global-minimum", sharpness_every=1)
    drawn, a, b = pair("catapult: up by hundreds, then down", "thrown to where it is less sharp")
    a.semilogy(done.recorded, np.maximum(done.losses[:, 0], 1e-13), color=BLUE, linewidth=2)
    a.axhline(done.losses[0, 0], color=GREY, linewidth=1, linestyle=":")
    a.set_ylim(1e-13, 1e11)
    limit(a, LIMITS.diverged * done.losses[0, 0], f"diverged = {number(LIMITS.diverged)} times J0")
    name(a, "step", "loss J")
    b.plot(done.sharpness_steps, rate * done.sharpness[:, 0], color=BLUE, linewidth=2)
    b.set_ylim(0, 4)
    limit(b, GD.stability_limit, "the limit of gradient descent, 2")
    name(b, "step", "rate × λ max")
    return drawn


def edge():
    problem = get_problem("mlp", data="diabetes", hidden=[8])
    w0, rate = starts(problem, restarts=8, seed=0)[6], 0.5
    done, _ = run(problem, rate, w0, 1000, "descending/undetermined", sharpness_every=5)
    drawn, a, b = pair("edge of stability: bumpy, yet falling", "the sharpness hovers at the limit")
    a.plot(done.recorded[100:], done.losses[100:, 0], color=PINK, linewidth=1.4)
    a.set_xlim(0, 1000)
    name(a, "step", "loss J")
    b.plot(done.sharpness_steps, rate * done.sharpness[:, 0], color=PINK, linewidth=1.5)
    b.set_ylim(0, 3)
    limit(b, GD.stability_limit, "")
    note(b, "dashed: the limit of gradient descent, 2", (0.97, 0.93))
    name(b, "step", "rate × λ max")
    return drawn


def kink():
    problem = Median()
    done, _ = run(problem, 0.01, [-2.001], 1200, "settled/global-minimum")
    drawn, a, b = pair("kink: the slope jumps at the bottom", "as close as its steps let it")
    valley(a, problem, done.path, -2.2, 4, BLUE, 1201)
    b.plot(np.arange(925, 960), done.path[925:960, 0, 0], ".-", color=BLUE, linewidth=0.8)
    b.set_ylim(0.998, 1.0045)
    limit(b, 1.0, "")
    note(b, "dashed: the kink, where the slope jumps", (0.97, 0.93))
    name(b, "step", "weight w")
    return drawn


PICTURES = (
    settled, descending, hovering, oscillating, diverged, unstable, global_minimum, local_minimum,
    saddle, plateau, infinity, undetermined, catapult, edge, kink,
)  # fmt: skip


if __name__ == "__main__":
    home = Path(os.environ.get("SUREFOOT_HOME", "surefoot-data")) / "outcomes"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else home
    folder.mkdir(parents=True, exist_ok=True)
    for draw in PICTURES:
        file = folder / f"outcomes-{draw.__name__.replace('_', '-')}.png"
        file.write_bytes(small(png(draw())))
