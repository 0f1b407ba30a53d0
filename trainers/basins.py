"""Where a restart is: the bottom that gradient flow reaches from it, and of what kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainers.curvature import hessians
from trainers.engine import Evaluate
from trainers.flow import Flow
from trainers.problem import FloatArray, IntArray
from trainers.thresholds import Thresholds

__all__ = ["Bottoms", "Point", "find_bottoms"]


class Point(StrEnum):
    """The kind of point at the bottom, which depends on this restart alone.

    Whether a minimum is the global one is decided later, when all bottoms are known.
    """

    MINIMUM = "minimum"
    SADDLE = "saddle"
    FLAT = "flat"
    UNDETERMINED = "undetermined"
    NONE = "none"  # diverged


@dataclass(frozen=True)
class Bottoms:
    """For each of R restarts: kind of point (R,), where (R, P), loss (R,), extreme curvatures (R,),
    NaN where they were not measured, and a reason in one sentence (R,)."""

    point: NDArray[np.object_]
    weights: FloatArray
    loss: FloatArray
    smallest_curvature: FloatArray
    largest_curvature: FloatArray
    reason: NDArray[np.object_]

    def put(self, rows: IntArray, point: Point, reason: str) -> None:
        """Label `rows`."""
        self.point[rows] = point
        self.reason[rows] = reason


# A look at the Hessian pays when the last flow step gained less than this part of the descent so
# far; after each look in vain it must gain less by the second number. Measured on three hidden
# units, breast-cancer.
_READY, _AGAIN = 1e-5, 1e-2
_HOPELESS = 1e-3  # of the descent so far: who gains more in a step is not near the bottom
_TINY = 1e-9  # of the descent so far: gains that are none
# The least budget in gradients: a small problem costs nothing, and a short training ends far from
# rest.
_SMALL_PARAMETERS, _SMALL_BUDGET, _LEAST_BUDGET = 50, 2000, 300


def find_bottoms(
    evaluate: Evaluate,
    weights: FloatArray,
    start_loss: FloatArray,
    diverged: NDArray[np.bool_],
    steps: int,
    thresholds: Thresholds,
    known_minimum: float | None = None,
) -> Bottoms:
    """Follow gradient flow from `weights` (R, P) to the bottom, finish by Newton's method, and look
    at the Hessian there. `start_loss` (R,) gives the scale. Restarts that diverged have no
    basin."""
    restarts, parameters = weights.shape
    bottoms = Bottoms(
        point=np.full(restarts, Point.UNDETERMINED, dtype=object),
        weights=weights.copy(),
        loss=np.full(restarts, np.nan),
        smallest_curvature=np.full(restarts, np.nan),
        largest_curvature=np.full(restarts, np.nan),
        reason=np.full(restarts, "", dtype=object),
    )
    bottoms.put(np.flatnonzero(diverged), Point.NONE, "diverged: it has no basin")
    rows = np.flatnonzero(~diverged)
    if not rows.size:
        return bottoms
    least = _SMALL_BUDGET if parameters <= _SMALL_PARAMETERS else _LEAST_BUDGET
    budget = max(least, thresholds.polish_budget * steps)
    dense = parameters <= thresholds.dense_limit
    if not dense and known_minimum is None:  # nothing below could be told from a minimum
        bottoms.loss[rows] = evaluate(weights[rows])[0]
        bottoms.put(rows, Point.UNDETERMINED, f"{parameters} parameters are too many for a Hessian")
        return bottoms
    with np.errstate(all="ignore"):
        flow = Flow.begin(evaluate, weights[rows].copy())
        patience = np.full(len(rows), _READY)
        while rows.size:
            flow.advance(evaluate, thresholds.flow_tolerance)
            descent = np.maximum(start_loss[rows] - flow.loss, 0.0)
            # NaN counts as at rest, and is given up.
            rest = ~(np.einsum("rp,rp->r", flow.gradient, flow.gradient) > 0)
            spent = flow.used >= budget
            quiet = (flow.drop <= patience * descent) & (flow.h * flow.lipschitz >= 10.0)
            quiet |= flow.drop <= _TINY * descent
            if known_minimum is not None:  # nothing is left to find, even where the bottom is flat
                rest |= flow.loss - known_minimum <= _TINY * descent
            look = quiet | spent | rest
            if not look.any():
                continue
            done = spent | rest
            look &= ~spent | (flow.drop <= _HOPELESS * descent)
            if dense and look.any():
                found = _inspect(
                    evaluate,
                    flow.rows(look),
                    rows[look],
                    descent[look],
                    done[look],
                    bottoms,
                    thresholds,
                )
                flow.used[look] += 2 * parameters
                done[np.flatnonzero(look)] |= found
                patience[look] *= _AGAIN
            _note(bottoms, rows[done], flow.rows(done), dense)
            rows, flow, patience = rows[~done], flow.rows(~done), patience[~done]
    return bottoms


def _note(bottoms: Bottoms, rows: IntArray, flow: Flow, dense: bool) -> None:
    """Record where the flow of the undecided among `rows` gave up."""
    for row, w, loss in zip(rows, flow.w, flow.loss, strict=True):
        if np.isnan(bottoms.loss[row]):
            bottoms.weights[row], bottoms.loss[row] = w, loss
            if not bottoms.reason[row]:
                reason = "the flow was still descending when its budget ended"
                bottoms.reason[row] = reason if dense else "too many parameters for a whole Hessian"


def _inspect(
    evaluate: Evaluate,
    flow: Flow,
    rows: IntArray,
    descent: FloatArray,
    last_look: NDArray[np.bool_],
    bottoms: Bottoms,
    thresholds: Thresholds,
) -> NDArray[np.bool_]:
    """Try to finish each row by Newton's method; True where a label was found."""
    values, vectors = _spectrum(evaluate, flow.w)
    smallest, largest = values[:, 0], np.abs(values).max(axis=1)
    floor = 1e-12 * descent + 64.0 * np.finfo(float).eps * np.abs(flow.loss)
    strict = smallest > thresholds.strict * largest
    w, left, landed = _newton(evaluate, flow.w, flow.gradient, values, vectors, strict, floor)
    # The Hessian belongs to the bottom: form it again where Newton's steps moved materially, or
    # moved at all and the bottom is nearly flat.
    distance = np.linalg.norm(w - flow.w, axis=1)
    nearly_flat = smallest < 100.0 * thresholds.strict * largest
    moved = landed & (
        (distance > 1e-4 * (1.0 + np.linalg.norm(w, axis=1))) | ((distance > 0) & nearly_flat)
    )
    if moved.any():
        values[moved], vectors[moved] = _spectrum(evaluate, w[moved])
        smallest, largest = values[:, 0], np.abs(values).max(axis=1)
        landed &= smallest > thresholds.strict * largest
    loss = evaluate(w)[0]
    put = rows[landed]
    bottoms.weights[put], bottoms.loss[put] = w[landed], loss[landed]
    bottoms.smallest_curvature[put] = smallest[landed]
    bottoms.largest_curvature[put] = values[landed, -1]
    bottoms.put(put, Point.MINIMUM, "a strict minimum: every direction curves up")
    # Not a strict minimum. The flow passes slowly by saddles that it does not end in, so only a
    # point that nothing leaves, to rounding, is one.
    stationary = last_look & ~landed
    downward = smallest < -thresholds.saddle * largest
    escape = stationary & downward & (left <= floor)
    flat = stationary & ~downward & (left <= thresholds.settled * descent + floor)
    for mask, point, reason in (
        (escape, Point.SADDLE, "at rest where some direction curves down"),
        (flat, Point.FLAT, "at rest where some direction is flat"),
    ):
        put = rows[mask]
        bottoms.weights[put], bottoms.loss[put] = flow.w[mask], flow.loss[mask]
        bottoms.smallest_curvature[put], bottoms.largest_curvature[put] = (
            smallest[mask],
            values[mask, -1],
        )
        bottoms.put(put, point, reason)
    return np.asarray(landed | escape | flat)


