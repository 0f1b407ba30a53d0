"""J over its one weight and the walks on it, with a slider over the learning rate: settling,
overshooting, being trapped."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from tuning.report.figures.style import INK, canvas, colour_of, nothing, safe
from tuning.report.formatting import number
from tuning.report.labels import BLUE, ORANGE
from tuning.report.model import LossProfile, Paths, Report
from tuning.report.plots.path_summary import story

__all__ = ["path"]

_TITLE = "The way down J(w)"
_STEPS = 200  # more would only blacken what is there


def path(report: Report) -> go.Figure:
    """The walks of a few restarts at each rate that was tried first and at the recommended one; a
    walk ends where it leaves what is drawn of J."""
    land = report.landscape
    if land is None or not land.paths:
        many = report.problem.get("parameters")
        why = f"this one has {many} weights" if many else "of this one it is not known"
        return nothing(_TITLE, f"J(w) is drawn for problems with one weight: {why}")
    drawn = canvas(_TITLE)
    _ground(drawn, land)
    fixed = len(drawn.data)
    shown = _first(report, land)
    steps = []
    for i, walks in enumerate(land.paths):
        before = len(drawn.data)
        for k, w in enumerate(walks.w.T):
            _walk(drawn, w, k, land, visible=i == shown)
        steps.append((walks, range(before, len(drawn.data))))
    total = len(drawn.data)
    drawn.update_layout(
        title_text=_said(land.paths[shown], land),
        sliders=[
            {
                "active": shown,
                "currentvalue": {"prefix": "learning rate: "},
                "pad": {"t": 50},
                "steps": [
                    {
                        "label": f"{safe(walks.optimizer)} {number(walks.learning_rate)}",
                        "method": "update",
                        "args": [
                            {"visible": [k < fixed or k in mine for k in range(total)]},
                            {"title.text": _said(walks, land)},
                        ],
                    }
                    for walks, mine in steps
                ],
            }
        ],
    )
    drawn.update_xaxes(title_text="weight w", range=[float(land.w[0]), float(land.w[-1])])
    starts = np.concatenate([walks.w[0] for walks in land.paths])
    lowest, highest = float(land.loss.min()), float(np.interp(starts, land.w, land.loss).max())
    room = 0.1 * (highest - lowest)
    drawn.update_yaxes(title_text="loss J(w)", range=[lowest - room, highest + room])
    return drawn


def _first(report: Report, land: LossProfile) -> int:
    """The recommended rate's walks, if they are there."""
    best = report.best_stable
    for i, walks in enumerate(land.paths):
        if best is not None and (walks.optimizer, walks.learning_rate) == (
            best.optimizer,
            best.learning_rate,
        ):
            return i
    return 0


def _said(walks: Paths, land: LossProfile) -> str:
    rate = f"{safe(walks.optimizer)} at {number(walks.learning_rate)}"
    return f"{_TITLE}, {rate}: {safe(story(walks, land))}"


def _ground(drawn: go.Figure, land: LossProfile) -> None:
    drawn.add_scatter(
        x=land.w, y=land.loss, mode="lines", line={"color": INK, "width": 2}, name="J(w)"
    )
    for name, symbol, colour, bottoms in (
        ("global minimum", "star", BLUE, land.global_minima),
        ("local minimum", "circle", ORANGE, land.local_minima),
    ):
        if bottoms.size:
            drawn.add_scatter(
                x=bottoms,
                y=np.interp(bottoms, land.w, land.loss),
                mode="markers",
                marker={"symbol": symbol, "color": colour, "size": 15},
                name=name,
            )


def _walk(
    drawn: go.Figure,
    w: np.ndarray[tuple[int], np.dtype[np.float64]],
    restart: int,
    land: LossProfile,
    *,
    visible: bool,
) -> None:
    inside = np.isfinite(w) & (w >= land.w[0]) & (w <= land.w[-1])
    left = np.flatnonzero(~inside)
    walked = w[: left[0] if left.size else len(w)][: _STEPS + 1]
    drawn.add_scatter(
        x=walked,
        y=np.interp(walked, land.w, land.loss),
        mode="lines+markers",
        line={"color": colour_of(1 + restart), "width": 1},
        marker={"size": [12, *[6] * (len(walked) - 1)][: len(walked)]},
        customdata=np.arange(len(walked)),
        hovertemplate="step %{customdata}: w = %{x:.4g}, J = %{y:.4g}<extra></extra>",
        name=f"restart {restart}",
        visible=visible,
    )
