"""What all figures share: how they look, and a panel for each optimizer."""

from __future__ import annotations

import html
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tuning.report.formatting import plain
from tuning.report.labels import PALETTE

__all__ = ["FAINT", "INK", "SYMBOLS", "canvas", "colour_of", "nothing", "panels", "safe", "sizes"]

INK, FAINT = "#1b1f24", "#e6e9ed"
#: Told apart without colours.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star-triangle-down")
_LARGEST, _SMALLEST = 16.0, 6.0  # pixels across
_HEIGHT = 380  # pixels, of one row of panels


def safe(text: object) -> str:
    """What a user wrote, in one line, of which Plotly takes nothing for markup."""
    return html.escape(plain(text), quote=False)


def colour_of(index: int) -> str:
    """Of the optimizer that was tried first, second, ..."""
    return PALETTE[index % len(PALETTE)]


def sizes(restarts: Sequence[int]) -> list[float]:
    """Pixels across: areas go with the restarts, down to where a point can still be seen."""
    most = max(restarts, default=1)
    return [max(_LARGEST * (n / most) ** 0.5, _SMALLEST) for n in restarts]


def canvas(title: str) -> go.Figure:
    """An empty figure with one pair of axes."""
    return _dressed(go.Figure(), title, 1)


def panels(names: Sequence[str], title: str) -> tuple[go.Figure, list[dict[str, int]]]:
    """A figure with axes for each of `names`, which share their scales; and the row and column of
    each."""
    columns = 1 if len(names) == 1 else 2
    rows = -(-len(names) // columns)
    drawn = make_subplots(
        rows=rows,
        cols=columns,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[f"<b>{safe(name)}</b>" for name in names],
        horizontal_spacing=0.05,
        vertical_spacing=0.22 / rows,
    )
    places = [{"row": 1 + i // columns, "col": 1 + i % columns} for i in range(len(names))]
    return _dressed(drawn, title, rows), places


def nothing(title: str, why: str) -> go.Figure:
    """In the place of a figure that would be empty: why it would be."""
    drawn = canvas(title)
    drawn.update_xaxes(visible=False)
    drawn.update_yaxes(visible=False)
    drawn.add_annotation(
        text=safe(why), x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font_size=14
    )
    return drawn


def _dressed(drawn: go.Figure, title: str, rows: int) -> go.Figure:
    drawn.update_layout(
        template="plotly_white",
        title={"text": title, "x": 0, "xref": "paper", "font_size": 16},
        font={"color": INK, "size": 12},
        height=_HEIGHT * rows + 80,
        margin={"l": 70, "r": 30, "t": 90, "b": 60},
        hoverlabel={"align": "left"},
        legend={"itemsizing": "constant"},
    )
    # Also where the panel below is empty.
    drawn.update_xaxes(showticklabels=True, exponentformat="power")
    drawn.update_yaxes(exponentformat="power")
    return drawn
