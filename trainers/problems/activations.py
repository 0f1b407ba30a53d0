"""Activations, their slopes and second derivatives, for arrays of any shape, written in place."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from trainers.problem import FloatArray

__all__ = ["ACTIVATIONS", "CURVED", "activate", "bend", "slope_of_erf", "times_slope"]

ACTIVATIONS = ("tanh", "relu", "sigmoid", "erf", "linear")
CURVED = ("tanh", "sigmoid", "erf")  # the others' second derivative is 0, but for a kink

_SQRT_HALF, _SQRT_TWO_OVER_PI = 0.5**0.5, (2.0 / np.pi) ** 0.5


def activate(name: str, z: FloatArray, out: FloatArray) -> None:
    """Write the activation called `name` of `z` into `out`, of the same shape."""
    if name == "tanh":
        np.tanh(z, out=out)
    elif name == "relu":
        np.maximum(z, 0.0, out=out)
    elif name == "sigmoid":  # the logistic function as a tanh: no overflow, and vectorised
        np.multiply(z, 0.5, out=out)
        np.tanh(out, out=out)
        out += 1.0
        out *= 0.5
    elif name == "erf":
        np.multiply(z, _SQRT_HALF, out=out)
        erf(out, out=out)
    else:
        np.copyto(out, z)


def times_slope(name: str, signal: FloatArray, active: FloatArray, spare: FloatArray) -> None:
    """signal *= activation'(z), written in the activation's own value `active`; `spare` is
    overwritten, but for erf, where it holds the slope already."""
    if name == "linear":
        return
    if name == "relu":
        np.greater(active, 0.0, out=spare)
    elif name != "erf":
        np.multiply(active, active, out=spare)
        np.subtract(1.0 if name == "tanh" else active, spare, out=spare)
    signal *= spare


def slope_of_erf(z: FloatArray, out: FloatArray) -> None:
    """d/dz erf(z / sqrt 2) = sqrt(2 / pi) exp(-z^2 / 2)."""
    np.multiply(z, z, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out *= _SQRT_TWO_OVER_PI


def bend(name: str, z: FloatArray, active: FloatArray, moved: FloatArray, out: FloatArray) -> None:
    """Write into `out` how much the slope of a `CURVED` activation changes, activation''(z) dz,
    where its value `active` changes by `moved`, activation'(z) dz."""
    if name == "tanh":
        np.multiply(active, -2.0, out=out)
    elif name == "sigmoid":
        np.multiply(active, -2.0, out=out)
        out += 1.0
    else:
        np.negative(z, out=out)
    out *= moved
