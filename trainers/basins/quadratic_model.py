"""The quadratic model of the loss around each restart, and steps of gradient flow made with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers._rows import Rows
from trainers.basins.gradient_flow import Flow
from trainers.curvature.finite_differences import differences, hessians_and_jumps
from trainers.curvature.lanczos import extreme_curvatures, lanczos
from trainers.problem import Evaluate, FloatArray

__all__ = ["PRODUCTS", "Quadratic", "newton"]

_NOISE = 1e-9  # of the largest curvature: eigenvalues below are the error of the differences
_CONTRACTION = 0.25  # of the Newton decrement, by one step
_KRYLOV, _EXTREMES = 40, 100
PRODUCTS = 2 * (_KRYLOV + _EXTREMES)  # gradients of a model from products with the Hessian
_ATTEMPTS = 4
_LEAST_STEP, _MOST_GROWTH = 0.1, 100.0


@dataclass
class Quadratic(Rows):
    """J(w + d) = J + slope . V^T d + half (V^T d)^T diag(values) (V^T d), for R restarts.

    Attributes:
        w, gradient (R, P): where, and the gradient there.
        values (R, P): eigenvalues of the Hessian, ascending. vectors (R, P, P): V, in columns.
        slope (R, P): V^T gradient.
        jump (R,): how much the gradient jumps close by; 0 where it is smooth (averaged: linear).
        ends (R, 2): smallest and largest eigenvalue. doubt (R,): how far the smallest may be off.
        gradients: how many the model took for each restart.

    Of a Hessian too large to form, V has fewer columns, but the gradient lies in their span.
    """

    w: FloatArray
    gradient: FloatArray
    values: FloatArray
    vectors: FloatArray
    slope: FloatArray
    jump: FloatArray
    ends: FloatArray
    doubt: FloatArray
    gradients: int

    @classmethod
    def at(cls, evaluate: Evaluate, w: FloatArray, gradient: FloatArray) -> Quadratic:
        """Around `w` (R, P)."""
        return cls._of(w, gradient, *hessians_and_jumps(evaluate, w))

    @classmethod
    def _of(
        cls, w: FloatArray, gradient: FloatArray, matrices: FloatArray, jump: FloatArray
    ) -> Quadratic:
        finite = np.isfinite(matrices)
        if not finite.all():
            matrices[~finite.all(axis=(1, 2))] = 0.0  # no curvature known: flat
        values, vectors = np.linalg.eigh(matrices)
        slope = _along(vectors, gradient)
        doubt, gradients = np.zeros(len(w)), 2 * w.shape[1]
        return cls(w, gradient, values, vectors, slope, jump, values[:, [0, -1]], doubt, gradients)

    @classmethod
    def averaged(cls, evaluate: Evaluate, w: FloatArray, radius: float) -> Quadratic:
        """Around `w` (R, P), from gradients at a distance of `radius` times 1 + |w|: what is finer,
        such as the kinks of a ReLU network, is averaged into a slope and a curvature."""
        gradient, matrices = np.empty_like(w), np.empty((*w.shape, w.shape[1]))
        jump = np.empty(len(w))
        for part, middle, above, below in differences(evaluate, w, radius):
            h = radius * (1.0 + np.abs(w[part]))[:, :, None]
            gradient[part] = middle + 0.5 * (h * (above - below)).mean(axis=1)
            jump[part] = np.abs(h * (above - below)).max(axis=(1, 2))
            block = 0.5 * (above + below)
            matrices[part] = 0.5 * (block + block.transpose(0, 2, 1))
        return cls._of(w, gradient, matrices, jump)

    @classmethod
    def krylov(cls, evaluate: Evaluate, w: FloatArray, gradient: FloatArray) -> Quadratic:
        """Around `w` (R, P), by Lanczos' method: in the space that the gradient and its products
        with the Hessian span, where the flow goes (Saad 1992, SIAM J. Numer. Anal. 29)."""
        ritz = lanczos(evaluate, w, gradient, _KRYLOV)
        values, vectors = np.nan_to_num(ritz.values), np.nan_to_num(ritz.vectors())
        extremes = extreme_curvatures(evaluate, w, _EXTREMES)
        ends = np.stack(
            [
                np.fmin(extremes.smallest, ritz.values[:, 0]),
                np.fmax(extremes.largest, np.nanmax(ritz.values, axis=1)),
            ],
            axis=1,
        )
        slope = _along(vectors, gradient)
        jump = np.zeros(len(w))
        doubt = np.nan_to_num(extremes.smallest_residual, nan=np.inf)
        gradients = PRODUCTS
        return cls(w, gradient, values, vectors, slope, jump, ends, doubt, gradients)

    @property
    def smallest(self) -> FloatArray:
        """(R,)."""
        return np.asarray(self.ends[:, 0])

    @property
    def highest(self) -> FloatArray:
        """(R,)."""
        return np.asarray(self.ends[:, 1])

    @property
    def largest(self) -> FloatArray:
        """(R,): largest absolute curvature."""
        return np.asarray(np.abs(self.ends).max(axis=1))

    @property
    def inverse(self) -> FloatArray:
        """1 / |values| (R, P), at most 1 / (noise of the differences)."""
        floor = _NOISE * self.largest[:, None] + 1e-300
        return np.asarray(1.0 / np.maximum(np.abs(self.values), floor))

    def remaining(self) -> tuple[FloatArray, FloatArray]:
        """The Newton decrement half g^T |H|^-1 g (R,), which is what is left to gain, or to climb;
        and the length of Newton's step (R,), upwards where the loss curves down."""
        inverse = self.inverse
        left = 0.5 * np.einsum("rp,rp,rp->r", self.slope, self.slope, inverse)
        return np.asarray(left), _norm(self.slope * inverse)

    @property
    def slope_noise(self) -> FloatArray:
        """What rounding leaves of a slope that is none (R,)."""
        size = 1.0 + _norm(self.w)
        return np.asarray(64.0 * np.finfo(float).eps * self.largest * size)

    def soft(self, share: float, alike: float) -> NDArray[np.bool_]:
        """Which directions (R, P) curve up by no more than `share` of the largest curvature, or by
        no more than `alike` times the smallest, whichever is more; those that curve down, too."""
        most = np.maximum(share * self.largest, alike * np.abs(self.smallest))
        return np.asarray(self.values <= most[:, None])

    def step(self, evaluate: Evaluate, flow: Flow, tolerance: float) -> None:
        """Move `flow`, whose restarts are those of the model, by a step.

        By time about h, however stiff: the exponential Rosenbrock method exprb32 of order three
        (Hochbruck & Ostermann 2010, Acta Numerica 19, example 2.24), exact on a quadratic. As h
        grows it becomes Newton's method where the loss curves up, an escape where it curves down.
        A step whose error is above `tolerance` is tried again, shorter, four times at most; one
        that was refused even so has drop infinity.
        """
        flow.drop[:], flow.length[:] = np.inf, 0.0
        largest = self.largest
        values = np.where(np.abs(self.values) < _NOISE * largest[:, None], 0.0, self.values)
        # From rounding alone nothing escapes within five e-folds.
        longest = np.minimum(
            5.0 / np.maximum(-values[:, 0], 1e-300), 1e12 / np.maximum(largest, 1e-300)
        )
        at = np.arange(len(flow.w))
        for _ in range(_ATTEMPTS):
            if not at.size:
                break
            h, vectors, w = np.minimum(flow.h[at], longest[at]), self.vectors[at], self.w[at]
            slope, curvature = self.slope[at], values[at]
            reach, remainder = _weights(curvature, h[:, None])
            d = -slope * reach
            first = w + _out(vectors, d)
            bend = _along(vectors, evaluate(first)[1]) - slope - curvature * d
            correction = -bend * remainder
            there = first + _out(vectors, correction)
            loss, gradient = evaluate(there)
            flow.used[at] += 2
            length = _norm(there - w)
            scale = tolerance * (_norm(there) + length + flow.size[at])
            ratio = _norm(correction) / np.maximum(scale, 1e-300)
            drop = flow.loss[at] - loss
            good = (ratio <= 1.0) & (loss <= flow.loss[at] + flow.slack[at])
            good &= np.isfinite(gradient).all(axis=1)
            # `fmax` passes NaN over: then the least.
            growth = np.fmax(0.8 / np.cbrt(np.maximum(ratio, 1e-12)), _LEAST_STEP)
            growth = np.minimum(growth, np.where(good, _MOST_GROWTH, 0.5))
            flow.h[at] = h * growth
            flow.refused[at] += np.where(good, -1, 1)
            took = at[good]
            flow.w[took], flow.loss[took], flow.gradient[took] = (
                there[good],
                loss[good],
                gradient[good],
            )
            flow.drop[took], flow.length[took] = drop[good], length[good]
            at = at[~good]
        np.maximum(flow.refused, 0, out=flow.refused)


