"""The ready view of an experiment in MLflow's UI.

It is a tag of the experiment that the UI reads. Its form is an internal of that UI (3.17: the
`viewStateShareKey` code in its bundle), which is why MLflow is pinned to one minor version and a
test opens the view in a browser. Runs that fit it have the params `optimizer` and `learning_rate`;
the scalars `log10_lr`, `unstable`, `trapped` and `loss`; the curve `loss/p50`; the tags `outcome`
and `status`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["VIEW_KEY", "view_path", "view_tags"]

VIEW_KEY = "surefoot"
COLUMNS = (
    "params.`optimizer`",
    "params.`learning_rate`",
    "tags.`outcome`",
    "tags.`status`",
    "metrics.`unstable`",
    "metrics.`trapped`",
    "metrics.`loss`",
)
SECTION = "Surefoot"
# The UI adds a chart of every metric to these sections: folded, they are out of the way.
FOLDED = ("loss", "Model metrics")


def view_path(experiment_id: str) -> str:
    """Where the view of an experiment is, below the address of an MLflow server."""
    return (
        f"/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
        f"&viewStateShareKey={VIEW_KEY}&compareRunsMode=CHART"
    )


def view_tags() -> dict[str, str]:
    """The tag of an experiment that holds the view."""
    return {f"mlflow.sharedViewState.{VIEW_KEY}": json.dumps(_view(), separators=(",", ":"))}


def _view() -> dict[str, Any]:
    return {
        "selectedColumns": list(COLUMNS),
        "orderByKey": "metrics.`log10_lr`",
        "orderByAsc": True,
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "compareRunSections": [
            {"uuid": SECTION, "name": SECTION, "display": True, "columns": 2, "cardHeight": 330},
            *({"uuid": name, "name": name, "display": False} for name in FOLDED),
        ],
        "compareRunCharts": [
            _line("loss/p50"),
            _scatter("unstable"),
            _scatter("trapped"),
            _scatter("log10_loss"),
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


def _line(metric: str) -> Mapping[str, object]:
    # The UI takes no defaults for what is absent here: each of these keys is needed.
    return _chart(
        "LINE",
        metric,
        metricKey=metric,
        selectedMetricKeys=[metric],
        scaleType="log",
        xAxisScaleType="linear",
        xAxisKey="step",
        useGlobalXaxisKey=False,
        selectedXAxisMetricKey="",
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
