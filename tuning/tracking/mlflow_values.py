"""What is in a run, as MLflow's values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from tuning.tracking.run import Run

if TYPE_CHECKING:
    from mlflow.entities import Metric

__all__ = ["chunks", "last_step", "metrics_of", "milliseconds", "scalars"]

T = TypeVar("T")


def metrics_of(run: Run) -> list[Metric]:
    """All scalars and points of `run` that are finite, dated."""
    from mlflow.entities import Metric

    start, end = map(milliseconds, run.seconds)
    last = last_step(run) or 1
    return scalars({**run.metrics, **run.late}, run.seconds[0]) + [
        Metric(name, float(value), start + (end - start) * int(step) // int(last), int(step))
        for name, curve in run.curves.items()
        for step, value in takewhile(lambda point: math.isfinite(point[1]), curve)
    ]


def last_step(run: Run) -> int:
    """Of its longest curve; 0 without one."""
    return max((step for curve in run.curves.values() for step, _ in curve), default=0)


def scalars(values: Mapping[str, float], when: float) -> list[Metric]:
    """Those of `values` that are finite, at step 0."""
    from mlflow.entities import Metric

    date = milliseconds(when)
    return [Metric(n, float(v), date, 0) for n, v in values.items() if math.isfinite(v)]


def milliseconds(seconds: float) -> int:
    """As MLflow has times."""
    return round(1000 * seconds)


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """`items`, at most `size` at a time."""
    return [items[first : first + size] for first in range(0, len(items), size)]