def _spectrum(evaluate: Evaluate, w: FloatArray) -> tuple[FloatArray, FloatArray]:
    matrices = hessians(evaluate, w)
    broken = ~np.isfinite(matrices).all(axis=(1, 2))
    matrices[broken] = 0.0  # no curvature known: neither strict nor a saddle
    values, vectors = np.linalg.eigh(matrices)
    return values, vectors


def _newton(
    evaluate: Evaluate,
    w: FloatArray,
    gradient: FloatArray,
    values: FloatArray,
    vectors: FloatArray,
    strict: NDArray[np.bool_],
    floor: FloatArray,
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Chord iterations with one Hessian. Returns the points, the Newton decrements half g^T |H|^+ g
    before the first step, and where they landed.

    A step counts only if it leaves less than a quarter of the decrement: by the Newton-Kantorovich
    theorem so strong a contraction keeps to the convex region around one minimum, so no jump to
    another basin.
    """
    w = w.copy()
    inverse = 1.0 / np.maximum(
        np.abs(values), 1e-14 * np.abs(values).max(axis=1, keepdims=True) + 1e-300
    )

    first, step = _decrement(gradient, vectors, inverse)
    left = first.copy()
    trying = strict.copy()
    for _ in range(12):
        trying &= left > floor
        if not trying.any():
            break
        there = w[trying] - step[trying]
        inside = _decrement(evaluate(there)[1], vectors[trying], inverse[trying])
        better = inside[0] <= 0.25 * left[trying]
        at = np.flatnonzero(trying)[better]
        w[at], left[at], step[at] = there[better], inside[0][better], inside[1][better]
        trying[np.flatnonzero(trying)[~better]] = False
    return w, first, strict & (left <= floor)


def _decrement(
    gradient: FloatArray, vectors: FloatArray, inverse: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Newton decrement (r,) and step (r, P), from the gradient (r, P) and the Hessian's inverse."""
    along = np.einsum("rpq,rp->rq", vectors, gradient)
    return 0.5 * (along * along * inverse).sum(axis=1), np.einsum(
        "rpq,rq->rp", vectors, along * inverse
    )