def newton(
    evaluate: Evaluate,
    model: Quadratic,
    loss: FloatArray,
    trying: NDArray[np.bool_],
    floor: FloatArray,
    proof: float,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Chord iterations with the model's Hessian, for the rows `trying`, which must curve up in
    every direction, from where the loss is `loss` (R,). Returns the points
    (R, P), and where what is left came below `floor` (R,).

    A step counts only if it leaves less than a quarter of the decrement: by the Newton-Kantorovich
    theorem so strong a contraction keeps to the convex region around one minimum, so no jump to
    another basin. If one from the bottom leaves less than `proof` of it there is a minimum with
    curvature: towards one like w^4, an inflection or infinity it leaves a sixteenth or more.
    """
    w, left = model.w.copy(), model.remaining()[0]
    inverse, slope = model.inverse, model.slope.copy()
    noise = 2.0 * model.slope_noise**2 * inverse.sum(axis=1)
    proven = left <= noise
    going = trying.copy()
    for _ in range(12):
        going &= (left > floor) | ~proven
        at = np.flatnonzero(going)
        if not at.size:
            break
        there = w[at] - _out(model.vectors[at], slope[at] * inverse[at])
        height, gradient = evaluate(there)
        along = _along(model.vectors[at], gradient)
        inside = 0.5 * np.einsum("rp,rp,rp->r", along, along, inverse[at])
        # What lies outside the span of V curves up by the smallest curvature at least.
        outside = np.einsum("rp,rp->r", gradient, gradient) - np.einsum("rp,rp->r", along, along)
        if model.values.shape[1] < w.shape[1]:
            inside = inside + 0.5 * np.maximum(outside, 0.0) / model.smallest[at]
        better = (inside <= _CONTRACTION * left[at]) | (inside <= noise[at])
        better &= height <= loss[at] + 64.0 * np.finfo(float).eps * np.abs(loss[at])
        # By a step from the bottom itself: one from further up may only have lost what was steep.
        shown = (inside <= proof * left[at]) | (left[at] <= 100.0 * noise[at])
        proven[at] = shown & (left[at] <= floor[at])
        went = at[better]
        w[went], left[went], slope[went] = there[better], inside[better], along[better]
        going[at[~better]] = False
    return w, trying & proven & (left <= floor)


def _norm(w: FloatArray) -> FloatArray:
    """As `np.linalg.norm` of each row, at half the price where these are few."""
    return np.asarray(np.sqrt(np.add.reduce(w * w, axis=1)))


def _along(vectors: FloatArray, w: FloatArray) -> FloatArray:
    return np.asarray(np.matmul(w[:, None, :], vectors)[:, 0])


def _out(vectors: FloatArray, along: FloatArray) -> FloatArray:
    return np.asarray(np.matmul(vectors, along[:, :, None])[:, :, 0])


def _weights(values: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """h phi_1(-h lambda) and 2 h phi_3(-h lambda), with phi_1(z) = (e^z - 1) / z and
    phi_3(z) = (e^z - 1 - z - z^2 / 2) / z^3."""
    z = -h * values
    small = np.abs(z) < 1e-2  # where the quotients cancel; the series then err by 1e-12
    safe = np.where(small, 1.0, z)
    grown = np.expm1(safe)
    first = grown / safe
    third = (grown - safe - 0.5 * safe * safe) / safe**3
    if small.any():
        z = z[small]
        first[small] = 1.0 + z / 2 * (1.0 + z / 3 * (1.0 + z / 4))
        third[small] = (1.0 + z / 4 * (1.0 + z / 5 * (1.0 + z / 6 * (1.0 + z / 7)))) / 6.0
    return h * first, 2.0 * h * third
