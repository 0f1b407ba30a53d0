"""What the script of the page draws from: plain JSON, short, every number to four digits.

What is written in the table is not here again: the script reads it there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuning.report.formatting import interval, number, plain
from tuning.report.instead import nothing_judged
from tuning.report.labels import STACKS, STATUS_COLOURS, stack
from tuning.report.model import LossProfile, Report, SettingRow, Status
from tuning.report.plot_data import QuantileCurves, SharpnessCurves
from tuning.report.text import sorted_settings
from tuning.report.theory import curvature_limits
from tuning.statistics.cliff import Cliff

__all__ = ["page_data"]

_MOST_POINTS = 50  # of a curve: two pixels apart on a phone
_GROUND_POINTS = 201  # of J(w)
_DIGITS = 4

FloatArray = NDArray[np.float64]


def page_data(report: Report) -> str:
    """JSON that may stand within a script element: no `<` is in it."""
    groups = sorted_settings(report.settings)
    best = report.best_stable
    # The recommended optimizer first: on a phone the first panel is all that is seen.
    names = sorted(groups, key=lambda name: best is None or name != best.optimizer)
    limits = curvature_limits(report)
    others = (*report.confirmations, *report.rivals)
    shown = {row.number for row in (*report.settings, *others)}
    data = {
        "stacks": STACKS,
        "statuses": {str(status): colour for status, colour in STATUS_COLOURS.items()},
        "optimizers": [
            {
                "name": plain(name),
                "cliff": _cliff(report.cliffs.get(name)),
                "limit": _digits(limits.get(name)),
                "grey": nothing_judged(groups[name]),
                "stable": any(row.status.stable for row in groups[name]),
            }
            for name in names
        ],
        "settings": [_setting(row, names.index(row.optimizer)) for row in report.settings],
        "others": [_outcomes(row) for row in others],
        "curves": {n: _curves(of) for n, of in report.curves.items() if n in shown},
        "sharpness": {
            n: _curves(of) | {"limit": _digits(of.limit)} for n, of in report.sharpness.items()
        },
        "best": None
        if best is None
        else {
            "number": best.number,
            "optimizer": names.index(best.optimizer) if best.optimizer in names else None,
            "rate": best.learning_rate,
            "margin": best.margin,
            "said": "recommended" if best.status is Status.CONFIRMED else str(best.status),
        },
        "losses": {
            "best": _digits(report.best_loss),
            "known": report.best_loss_is_known,
            "start": _digits(report.start_loss),
            "tolerance": _digits(report.tolerance),
            "target": _digits(report.target.loss),
        },
        "minima": [
            {
                "loss": number(m.loss, 4),
                "height": _digits(m.loss),
                "above": _digits(m.above_best),
                "count": m.count,
                "global": bool(m.is_global),
                "flat": bool(m.flat),
                "sharpness": _digits(m.largest_curvature),
                "by": m.found_by,
            }
            for m in report.minima
        ],
        "ground": None if report.landscape is None else _ground(report.landscape, names),
    }
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _setting(row: SettingRow, optimizer: int) -> dict[str, Any]:
    return _outcomes(row) | {
        "optimizer": optimizer,
        "rate": row.learning_rate,
        "status": str(row.status),
        "loss": _digits(row.loss),
        "cost": _digits(row.cost),
    }


def _outcomes(row: SettingRow) -> dict[str, Any]:
    """The restarts in each of `STACKS`, in its order."""
    return {"number": row.number, "outcomes": list(stack(row.joint).values())}


def _cliff(cliff: Cliff | None) -> dict[str, Any] | None:
    if cliff is None:
        return None
    said = f"cliff {number(cliff.estimate)} {interval(cliff.low, cliff.high)}"
    if cliff.estimate is None:
        said = (
            "no cliff: P(unstable) does not only rise"
            if cliff.ring is not None
            else "unstable already at the lowest rate"
            if cliff.low is None and cliff.high is not None
            else "no cliff up to the highest rate"
        )
    return {
        "estimate": cliff.estimate,
        "low": cliff.low,
        "high": cliff.high,
        "failing": cliff.lowest_failing,
        "said": said,
        "curve": [
            _list([point.rate, 1 - point.fitted, 1 - point.high, 1 - point.low])
            for point in cliff.curve
        ],
    }


def _curves(of: QuantileCurves | SharpnessCurves) -> dict[str, Any]:
    shown = np.unique(np.linspace(0, len(of.steps) - 1, _MOST_POINTS).round().astype(int))
    return {
        "steps": of.steps[shown].tolist(),
        **{name: _list(getattr(of, name)[shown]) for name in ("p10", "p50", "p90")},
    }


def _ground(land: LossProfile, names: list[str]) -> dict[str, Any]:
    shown = np.unique(np.linspace(0, len(land.w) - 1, _GROUND_POINTS).round().astype(int))
    return {
        "w": _list(land.w[shown]),
        "loss": _list(land.loss[shown]),
        "global": _list(land.global_minima),
        "local": _list(land.local_minima),
        "sweep": [
            {
                "optimizer": names.index(path.optimizer),
                "rate": path.learning_rate,
                "walks": [_list(walk) for walk in path.w.T],
            }
            for path in land.sweep
            if path.optimizer in names
        ],
    }


def _list(values: Iterable[float] | FloatArray) -> list[float | None]:
    return [_digits(value) for value in values]


def _digits(value: float | None) -> float | None:
    """To four digits; None for what is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS - 1}e}")
