"""A curve drawn with characters: in Braille, eight dots each, or with the two heights of ASCII."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainers.problem import FloatArray, IntArray

__all__ = ["character_plot"]

_WIDTH, _HEIGHT = 60, 8  # characters
_LOG = 10.0  # from this ratio of the highest to the lowest on
_REACH = 30.0  # a threshold so far off is still shown
_JUMP = 3  # dots, from which on two points are not joined
_BRAILLE = 0x2800
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_ASCII = {0: " ", 1: "'", 2: ".", 3: ":"}
_ASCII_DOTS = np.array([[1], [2]])


def character_plot(
    steps: IntArray,
    values: FloatArray,
    marks: Mapping[str, float],
    *,
    tail: int,
    ascii_only: bool = False,
) -> list[str]:
    """`values` (K,) over `steps` (K,) as 60 x 8 characters in a frame, on a logarithmic scale where
    they span more than a factor of ten and are all positive.

    Args:
        marks: name -> height of a line across, drawn where it is near.
        tail: the step at which the axis has a tick.
    """
    there = np.isfinite(values)
    steps, values = steps[there], values[there]
    if not len(values):
        return ["no loss is finite"]
    low, high = float(values.min()), float(values.max())
    log = low > 0 and high > _LOG * low
    shown = {name: y for name, y in marks.items() if _near(y, low, high) and (not log or y > 0)}
    low, high = min([low, *shown.values()]), max([high, *shown.values()])
    dots = _ASCII_DOTS if ascii_only else _DOTS
    rows, columns = _HEIGHT * len(dots), _WIDTH * dots.shape[1]

    def up(y: FloatArray | float) -> IntArray:
        """0 at the top row of dots, `rows` - 1 at the lowest."""
        a, b, at = (np.log(v) if log else np.asarray(v) for v in (low, high, y))
        share = (b - at) / (b - a) if b > a else np.full(np.shape(at), 0.5)
        return np.asarray(np.rint(share * (rows - 1)), dtype=np.intp)

    cells = _cells(_across(steps, columns), up(values), dots)
    lines = {int(up(y)) // len(dots): f"{name} = {y:.3g}" for name, y in shown.items()}
    dash, side, floor, tick = ("-", "|", "-", "+") if ascii_only else ("┄", "│", "─", "┴")
    labels = (
        {_HEIGHT - 1: f"{low:.3g}", 0: f"{high:.3g}"}
        if high > low
        else {_HEIGHT // 2: f"{low:.3g}"}
    )
    drawn = []
    for row, codes in enumerate(cells):
        empty = dash if row in lines else " "
        curve = "".join(
            empty if not code else _ASCII[code] if ascii_only else chr(_BRAILLE + code)
            for code in codes.tolist()
        )
        named = f" {lines[row]}" if row in lines else ""
        drawn.append(f"{labels.get(row, ''):>9} {side}{curve}{named}".rstrip())
    at = _across(np.array([steps[0], max(tail, steps[0]), steps[-1]]), _WIDTH)[1]
    axis = "".join(tick if column == at else floor for column in range(_WIDTH))
    first, last = f"step {steps[0]:,}", f"{steps[-1]:,}"
    return [*drawn, f"{'':9} {side}{axis}", f"{'':11}{first}{last:>{_WIDTH - len(first)}}"]


def _near(y: float, low: float, high: float) -> bool:
    return bool(low / _REACH <= y <= high * _REACH)


def _across(steps: IntArray, columns: int) -> IntArray:
    """The column of each step."""
    width = max(int(steps[-1] - steps[0]), 1)
    return np.asarray(np.rint((steps - steps[0]) / width * (columns - 1)), dtype=np.intp)


def _cells(across: IntArray, up: IntArray, dots: IntArray) -> IntArray:
    """(8, 60): which dots of each character are set. Points are joined where that is no jump."""
    tall, wide = dots.shape
    cells = np.zeros((_HEIGHT, _WIDTH), dtype=np.intp)
    places = set(zip(across.tolist(), up.tolist(), strict=True))
    for i in np.flatnonzero(np.abs(np.diff(up)) <= _JUMP):
        x = np.arange(across[i], across[i + 1])
        y = np.rint(np.interp(x, across[i : i + 2], up[i : i + 2])).astype(np.intp)
        places |= set(zip(x.tolist(), y.tolist(), strict=True))
    for right, down in places:
        cells[down // tall, right // wide] |= dots[down % tall, right % wide]
    return cells
