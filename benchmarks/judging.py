"""(d) What became of every restart, at the scale of real training: how many are judged, how
rightly, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from statistics import mean

from threadpoolctl import threadpool_limits

from benchmarks.pure_flow import compare_with_flow
from benchmarks.trainings import FEW, MATERIALS, REAL, Judged, judge_trainings
from benchmarks.verdicts import Agreement
from benchmarks.wide import judge_wide
from trainers import classify, get_optimizer, get_problem, starts, train

__all__ = ["judging"]

# Rates at which a limit cycle remains, far too small to matter.
_CYCLING = (("rmsprop", 0.003), ("rmsprop", 0.01), ("adam", 0.03))
_LENGTHS = (1000, 4000)
_RESTARTS = 32


def judging() -> list[str]:
    """Tables in Markdown, on one core."""
    with threadpool_limits(1):
        found = {case.name: judge_trainings(case) for case in (*REAL, *FEW)}
        flow = {material: compare_with_flow(material) for material in MATERIALS}
        unstable = [_unstable(*setting) for setting in _CYCLING]
    by_kind = {
        kind: [part for case in (*REAL, *FEW) if case.kind == kind for part in found[case.name]]
        for kind in ("full", "batch", "diabetes", "few")
    }
    judged = [found[case.name] for case in REAL if case.kind != "diabetes"]
    lines = [*_table(by_kind, judged, flow), *_stability_rows(unstable), _wide_row(), ""]
    lines += [
        "Case by case, over gd, momentum and adam; judging in CPU time, at default material:",
        "",
    ]
    lines += [
        "| case | restarts | not judged at 1e-2, 1e-3 | trapped at 1e-2, 1e-3 | judging / training "
        "| in gradients | wrong against 8 times the budget |",
        "| --- " * 7 + "|",
    ]
    lines += [_case_row(case.name, found[case.name]) for case in (*REAL, *FEW)]
    return lines


def _table(
    by_kind: dict[str, list[Judged]], cases: list[list[Judged]], flow: dict[float, Agreement]
) -> list[str]:
    real = by_kind["full"] + by_kind["batch"]
    diabetes, few = by_kind["diabetes"], by_kind["few"]
    everything = real + diabetes
    gradients = [j.gradients for j in by_kind["batch"]]
    lines = ["| measure | asked | measured |", "| --- | --- | --- |"]
    for k, material in enumerate(MATERIALS):
        worst = max(cases, key=lambda found: _part_open(found, k))
        asked = (20, 45)[k]
        lines += [
            f"| not judged at {material:g}: digits, breast-cancer, wine | 2 % | {_open(real, k)} |",
            f"| the same: the worst of these cases | 2 % | {_open(worst, k)} |",
            f"| the same: diabetes 16 | {asked} % | {_open(diabetes, k)} |",
        ]
    lines += [
        f"| judging / training, full batch | 0.5 | {_cost(by_kind['full'])} |",
        f"| diabetes 16 | 1 | {_cost(diabetes)} |",
        f"| batches of 64, in gradients on all examples | 300 | {mean(gradients):.0f} "
        f"({min(gradients):.0f} to {max(gradients):.0f}) |",
        f"| xor 2, the dearest under 20 parameters | 1 | {_cost(few[: len(FEW[0].rates)])} |",
        f"| the others under 20 parameters | 1 | {_cost(few[len(FEW[0].rates) :])} |",
        f"| wrong against 8 times the budget, spent | 0.5 % | {_wrong(_agreement(everything))} |",
    ]
    lines += [
        f"| not as pure gradient flow, at {material:g} | 1 % | {_wrong(agreement)} |"
        for material, agreement in flow.items()
    ]
    return lines


def _stability_rows(unstable: Iterable[list[int]]) -> list[str]:
    return [
        f"| P(unstable) of {name} at {rate:g}, {_LENGTHS[0]:,} and {_LENGTHS[1]:,} steps "
        f"| 5 % | {' and '.join(_share(count, _RESTARTS) for count in counts)} |"
        for (name, rate), counts in zip(_CYCLING, unstable, strict=True)
    ]


def _unstable(optimizer: str, rate: float) -> list[int]:
    problem = get_problem("mlp", data="breast-cancer", hidden=[8], weight_decay=1e-3)
    w0 = starts(problem, restarts=_RESTARTS, seed=0)
    counts = []
    for steps in _LENGTHS:
        rule = get_optimizer(optimizer)
        run = train(problem, rule, learning_rate=rate, starts=w0, steps=steps)
        counts.append(int(classify(problem, run).unstable.sum()))
    return counts


def _wide_row() -> str:
    wide = judge_wide()
    basins = ", ".join(f"{count} {basin}" for basin, count in wide["basins"].items())
    cost = wide["judging"] / wide["training"]
    return (
        f"| {wide['parameters']:,} parameters, 32 restarts: memory beyond the training's "
        f"| 1,000 MB | {wide['megabytes']:.0f} MB; {basins}; {cost:.2f} trainings |"
    )


def _case_row(name: str, found: list[Judged]) -> str:
    cells = [
        name,
        str(sum(j.restarts for j in found)),
        ", ".join(str(sum(j.open[k] for j in found)) for k in range(len(MATERIALS))),
        ", ".join(str(sum(j.trapped[k] for j in found)) for k in range(len(MATERIALS))),
        f"{_cost(found)} ({', '.join(f'{j.judging / j.training:.2f}' for j in found)})",
        ", ".join(f"{j.gradients:,.0f}" for j in found),
        _wrong(_agreement(found)),
    ]
    return f"| {' | '.join(cells)} |"


def _agreement(found: list[Judged]) -> Agreement:
    none = Agreement(0, 0, 0)
    return reduce(Agreement.plus, (j.agreement for j in found), none)


def _wrong(agreement: Agreement) -> str:
    if not agreement.both:
        return "-"
    return f"{_share(agreement.differ, agreement.both)}; {agreement.astray} but for J*"


def _part_open(found: list[Judged], material: int) -> float:
    return sum(j.open[material] for j in found) / sum(j.restarts for j in found)


def _open(found: list[Judged], material: int) -> str:
    return _share(sum(j.open[material] for j in found), sum(j.restarts for j in found))


def _cost(found: list[Judged]) -> str:
    return f"{sum(j.judging for j in found) / sum(j.training for j in found):.2f}"


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%} ({count} of {total})"
