"""Where every restart is: the interval of the bottom below it, and what kind of point that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.basins.descent import FEW, few_budget, find_endpoints, look_price
from trainers.basins.endpoints import BasinEndpoints, Point
from trainers.judging.intervals import find_intervals
from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.thresholds import Thresholds

__all__ = ["TOLERANCES", "judge"]

#: Parts of the descent at which the share of trapped restarts is shown, whatever `material` is.
TOLERANCES = (1e-3, 3e-3, 1e-2)
_DOUBLE = np.dtype(np.float64).itemsize
_FINEST = 0.3  # of `material`: what is finer is decided by the way, or not
# Nobody is judged before the lowest bottoms are known well: these may take so many budgets, where
# that is the least and else. At three budgets always, networks of which few bottoms are known agree
# less with gradient flow alone (diabetes, 8 hidden units): J* falls further than flow comes.
_LEADING_SHORT, _LEADING = 3.0, 1.1
# Up to so many parameters a proof comes first, and may take so much.
_SMALL, _LOOKS_SHARE, _LEAST_LOOKS = 64, 0.85, 850
# What proofs of larger ones may bring the gradients used to.
_PROOF_SHARE, _LEAST_PROOF = 0.5, 300


def judge(
    evaluate: Evaluate,
    starts: FloatArray,
    weights: FloatArray,
    start_loss: FloatArray,
    diverged: NDArray[np.bool_],
    work: float,
    thresholds: Thresholds,
    known_minimum: float | None = None,
    *,
    least: float = 250,
) -> BasinEndpoints:
    """Say of every restart that ended at `weights` (R, P) what bottom is below it.

    Small problems are proven: gradient flow is followed to the bottom and the Hessian tells what it
    is. Larger ones, and what is left of these, get an interval; then those whose bottom is known
    well are proven where that is cheap.

    Args:
        starts (R, P), start_loss (R,): where they began. diverged (R,): these have no basin.
        evaluate: in double precision; where it is not, no bottom can be told from rounding.
        work: gradients on all examples that the training was worth; the budget is measured in it.
        least: of the budget, in gradients: a training by mini-batches is worth some 50, and short
            ones end far from any bottom.
    """
    endpoints = BasinEndpoints.unknown(weights)
    endpoints.label(np.flatnonzero(diverged), Point.NONE, "diverged")
    rows = np.flatnonzero(~diverged)
    if not rows.size:
        return endpoints
    parameters = weights.shape[1]
    budget = max(least, thresholds.polish_budget * work)
    leading = budget * (_LEADING_SHORT if budget == least else _LEADING)
    loss, gradient = evaluate(weights[rows])
    if min(loss.dtype.itemsize, gradient.dtype.itemsize) < _DOUBLE:
        endpoints.loss[rows] = loss
        endpoints.label(rows, Point.UNDETERMINED, "single")
        return endpoints
    # Who ended above the start is judged by the way down from there.
    top = np.fmax(start_loss[rows], loss)

    def prove(at: IntArray, gradients: float) -> None:
        """Replace what is known of `rows[at]` by a proof, if there is one, or else go on from where
        its flow ended."""
        here = rows[at]
        found = find_endpoints(
            evaluate,
            starts[here],
            endpoints.weights[here],
            top[at],
            thresholds,
            budget=gradients,
            known_minimum=known_minimum,
        )
        proven = found.proven
        endpoints.put(here[proven], found.rows(proven))
        ends[at[~proven]] = found.weights[~proven]

    ends = weights[rows]
    small = parameters <= _SMALL
    if small:
        prove(np.arange(len(rows)), _proof_budget(parameters, thresholds, work))
    open_ = np.flatnonzero(~endpoints.proven[rows])
    if not open_.size:
        return _closed(endpoints)
    here = rows[open_]
    material = thresholds.material_for(known=known_minimum is not None)
    finite = start_loss[np.isfinite(start_loss)]
    found = find_intervals(
        evaluate,
        ends[open_],
        starts[here],
        top[open_],
        middle=float(np.median(finite)) if finite.size else np.nan,
        tolerances=np.unique([material, *(t for t in TOLERANCES if t >= _FINEST * material)]),
        budget=budget,
        leading=leading,
        flow_tolerance=thresholds.flow_tolerance,
        known_minimum=known_minimum,
    )
    endpoints.weights[here] = found.weights
    endpoints.loss[here], endpoints.lower[here] = found.loss, found.lower
    endpoints.label(here, Point.UNDETERMINED, "interval")
    if not small:
        left = max(_LEAST_PROOF, _PROOF_SHARE * budget) - found.used
        near = found.tight & (look_price(parameters, thresholds) <= left)
        if near.any():
            prove(open_[near], float(np.median(left[near])))
    return _closed(endpoints)


def _proof_budget(parameters: int, thresholds: Thresholds, work: float) -> float:
    """Gradients for the proof of a small problem."""
    if parameters <= FEW:
        return few_budget(parameters)
    return max(_LEAST_LOOKS, _LOOKS_SHARE * thresholds.polish_budget * work)


def _closed(endpoints: BasinEndpoints) -> BasinEndpoints:
    """Where a proof stands the interval is a point."""
    endpoints.lower[endpoints.proven] = endpoints.loss[endpoints.proven]
    return endpoints
