"""Where a restart is: the bottom that gradient flow reaches from it, and of what kind it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.basins.critical_points import REFUSALS, TINY, CriticalPointClassifier
from trainers.basins.endpoints import BasinEndpoints, Point
from trainers.basins.gradient_flow import REACH, STAGES, Flow
from trainers.basins.quadratic_model import PRODUCTS
from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.thresholds import Thresholds

__all__ = ["FEW", "few_budget", "find_endpoints", "look_price"]


# A look at the Hessian pays near the bottom only. A restart is looked at when its last step of the
# flow gained less than _READY of its descent so far. Each time the look decides nothing, the next
# one waits until a step gains less than _AGAIN of what sufficed before. Both were measured on
# breast-cancer with three hidden units.
_READY, _AGAIN = 1e-5, 1e-2
_NEAR = 1e-4  # of the descent: who gains more in a step is not near the bottom, and not looked at
# Up to so many parameters a Hessian costs no more than a step without one, and every step has it.
FEW, _FEW_LOOKS = 16, 300
# Above so many a look takes products with the Hessian, which cost less, and the whole of it only
# where they leave doubt.
_MANY = 140
_GROUP = 2_000_000  # numbers in the Hessians that are held at once


def look_price(parameters: int, thresholds: Thresholds) -> float:
    """Gradients that a look at the Hessian takes."""
    dense = parameters <= min(_MANY, thresholds.dense_limit)
    return (2.0 * parameters if dense else PRODUCTS) + 4.0


def few_budget(parameters: int) -> float:
    """Gradients after which a proof for `FEW` parameters is given up."""
    return _FEW_LOOKS * (2.0 * parameters + 4.0)


def find_endpoints(
    evaluate: Evaluate,
    starts: FloatArray,
    weights: FloatArray,
    start_loss: FloatArray,
    thresholds: Thresholds,
    *,
    budget: float,
    known_minimum: float | None = None,
) -> BasinEndpoints:
    """Follow gradient flow from `weights` (R, P) to the bottom and look at the Hessian there. The
    way from `starts` (R, P), where the loss was `start_loss` (R,), gives the scale.

    A step of the flow is one of two: by gradients alone (`gradient_flow`), or with a Hessian
    (`quadratic_model`) where that goes further for what it costs. Each look at a Hessian may
    end in a label (`critical_points`).

    Args:
        budget: gradients after which a restart is given up; no look begins that would exceed it.
    """
    parameters = weights.shape[1]
    endpoints = BasinEndpoints.unknown(weights)
    rows = np.arange(len(weights))
    if not rows.size:
        return endpoints
    few, dense = np.bool_(parameters <= FEW), parameters <= min(_MANY, thresholds.dense_limit)
    tolerance = thresholds.flow_tolerance * (0.1 if few else 1.0)
    price = look_price(parameters, thresholds)
    # From this h * lambda_max on a step with a Hessian goes further for its gradients.
    cheaper = REACH * min(price / STAGES, 7.0)
    allowance = np.inf if few else budget
    classifier = CriticalPointClassifier(
        evaluate,
        thresholds,
        tolerance=tolerance,
        allowance=allowance,
        dense=dense,
        known_minimum=known_minimum,
    )
    group_size = max(1, _GROUP // (parameters * min(parameters, thresholds.dense_limit)))
    with np.errstate(all="ignore"):
        # Who ended above the start is judged by the way down from there.
        top = np.fmax(start_loss[rows], evaluate(weights[rows])[0])
        flow = Flow.begin(evaluate, weights[rows], starts[rows], top)
        patience = np.full(len(rows), _READY)
        while rows.size:
            near = few | (flow.h * flow.lipschitz >= cheaper) | (flow.refused >= REFUSALS)
            near &= flow.used + price <= allowance
            flow.advance(evaluate, tolerance, ~near)
            descent = np.maximum(top - flow.loss, 0.0)
            # NaN counts as at rest, and is given up.
            rest = ~(np.einsum("rp,rp->r", flow.gradient, flow.gradient) > 0)
            if known_minimum is not None:  # nothing is left to find, even where the bottom is flat
                rest |= flow.loss - known_minimum <= TINY * descent
            spent = flow.used >= budget
            gains_little = flow.drop <= np.where(near, _READY, patience) * descent
            quiet = gains_little & (near | (flow.h * flow.lipschitz >= 10.0))
            quiet |= flow.drop <= TINY * descent
            done = spent | rest
            far = ~near & ~quiet
            if far.any():
                done |= far & flow.hopeless(_READY * descent, budget)
            looking = near | quiet | rest | (spent & (flow.drop <= _NEAR * descent))
            looking &= (flow.used + price <= allowance) | rest
            at = np.flatnonzero(looking)
            for a in range(0, at.size, group_size):
                group = at[a : a + group_size]
                look = classifier.init(
                    flow if group.size == rows.size else flow.rows(group),
                    weights[rows[group]],
                    descent[group],
                    quiet[group],
                    done[group],
                )
                classifier.step(look)
                flow.put(group, look.flow)
                if look.found.any():
                    endpoints.put(rows[group][look.found], look.endpoints.rows(look.found))
                    done[group] |= look.found
            patience[looking & ~near] *= _AGAIN
            if done.any():
                _give_up(endpoints, rows, flow, descent, done, spent, thresholds)
                on = ~done
                rows, flow, patience, top = rows[on], flow.rows(on), patience[on], top[on]
    return endpoints


def _give_up(
    endpoints: BasinEndpoints,
    rows: IntArray,
    flow: Flow,
    descent: FloatArray,
    done: NDArray[np.bool_],
    spent: NDArray[np.bool_],
    thresholds: Thresholds,
) -> None:
    """Record where the flow of the undecided among `rows[done]` ended."""
    gone = done & np.isnan(endpoints.loss[rows])
    if not gone.any():
        return
    here, loss = rows[gone], flow.loss[gone]
    endpoints.weights[here], endpoints.loss[here] = flow.w[gone], loss
    endpoints.label(rows[gone & spent], Point.UNDETERMINED, "spent")
    endpoints.label(rows[gone & ~spent], Point.UNDETERMINED, "hopeless")
    rested, slack = flow.rested[gone], thresholds.negligible * descent[gone]
    fell = rested - loss > slack
    endpoints.loss[here[fell]] = rested[fell]
    endpoints.label(here[fell], Point.PLATEAU, "pushed")
    endpoints.label(here[~fell & ~np.isnan(rested)], Point.FLAT, "flat")
