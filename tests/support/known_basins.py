"""Losses with known basins that the package does not contain, in any precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.support.brute_force_flow import Formula

__all__ = ["MADE", "endless", "inflection", "network", "unevenly_degenerate"]

Array = NDArray[np.floating]
Both = tuple[Array, Array]


def _columns(*parts: Array) -> Array:
    return np.stack(parts, axis=1)


def _turn(w: Array, basis: Array) -> Array:
    return np.asarray(np.matmul(w[:, None, :], basis.astype(w.dtype))[:, 0])


def four_wells(w: Array) -> Both:
    """Four unequal wells that no symmetry relates."""
    x, y = w.T
    loss = (x * x - 1) ** 2 + 0.7 * (y * y - 1) ** 2 + 0.3 * x + 0.2 * y + 0.25 * x * y
    return loss, _columns(
        4 * x * (x * x - 1) + 0.3 + 0.25 * y, 2.8 * y * (y * y - 1) + 0.2 + 0.25 * x
    )


_BASIS = np.linalg.qr(np.random.default_rng(5).standard_normal((6, 6)))[0]
_TILTS = np.array([0.5, -0.2, 0.1])


def turned(w: Array) -> Both:
    """Three double wells, two egg boxes and a stiff bowl, in turned coordinates."""
    u = _turn(w, _BASIS)
    a, b, c = u[:, :3], u[:, 3:5], u[:, 5:]
    tilts = _TILTS.astype(w.dtype)
    loss = ((a * a - 1) ** 2 + tilts * a).sum(axis=1) + 20 * (c * c).sum(axis=1)
    loss = loss + (b * b / 8 + np.cos(2 * b + 0.5)).sum(axis=1)
    slope = [4 * a * (a * a - 1) + tilts, b / 4 - 2 * np.sin(2 * b + 0.5), 40 * c]
    return loss, _turn(np.concatenate(slope, axis=1), _BASIS.T)


_RNG = np.random.default_rng(7)
_CENTRES, _WIDTHS = _RNG.uniform(-3, 3, (6, 3)), _RNG.uniform(0.5, 0.9, 6)
_WEIGHTS = _RNG.uniform(0.5, 1.5, 6)


def mixture(w: Array) -> Both:
    """Minus the logarithm of six Gaussians of unequal widths and weights."""
    away = w[:, None, :] - _CENTRES.astype(w.dtype)
    each = _WEIGHTS * np.exp(-(away * away).sum(axis=2) / (2 * _WIDTHS**2))
    slope = (each[:, :, None] * away / (_WIDTHS**2)[:, None]).sum(axis=1)
    total = each.sum(axis=1)
    return -np.log(total), slope / total[:, None]


def bent(w: Array) -> Both:
    """Two unequal minima, and a saddle between them at the end of a bent valley."""
    x, y, z = w.T
    off = y - x * x / 2
    loss = x**4 / 4 - x * x / 2 + x**3 / 10 + 1.5 * off * off + z * z / 2 * (1 + x * x)
    return loss, _columns(
        x**3 - x + 0.3 * x * x - 3 * off * x + z * z * x, 3 * off, z * (1 + x * x)
    )


def monkey(w: Array) -> Both:
    """A monkey saddle, whose Hessian is zero, between three equal minima of loss -27 / 4."""
    x, y = w.T
    r = x * x + y * y
    return x**3 - 3 * x * y * y + r * r / 4, _columns(
        3 * x * x - 3 * y * y + r * x, -6 * x * y + r * y
    )


def hill(w: Array) -> Both:
    """Bounded: q / (1 + q) with q = x^2 + 2 y^2. Far out it is nearly flat, yet all roads lead to
    the minimum at 0."""
    x, y = w.T
    q = x * x + 2 * y * y
    return q / (1 + q), _columns(2 * x, 4 * y) / ((1 + q) ** 2)[:, None]


def inflection(gap: float) -> Formula:
    """Slope (x + 1) ((x - 1)^2 + gap): the only minimum is at x = -1. With gap 0 the flow from
    x > 1 ends at the inflection x = 1, which is none; with a small gap it creeps past."""

    def evaluate(w: Array) -> Both:
        x, y = w.T
        loss = x**4 / 4 - x**3 / 3 - x * x / 2 + x + gap * (x * x / 2 + x) + 2 * y * y
        return loss, _columns((x + 1) * ((x - 1) ** 2 + gap), 4 * y)

    return Formula(evaluate, 2, -2.0, 2.5)


def unevenly_degenerate() -> Formula:
    """Slope x^3 (x - 1) (x - 2): a minimum like x^4 / 2 at 0, a strict and lower one at 2 with loss
    -8 / 15, and the barrier at 1."""

    def evaluate(w: Array) -> Both:
        x, y = w.T
        loss = x**6 / 6 - 3 * x**5 / 5 + x**4 / 2 + y * y / 2
        return loss, _columns(x**3 * (x - 1) * (x - 2), y)

    return Formula(evaluate, 2, -1.0, 2.5)


def endless(kind: str) -> Formula:
    """Minima at infinity alone: exp(-x) + y^2 / 2, 1 / (1 + |w|^2) or softplus(-x) + y^2 / 2."""

    def exponential(w: Array) -> Both:
        x, y = w.T
        return np.exp(-x) + y * y / 2, _columns(-np.exp(-x), y)

    def peak(w: Array) -> Both:
        q = (w * w).sum(axis=1)
        return 1 / (1 + q), -2 * w / ((1 + q) ** 2)[:, None]

    def logistic(w: Array) -> Both:
        x, y = w.T
        return np.logaddexp(0.0, -x) + y * y / 2, _columns(-1 / (1 + np.exp(x)), y)

    kinds: dict[str, Callable[[Array], Both]] = {
        "exponential": exponential,
        "peak": peak,
        "logistic": logistic,
    }
    return Formula(kinds[kind], 2, -2.0, 2.0)


def network(hidden: int, decay: float, *, activation: str = "tanh", seed: int = 0) -> Formula:
    """Two inputs, `hidden` units with biases, one output with a bias: 4 hidden + 1 weights, which
    decay; least squares through 25 noisy points of sin(2 a) b."""
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((25, 2))
    data = np.column_stack([points, np.ones(25)])
    targets = np.sin(2 * points[:, 0]) * points[:, 1] + 0.1 * rng.standard_normal(25)

    def evaluate(w: Array) -> Both:
        x, y = data.astype(w.dtype), targets.astype(w.dtype)
        first, last = w[:, : 3 * hidden].reshape(-1, hidden, 3), w[:, 3 * hidden : 4 * hidden]
        z = np.matmul(first, x.T)
        units = np.tanh(z) if activation == "tanh" else np.maximum(z, 0)
        slopes = 1 - units * units if activation == "tanh" else (z > 0).astype(w.dtype)
        off = (last[:, :, None] * units).sum(axis=1) + w[:, -1:] - y
        loss = (off * off).mean(axis=1) / 2 + decay / 2 * (w * w).sum(axis=1)
        off = off / 25
        inner = np.matmul(off[:, None] * slopes * last[:, :, None], x)
        parts = [
            inner.reshape(len(w), -1),
            (off[:, None] * units).sum(axis=2),
            off.sum(axis=1, keepdims=True),
        ]
        return loss, np.concatenate(parts, axis=1) + decay * w

    return Formula(evaluate, 4 * hidden + 1, -1.5, 1.5)


#: Those whose every basin has a strict minimum.
MADE: dict[str, Formula] = {
    "four wells": Formula(four_wells, 2, -2.0, 2.0),
    "turned": Formula(turned, 6, -2.0, 2.0),
    "mixture": Formula(mixture, 3, -4.0, 4.0),
    "bent": Formula(bent, 3, -1.7, 1.7),
    "monkey": Formula(monkey, 2, -2.0, 2.0),
    "hill": Formula(hill, 2, -3.0, 3.0),
    "inflection passed": inflection(1e-3),
    "network": network(2, 0.01),
}
