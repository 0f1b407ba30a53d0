"""The search for the cliff against known truths: campaigns on starts with known thresholds, by the
real coordinator and a synthetic trainer, and quadratics whose limit is a formula.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

import tuning
from tests.support.thresholds import KINDS, Starts, carry_out
from tuning.analysis.build import build_report
from tuning.report.model import Report, RunFacts, Status
from tuning.spec.job import read_spec

__all__ = ["search"]

#: Of each distribution. A twentieth of them takes minutes and says as much, less sharply.
CAMPAIGNS = int(os.environ.get("SUREFOOT_CAMPAIGNS", "400"))
_PROBLEM = {"known_minimum": 0.0, "parameters": 2, "name": "made"}
_RUN = RunFacts("benchmark", "", 0.0, 0.0, 0.0, 0, {})


@dataclass(frozen=True)
class _Campaign:
    """How one came out; rates as parts of the largest safe one."""

    off: float  # decades
    width: float
    covers: bool
    recommended: float
    too_unstable: bool
    confirmed: bool


def _campaign(kind: str, seed: int, restarts: int) -> _Campaign:
    spec = read_spec(
        {
            "problem": {"name": "single-weight"},
            "search": {"learning_rate": {"low": 1e-3, "high": 10.0}, "try_first": []},
            "budget": {"restarts": restarts},
            "stability": {"margin": 1.0},
        }
    )
    starts = Starts(kind, seed)
    report = build_report(spec, _PROBLEM, carry_out(spec, starts), _RUN)
    cliff, best, truth = report.cliffs["gd"], report.best_stable, starts.cliff()
    low, high = cliff.low or 1e-3, cliff.high or 10.0
    confirmed = best is not None and best.status is Status.CONFIRMED
    return _Campaign(
        off=abs(math.log10(cliff.estimate / truth)) if cliff.estimate else math.inf,
        width=math.log10(high / low),
        covers=low <= truth <= high,
        recommended=best.learning_rate / truth if best is not None else 0.0,
        too_unstable=best is not None and starts.unstable(best.learning_rate) > 0.05,
        confirmed=confirmed,
    )


def _campaigns(restarts: int) -> list[str]:
    lines = [
        f"{CAMPAIGNS} campaigns of {restarts:,} restarts for each distribution of the starts' "
        "thresholds, at margin 1:",
        "",
        "| | off, decades, median | interval's width, median | covers | recommended / safe, median "
        "| too unstable | none confirmed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind in KINDS:
        found = [_campaign(kind, seed, restarts) for seed in range(CAMPAIGNS)]
        confirming = restarts >= 1024
        counted = [c for c in found if c.confirmed or not confirming]
        rates = [c.recommended if c in counted else 0.0 for c in found]
        lines.append(
            f"| {kind} | {np.median([c.off for c in found]):.3f} "
            f"| {np.median([c.width for c in found]):.2f} "
            f"| {_share([c.covers for c in found])} | {np.median(rates):.2f} "
            f"| {_share([c.too_unstable and c in counted for c in found])} "
            f"| {_share([not c.confirmed for c in found])} |"
        )
    return [*lines, ""]


def _share(flags: Sequence[bool]) -> str:
    """With its 95 % Clopper-Pearson interval."""
    count, total = sum(flags), len(flags)
    found = scipy.stats.binomtest(count, total).proportion_ci(0.95)
    return f"{100 * count / total:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _quadratics() -> list[str]:
    limits = {
        "gd": 2 / 100,
        "momentum": 2 * 1.9 / 100,
        "momentum(beta=0.5)": 2 * 1.5 / 100,
        "nesterov": 2 * 1.9 / 2.8 / 100,
        "nesterov(beta=0.5)": 2 * 1.5 / 2 / 100,
    }
    report: Report = tuning.tune(
        problem={"name": "quadratic", "curvatures": [1.0, 100.0]},
        search={
            "optimizers": [
                "gd",
                "momentum",
                {"name": "momentum", "beta": 0.5},
                "nesterov",
                {"name": "nesterov", "beta": 0.5},
            ],
            "learning_rate": {"low": 1e-4, "high": 1.0},
        },
        training={"steps": 2000},
        workers="inline",
    )
    lines = [
        "Quadratics of condition 100, 2,000 steps (asked: within 2 % of the formula, in an "
        "interval 5 % wide at most):",
        "",
        "| | limit | cliff | interval | off | width |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, limit in limits.items():
        cliff = report.cliffs[name]
        if cliff.estimate is None or cliff.low is None or cliff.high is None:
            lines.append(f"| {name} | {limit:.4g} | {cliff.explanation} | | | |")
            continue
        inside = "" if cliff.low <= limit <= cliff.high else ", without the limit"
        lines.append(
            f"| {name} | {limit:.4g} | {cliff.estimate:.4g} "
            f"| {cliff.low:.4g} to {cliff.high:.4g}{inside} "
            f"| {100 * abs(cliff.estimate / limit - 1):.1f} % "
            f"| {100 * (cliff.high / cliff.low - 1):.1f} % |"
        )
    return [*lines, ""]


def search() -> list[str]:
    """Lines of Markdown."""
    return [*_quadratics(), *_campaigns(1536), *_campaigns(384)]
