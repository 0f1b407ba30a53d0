"""What the pictures of `examples/outcomes.py` are drawn with."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from tuning.report.plots.style import GREY, INK, SIZE, figure, frame

__all__ = ["contour", "limit", "name", "note", "pair", "small", "valley", "walk"]


def pair(title: str, rule: str):
    """A figure with two framed axes, named by the label and by its rule."""
    drawn = figure(8.6, 3.0)
    axes = drawn.subplots(1, 2)
    for ax, text, weight in zip(axes, (title, rule), ("bold", "normal"), strict=True):
        frame(ax)
        ax.set_title(text, loc="left", fontsize=SIZE + 0.5, color=INK, fontweight=weight)
    return drawn, *axes


def name(ax, x: str, y: str) -> None:
    ax.set_xlabel(x, fontsize=SIZE, color=INK)
    ax.set_ylabel(y, fontsize=SIZE, color=INK)


def note(ax, text: str, at: tuple[float, float], colour: str = INK, ha: str = "right") -> None:
    """`text` at a point given in fractions of the axes."""
    ax.text(*at, text, transform=ax.transAxes, ha=ha, va="center", fontsize=SIZE, color=colour)


def limit(ax, value: float, text: str) -> None:
    """A dashed line at a threshold, with its name on it."""
    ax.axhline(value, color=INK, linewidth=1.2, linestyle=(0, (5, 3)))
    ax.annotate(
        text, (1.0, value), (-3, 4), ("axes fraction", "data"), "offset points",
        ha="right", va="bottom", fontsize=SIZE - 0.5, color=INK,
    )  # fmt: skip


def valley(ax, problem, path, low: float, high: float, colour: str, count: int = 40) -> None:
    """J(w) of one weight, and the first steps of a walk on it."""
    w = np.linspace(low, high, 400)
    ax.plot(w, problem.loss_and_gradient(w[:, None])[0], color=GREY, linewidth=1.4)
    walk = path[:count, 0]
    J = problem.loss_and_gradient(path[:, 0])[0][:count]
    ax.plot(walk[:, 0], J, color=colour, linewidth=0.9, alpha=0.8, clip_on=True)
    ax.plot(walk[:, 0], J, ".", color=colour, markersize=6)
    ax.plot(walk[0, 0], J[0], "o", color="white", markeredgecolor=INK, markersize=6)
    name(ax, "weight w", "loss J(w)")


def contour(ax, problem, x, y, levels) -> None:
    """Lines of equal loss over two weights."""
    X, Y = np.meshgrid(np.linspace(*x, 121), np.linspace(*y, 121))
    J = problem.loss_and_gradient(np.column_stack([X.ravel(), Y.ravel()]))[0]
    ax.contour(X, Y, J.reshape(X.shape), levels, colors="#c3c9d1", linewidths=0.8)
    ax.set(xlim=x, ylim=y)


def walk(ax, done, colour: str, end: str = "o") -> None:
    path = done.path[:, 0]
    ax.plot(path[:, 0], path[:, 1], ".-", color=colour, linewidth=1.0, markersize=3)
    ax.plot(*path[0], "o", color="white", markeredgecolor=INK, markersize=6)
    ax.plot(*path[-1], end, color=colour, markeredgecolor=INK, markersize=9, zorder=5)


def small(data: bytes) -> bytes:
    """The same PNG in 64 colours: a fifth of the size."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()
