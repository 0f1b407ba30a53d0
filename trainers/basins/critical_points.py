"""A look at the Hessians of some restarts: a label for each, or else a step further down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.basins.endpoints import BasinEndpoints, Point
from trainers.basins.gradient_flow import Flow
from trainers.basins.nonsmooth import settle
from trainers.basins.perturbations import falls_for_ever, lower_nearby, rises_nearby
from trainers.basins.quadratic_model import Quadratic, newton
from trainers.problem import Evaluate, FloatArray, IntArray
from trainers.thresholds import Thresholds

__all__ = ["REFUSALS", "TINY", "CriticalPointClassifier"]

TINY = 1e-9  # of the descent: gains and gaps that are none
REFUSALS = 8  # more than steps taken: the gradient jumps here
# Newton's steps towards a minimum like w^2n shrink by (2n - 2) / (2n - 1) each; towards infinity
# they do not. Told apart by twenty steps, each longer than 10^4 / lambda_max in time.
_SHRINKING, _STEADY, _LONG, _EVERY = 0.9, 20, 1e4, 10
_HOVERING = 20.0  # material gaps: as far above a kink a step of 1e-2 may hover
_SETTLING = 6  # differences along every parameter that settling at a kink takes
_MARGIN = 1.3  # Hessians: one may always be formed, after a flow that was short
_GROWN = 1.2  # the weights, since the training ended: what creeps in circles stays as large
_SHORT, _FAR = 1e-3, 1e-2  # of 1 + |w|: a longer step of Newton's is on its way somewhere

Mask = NDArray[np.bool_]


class CriticalPointClassifier:
    """The restarts `group` (r,) of `flow`, which are `rows[group]` of `endpoints`.

    Args:
        weights (R, P): where all restarts ended their training.
        descent: of every restart in `flow`.
        allowance: gradients that a restart may have used after the dearest thing done here.
        dense: whether to form the whole Hessian.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        flow: Flow,
        group: IntArray,
        rows: IntArray,
        weights: FloatArray,
        descent: FloatArray,
        endpoints: BasinEndpoints,
        thresholds: Thresholds,
        *,
        allowance: float,
        dense: bool,
    ) -> None:
        self.evaluate, self.flow, self.group, self.rows = evaluate, flow, group, rows[group]
        self.endpoints, self.limits = endpoints, thresholds
        self.allowance, self.dense = allowance, dense
        make = Quadratic.at if dense else Quadratic.krylov
        self.model = make(evaluate, flow.w[group], flow.gradient[group])
        flow.used[group] += self.model.gradients
        self.descent, self.loss = descent[group], flow.loss[group]
        self.way = self.model.w - weights[self.rows]
        self.rounding = 64.0 * np.finfo(float).eps * np.abs(self.loss)
        self.size = 1.0 + np.linalg.norm(self.model.w, axis=1)
        self.found = np.zeros(len(group), dtype=bool)
        self.pushed = np.zeros(len(group), dtype=bool)

    def classify(
        self, tolerance: float, *, quiet: Mask, last: Mask, known_minimum: float | None
    ) -> Mask:
        """Label what can be labelled and move the rest on; whether each was labelled (r,).

        Args:
            quiet: of every restart in `flow`, whether its last step gained little.
            last: whether it will not be looked at again.
        """
        model, limits = self.model, self.limits
        quiet, last = quiet[self.group], last[self.group]
        largest = model.largest
        strict = model.smallest - model.doubt > limits.strict * largest
        downward = model.smallest + model.doubt < -limits.saddle * largest
        floor = (limits.at_rest if self.dense else TINY) * self.descent + self.rounding
        self._land(strict, floor)
        if known_minimum is not None:
            there = self.loss - known_minimum <= TINY * self.descent
            self._put(~self.found & there, Point.FLAT, "known")
        # A direction that curves down leads away, however slowly, unless the slope along it is
        # rounding and nothing else.
        steepest = np.abs(np.where(model.values < 0, model.slope, 0.0)).max(axis=1)
        held = ~downward | (steepest <= model.slope_noise)
        short = model.newton_length <= _SHORT * self.size
        resting = ~self.found & (model.left <= floor) & short & held
        self._put(resting & downward, Point.SADDLE, "saddle")
        # What goes on and on is tried now and then.
        again = self.flow.steady[self.group] % _EVERY == 0
        self._endless(~self.found & ~short & ((quiet & again) | last))
        if self.dense:
            resting &= ~self.found
            self._flat(resting, last, model.rows(resting))
            self._creeping(~self.found & ~downward)
            self._kinked(~self.found & ~self.pushed, quiet | last)
        else:
            undecided = resting & ~self.found
            self._whole(undecided & self._affordable(2), last)
            self._kinked(~self.found & ~self.pushed, quiet | last)
            self._put(undecided & ~self.found & ~self.pushed, Point.UNDETERMINED, "doubt")
        self._move(~self.found & ~last & ~self.pushed, tolerance)
        return self.found

    def _affordable(self, hessians: int) -> Mask:
        """Whether (r,) so many differences along every parameter are within the allowance."""
        parameters = self.model.w.shape[1]
        if parameters > self.limits.dense_limit:
            return np.zeros_like(self.found)
        used = self.flow.used[self.group] + hessians * parameters
        return np.asarray(used <= max(self.allowance, _MARGIN * 2 * parameters))

    def _whole(self, mask: Mask, last: Mask) -> None:
        """Rows at rest of which products with the Hessian leave doubt: the whole of it tells."""
        if not mask.any():
            return
        model = self.model
        fresh = Quadratic.at(self.evaluate, model.w[mask], model.gradient[mask])
        self.flow.used[self.group[mask]] += fresh.gradients
        model.ends[mask], model.doubt[mask] = fresh.ends, 0.0
        strict, flat, saddle = (np.zeros_like(mask) for _ in range(3))
        curve = fresh.smallest / np.maximum(fresh.largest, 1e-300)
        strict[mask] = curve > self.limits.strict
        saddle[mask] = curve < -self.limits.saddle
        flat[mask] = ~(strict | saddle)[mask]
        self._put(strict, Point.MINIMUM, "strict")
        self._put(saddle, Point.SADDLE, "saddle")
        self._flat(flat, last, fresh.rows(flat[mask]))

    def _put(self, mask: Mask, point: Point, reason: str) -> None:
        """Label the rows `mask`."""
        if not mask.any():
            return
        put, model, endpoints = self.rows[mask], self.model, self.endpoints
        endpoints.weights[put], endpoints.loss[put] = model.w[mask], self.loss[mask]
        endpoints.smallest_curvature[put] = model.smallest[mask]
        endpoints.largest_curvature[put] = model.highest[mask]
        endpoints.put(put, point, reason)
        self.found |= mask
        # Who had to be pushed, and then fell, was on no bottom when it was at rest.
        rested = self.flow.rested[self.group]
        fell = mask & (rested - self.loss > self.limits.settled * self.descent)
        endpoints.loss[self.rows[fell]] = rested[fell]
        endpoints.put(self.rows[fell], Point.PLATEAU, "pushed")

    def _land(self, strict: Mask, floor: FloatArray) -> None:
        """Newton's method to the bottom of the rows that curve up everywhere."""
        model, limits = self.model, self.limits
        w, landed = newton(self.evaluate, model, self.loss, strict, floor, limits.proof)
        if not landed.any():
            return
        # The Hessian belongs to the bottom: form it again where the steps moved materially, or
        # moved at all and the bottom is nearly flat.
        distance = np.linalg.norm(w - model.w, axis=1)
        nearly_flat = model.smallest < 100.0 * limits.strict * model.largest
        moved = landed & ((distance > 1e-4 * self.size) | ((distance > 0) & nearly_flat))
        moved &= self.dense
        loss, gradient = (array.copy() for array in self.evaluate(w))
        if moved.any():
            fresh = Quadratic.at(self.evaluate, w[moved], gradient[moved])
            stands = fresh.smallest > limits.strict * fresh.largest
            landed[moved] &= stands
            model.ends[landed & moved] = fresh.ends[stands]
        model.w[landed], self.loss[landed] = w[landed], loss[landed]
        self._put(landed, Point.MINIMUM, "strict")

    def _endless(self, mask: Mask) -> None:
        """Rows from which some ray falls for ever."""
        if not mask.any():
            return
        w = self.model.w[mask]
        rays = np.stack([w, self.way[mask], -self.model.gradient[mask]], axis=1)
        end = falls_for_ever(self.evaluate, w, self.loss[mask], rays)
        falls = mask.copy()
        falls[mask] = np.isfinite(end)
        self.loss[falls] = end[np.isfinite(end)]
        self._put(falls, Point.PLATEAU, "endless")

    def _creeping(self, mask: Mask) -> None:
        """Rows that go on and on, by steps that do not shrink, to larger and larger
        weights, and gain nothing by it."""
        flow, at, model = self.flow, self.group, self.model
        creeping = (flow.drop[at] <= TINY * self.descent) & (flow.steady[at] >= _STEADY)
        creeping &= flow.h[at] * model.largest >= _LONG
        creeping &= model.newton_length > _FAR * self.size
        before = np.linalg.norm(model.w - self.way, axis=1)
        creeping &= np.linalg.norm(model.w, axis=1) > _GROWN * before
        self._put(mask & creeping, Point.PLATEAU, "creeping")

    def _flat(self, mask: Mask, last: Mask, model: Quadratic) -> None:
        """Rows at rest where no direction curves down, and not all curve up; `model` is theirs."""
        if not mask.any():
            return
        loss = self.loss[mask]
        slack = TINY * self.descent[mask] + self.rounding[mask]
        # Where all directions curve alike, and yet Newton's method did not land, all are flat.
        flat = (
            model.values
            <= np.maximum(self.limits.strict * model.largest, 10.0 * np.abs(model.smallest))[
                :, None
            ]
        )
        lowest, height = lower_nearby(self.evaluate, model, loss, flat, self.limits.push)
        lower = height < loss - slack
        empty = ~lower & ~rises_nearby(self.evaluate, model.w, loss, slack)
        fresh = np.isnan(self.flow.rested[self.group[mask]])
        # A way down is followed, once, to see where it leads: what it gains may be nothing.
        self._push(mask, lower & fresh & ~last[mask], lowest)
        for labelled, point, reason in (
            (empty, Point.PLATEAU, "empty"),
            (lower & fresh & last[mask], Point.PLATEAU, "pushed"),
            (~empty & ~(lower & fresh), Point.FLAT, "flat"),
        ):
            put = np.zeros_like(mask)
            put[mask] = labelled
            self._put(put, point, reason)

    def _push(self, mask: Mask, onward: Mask, lowest: FloatArray) -> None:
        """Let the flow of the rows `onward` of `mask` go on from `lowest`."""
        if not onward.any():
            return
        at, flow = self.group[mask][onward], self.flow
        loss, gradient = self.evaluate(lowest[onward])
        flow.rested[at] = flow.loss[at]
        flow.w[at], flow.loss[at], flow.gradient[at] = lowest[onward], loss, gradient
        self.pushed[np.flatnonzero(mask)[onward]] = True

    def _kinked(self, mask: Mask, ending: Mask) -> None:
        """Rows whose steps are refused, or which come to rest beside a jump of the gradient that
        matters over the size of w."""
        model, limits = self.model, self.limits
        refused = self.flow.refused[self.group] >= REFUSALS
        slope = np.abs(model.gradient).max(axis=1)
        matters = model.jump * self.size > limits.settled * self.descent
        beside = ending & matters & (model.jump > 0.3 * slope)
        mask = mask & (beside | refused) & self._affordable(_SETTLING)
        if not mask.any():
            return
        enough = limits.settled * self.descent[mask] + self.rounding[mask]
        settled = settle(self.evaluate, model.w[mask], self.loss[mask], enough, limits)
        jumps, rest = mask.copy(), mask.copy()
        # Damped steps follow no flow: what they find further down may be another basin.
        near = self.loss[mask] - settled.loss <= _HOVERING * limits.material * self.descent[mask]
        jumps[mask], rest[mask] = settled.kinked, settled.rest & near
        self.flow.refused[self.group[mask & ~jumps]] = 0  # smooth: it is only hard to follow
        model.w[jumps], self.loss[jumps] = settled.w[settled.kinked], settled.loss[settled.kinked]
        model.ends[jumps] = settled.model.ends[settled.kinked]
        self._put(rest, Point.FLAT, "kink")
        self.endpoints.kinked[self.rows[rest]] = True
        self._put(jumps & ~rest, Point.UNDETERMINED, "jumps")

    def _move(self, mask: Mask, tolerance: float) -> None:
        """A step down by the quadratic model."""
        if not mask.any():
            return
        at = self.group[mask]
        before = self.flow.rows(at)
        after = self.model.rows(mask).step(self.evaluate, before, tolerance)
        on = np.isfinite(after.drop) & (after.length >= _SHRINKING * before.length)
        after.steady = np.where(on, before.steady + 1, 0)
        self.flow.put(at, after)
