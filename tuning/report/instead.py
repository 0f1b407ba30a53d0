"""What is said where a number or a picture would say nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from trainers import Dynamics
from tuning.report.formatting import count, number, rate
from tuning.report.labels import stack, still_descending
from tuning.report.model import BestStable, Report, SettingRow, Status

__all__ = ["loss", "nothing_judged", "trapped"]


def loss(report: Report, value: float | None) -> str:
    """A loss, or "at the minimum" where its digits say nothing."""
    exact = value is not None and report.at_minimum(value)
    return "at the minimum" if exact else number(value)


def nothing_judged(rows: Sequence[SettingRow]) -> str | None:
    """Why a picture of where the restarts of `rows` ended would be all grey; None if it would not
    be."""
    joint = Counter[str]()
    for row in rows:
        joint.update(row.joint)
    total = joint.total()
    if not total or stack(joint)["not judged"] < total:
        return None
    doing = Counter[str]()
    for labels, restarts in joint.items():
        doing[labels.partition("/")[0]] += restarts
    parts = ", ".join(f"{count(n)} were {name}" for name, n in doing.most_common())
    steps = doing[Dynamics.DESCENDING] > total / 2
    return (
        f"None of {count(total)} restarts could be judged at any rate, so a picture would be all "
        f"grey: when the steps ended {parts}." + (" More steps would tell." if steps else "")
    )


def trapped(report: Report, best: BestStable) -> str:
    """How often the restarts that `best` is told of are trapped, or why that is not known."""
    told = report.confirmations if best.status is Status.CONFIRMED else report.settings
    which = (best.optimizer, best.learning_rate)
    mine = [row for row in told if (row.optimizer, row.learning_rate) == which]
    return rate(best.trapped, sum(still_descending(row.joint) for row in mine))
