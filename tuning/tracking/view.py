"""The ready view of an experiment in MLflow's UI.

It is a tag of the experiment that the UI reads. Its form is an internal of that UI (3.17: the
`viewStateShareKey` code in its bundle), which is why MLflow is pinned to one minor version and a
test opens the view in a browser. Runs that fit it have the param `optimizer`; the scalars
`learning_rate`, `log10_lr`, `unstable`, `trapped` and `loss`, and at the end `rank`, by which they
are sorted; the curve `loss/p50`; the tags `outcome` and `status`. A run for each optimizer holds
all its settings as points, by their rate: the curves `all/log10_lr`, `all/loss` and `all/unstable`.
The UI loads 100 runs, so that no other chart shows every setting of a large job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["VIEW_KEY", "report_path", "view_path", "view_tags"]

VIEW_KEY = "surefoot"
COLUMNS = (
    "params.`optimizer`",
    "metrics.`learning_rate`",
    "tags.`outcome`",
    "tags.`status`",
    "metrics.`unstable`",
    "metrics.`trapped`",
    "metrics.`loss`",
)
SECTION = "Surefoot"
# The UI adds a chart of every metric to these sections: folded, they are out of the way.
FOLDED = ("all", "count", "loss", "sharpness", "Model metrics")
#: As x of the charts that show every setting; the UI has no log axis where x is a metric.
RATE = "all/log10_lr"
#: From so many settings on, curves are drawn of the best 20 runs, which the UI can be told.
MANY = 20


def view_path(experiment_id: str) -> str:
    """Where the view of an experiment is, below the address of an MLflow server."""
    return (
        f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        f"&viewStateShareKey={VIEW_KEY}&compareRunsMode=CHART"
    )


def report_path(experiment_id: str, run_id: str) -> str:
    """Where the report that is the file `report.html` of a run is shown."""
    return (
        f"/#/experiments/{experiment_id}/runs/{run_id}/artifacts/report.html"
        "?workflowType=machine_learning"
    )


def view_tags(settings: int) -> dict[str, str]:
    """The tag of an experiment that holds the view.

    Args:
        settings: how many it has, when all are there; 0 before.
    """
    view = json.dumps(_view(settings), separators=(",", ":"))
    return {f"mlflow.sharedViewState.{VIEW_KEY}": view}


def _view(settings: int) -> dict[str, Any]:
    many = settings >= MANY
    against_rate = [_scatter(name) for name in ("unstable", "trapped", "log10_loss")]
    every = [_line("all/loss", x=RATE), _line("all/unstable", x=RATE, scale="linear")]
    return {
        "selectedColumns": list(COLUMNS),
        "orderByKey": "metrics.`rank`",
        "orderByAsc": True,
        "runsHiddenMode": "FIRST_20_RUNS" if many else "SHOW_ALL",
        "isAccordionReordered": True,
        "compareRunSections": [
            {"uuid": SECTION, "name": SECTION, "display": True, "columns": 2, "cardHeight": 330},
            *({"uuid": name, "name": name, "display": False} for name in FOLDED),
        ],
        "compareRunCharts": [
            *(every if settings else []),
            _line("loss/p50"),
            # Of the best 20 alone they would show no cliff.
            *([] if many else against_rate),
            _parallel(["optimizer"], ["log10_lr", "unstable", "trapped", "log10_loss"]),
        ],
    }


def _chart(kind: str, name: str, **details: object) -> Mapping[str, object]:
    # The default number of runs to compare is 10.
    return {
        "type": kind,
        "uuid": f"{SECTION}-{name}",
        "metricSectionId": SECTION,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
        **details,
    }


def _line(metric: str, *, x: str | None = None, scale: str = "log") -> Mapping[str, object]:
    """A curve of each run; over its steps, or over its metric `x`."""
    # The UI takes no defaults for what is absent here: each of these keys is needed.
    return _chart(
        "LINE",
        metric,
        metricKey=metric,
        selectedMetricKeys=[metric],
        scaleType=scale,
        xAxisScaleType="linear",
        xAxisKey="metric" if x else "step",
        useGlobalXaxisKey=False,
        selectedXAxisMetricKey=x or "",
        yAxisKey="metric",
        yAxisExpressions=[],
        range={},
        lineSmoothness=0,
        useGlobalLineSmoothing=False,
        ignoreOutliers=False,
    )


def _scatter(metric: str) -> Mapping[str, object]:
    axes = {"xaxis": "log10_lr", "yaxis": metric}
    return _chart(
        "SCATTER", metric, **{axis: {"key": key, "type": "METRIC"} for axis, key in axes.items()}
    )


def _parallel(params: Sequence[str], metrics: Sequence[str]) -> Mapping[str, object]:
    return _chart(
        "PARALLEL", "settings", selectedParams=params, selectedMetrics=metrics, showAllRuns=False
    )
