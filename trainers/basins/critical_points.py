"""A look at the Hessians of some restarts: a label for each, or else a step further down.

`init` gives a `Look`, all that is known of these restarts; `step` changes that and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.basins.endpoints import BasinEndpoints, Point
from trainers.basins.gradient_flow import Flow
from trainers.basins.nonsmooth import settle
from trainers.basins.perturbations import falls_for_ever, lower_nearby, rises_nearby
from trainers.basins.quadratic_model import Quadratic, newton
from trainers.problem import Evaluate, FloatArray
from trainers.thresholds import Thresholds

__all__ = ["REFUSALS", "TINY", "CriticalPointClassifier", "Look"]

TINY = 1e-9  # of the descent: gains and gaps that are none
REFUSALS = 8  # more than steps taken: the gradient jumps here
# Newton's steps towards a minimum like w^2n shrink by (2n - 2) / (2n - 1) each; towards infinity
# they do not. Told apart by twenty steps, each longer than 10^4 / lambda_max in time.
_SHRINKING, _STEADY, _LONG, _EVERY = 0.9, 20, 1e4, 10
_HOVERING = 0.02  # of the descent: as far above a kink a step of 1e-2 may hover
_ALIKE = 10.0  # of the smallest curvature: what curves up no more is as flat
_SETTLING = 6  # differences along every parameter that settling at a kink takes
_MARGIN = 1.3  # Hessians: one may always be formed, after a flow that was short
_GROWN = 1.2  # the weights, since the training ended: what creeps in circles stays as large
_SHORT, _FAR = 1e-3, 1e-2  # of 1 + |w|: a longer step of Newton's is on its way somewhere

Mask = NDArray[np.bool_]


@dataclass
class Look:
    """The r restarts under a look; every array has a row for each, and nothing here is shared.

    Attributes:
        flow: where they are; what is not labelled moves on in it.
        model: of the loss around them. loss (r,): where the model is, for it may move too.
        endpoints: of those that were labelled.
        descent (r,): of the loss since the start. way (r, P): from where training ended.
        rounding (r,): of the loss. size (r,): 1 + |w|.
        quiet (r,): whether the last step gained little. last (r,): whether no look will follow.
        found (r,): who was labelled. pushed (r,): who goes on from a point lower close by.
    """

    flow: Flow
    model: Quadratic
    loss: FloatArray
    endpoints: BasinEndpoints
    descent: FloatArray
    way: FloatArray
    rounding: FloatArray
    size: FloatArray
    quiet: Mask
    last: Mask
    found: Mask
    pushed: Mask

    def label(self, mask: Mask, point: Point, reason: str) -> None:
        """Label the rows `mask`."""
        if not mask.any():
            return
        model, endpoints = self.model, self.endpoints
        endpoints.weights[mask], endpoints.loss[mask] = model.w[mask], self.loss[mask]
        endpoints.smallest_curvature[mask] = model.smallest[mask]
        endpoints.largest_curvature[mask] = model.highest[mask]
        endpoints.label(mask, point, reason)
        self.found |= mask


@dataclass(frozen=True)
class CriticalPointClassifier:
    """Looks at Hessians: `init` forms them, `step` labels what can be and moves the rest on.

    Attributes:
        tolerance: the error of one step, as in `Thresholds.flow_tolerance`.
        allowance: gradients that a restart may have used after the dearest thing done here.
        dense: whether to form the whole Hessian.
        known_minimum: the loss at the global minimum, where it is known.
    """

    evaluate: Evaluate
    limits: Thresholds
    tolerance: float
    allowance: float
    dense: bool
    known_minimum: float | None

    def init(
        self, flow: Flow, trained: FloatArray, descent: FloatArray, quiet: Mask, last: Mask
    ) -> Look:
        """The restarts of `flow`, whose training ended at `trained` (r, P), with a model of each;
        the other arguments are those of `Look`. `flow` becomes its own."""
        make = Quadratic.at if self.dense else Quadratic.krylov
        model = make(self.evaluate, flow.w.copy(), flow.gradient.copy())
        flow.used += model.gradients
        return Look(
            flow=flow,
            model=model,
            loss=flow.loss.copy(),
            endpoints=BasinEndpoints.unknown(model.w),
            descent=descent,
            way=model.w - trained,
            rounding=64.0 * np.finfo(float).eps * np.abs(flow.loss),
            size=1.0 + np.linalg.norm(model.w, axis=1),
            quiet=quiet,
            last=last,
            found=np.zeros_like(quiet),
            pushed=np.zeros_like(quiet),
        )

    def step(self, look: Look) -> None:
        """Label what can be labelled, `look.found`, and move the rest on."""
        model, limits = look.model, self.limits
        largest = model.largest
        strict = model.smallest - model.doubt > limits.strict * largest
        downward = model.smallest + model.doubt < -limits.saddle * largest
        floor = (limits.at_rest if self.dense else TINY) * look.descent + look.rounding
        self._land(look, strict, floor)
        if self.known_minimum is not None:
            there = look.loss - self.known_minimum <= TINY * look.descent
            look.label(~look.found & there, Point.FLAT, "known")
        left, length = model.remaining()
        short = length <= _SHORT * look.size
        resting = ~look.found & (left <= floor) & short
        if resting.any():
            # What curves down leads away, however slowly, unless the slope along it is rounding.
            steepest = np.abs(np.where(model.values < 0, model.slope, 0.0)).max(axis=1)
            resting &= ~downward | (steepest <= model.slope_noise)
            look.label(resting & downward, Point.SADDLE, "saddle")
        # What goes on and on is tried now and then.
        again = look.flow.steady % _EVERY == 0
        self._endless(look, ~look.found & ~short & ((look.quiet & again) | look.last))
        resting &= ~look.found
        if self.dense:
            self._flat(look, resting, model.rows(resting))
            self._creeping(look, ~look.found & ~downward)
        else:
            self._whole(look, resting & self._affordable(look, 2))
        self._kinked(look, ~look.found & ~look.pushed, look.quiet | look.last)
        if not self.dense:
            look.label(resting & ~look.found & ~look.pushed, Point.UNDETERMINED, "doubt")
        self._move(look, ~look.found & ~look.last & ~look.pushed)
        self._unrest(look)

    def _unrest(self, look: Look) -> None:
        """Who had to be pushed, and then fell, was on no bottom when it was at rest."""
        rested = look.flow.rested
        fell = look.found & (rested - look.loss > self.limits.negligible * look.descent)
        look.endpoints.loss[fell] = rested[fell]
        look.endpoints.label(fell, Point.PLATEAU, "pushed")

    def _affordable(self, look: Look, hessians: int) -> Mask:
        """Whether (r,) so many differences along every parameter are within the allowance."""
        parameters = look.model.w.shape[1]
        if parameters > self.limits.dense_limit:
            return np.zeros_like(look.found)
        used = look.flow.used + hessians * parameters
        return np.asarray(used <= max(self.allowance, _MARGIN * 2 * parameters))

    def _whole(self, look: Look, mask: Mask) -> None:
        """Rows at rest of which products with the Hessian leave doubt: the whole of it tells."""
        if not mask.any():
            return
        model = look.model
        fresh = Quadratic.at(self.evaluate, model.w[mask], model.gradient[mask])
        look.flow.used[mask] += fresh.gradients
        model.ends[mask], model.doubt[mask] = fresh.ends, 0.0
        strict, flat, saddle = (np.zeros_like(mask) for _ in range(3))
        curve = fresh.smallest / np.maximum(fresh.largest, 1e-300)
        strict[mask] = curve > self.limits.strict
        saddle[mask] = curve < -self.limits.saddle
        flat[mask] = ~(strict | saddle)[mask]
        look.label(strict, Point.MINIMUM, "strict")
        look.label(saddle, Point.SADDLE, "saddle")
        self._flat(look, flat, fresh.rows(flat[mask]))

    def _land(self, look: Look, strict: Mask, floor: FloatArray) -> None:
        """Newton's method to the bottom of the rows that curve up everywhere."""
        if not strict.any():
            return
        model, limits = look.model, self.limits
        w, landed = newton(self.evaluate, model, look.loss, strict, floor, limits.proof)
        if not landed.any():
            return
        # The Hessian belongs to the bottom: form it again where the steps moved materially, or
        # moved at all and the bottom is nearly flat.
        distance = np.linalg.norm(w - model.w, axis=1)
        nearly_flat = model.smallest < 100.0 * limits.strict * model.largest
        moved = landed & ((distance > 1e-4 * look.size) | ((distance > 0) & nearly_flat))
        moved &= self.dense
        loss, gradient = (array.copy() for array in self.evaluate(w))
        if moved.any():
            fresh = Quadratic.at(self.evaluate, w[moved], gradient[moved])
            stands = fresh.smallest > limits.strict * fresh.largest
            landed[moved] &= stands
            model.ends[landed & moved] = fresh.ends[stands]
        model.w[landed], look.loss[landed] = w[landed], loss[landed]
        look.label(landed, Point.MINIMUM, "strict")

    def _endless(self, look: Look, mask: Mask) -> None:
        """Rows from which some ray falls for ever."""
        if not mask.any():
            return
        w = look.model.w[mask]
        rays = np.stack([w, look.way[mask], -look.model.gradient[mask]], axis=1)
        end = falls_for_ever(self.evaluate, w, look.loss[mask], rays)
        falls = mask.copy()
        falls[mask] = np.isfinite(end)
        look.loss[falls] = end[np.isfinite(end)]
        look.label(falls, Point.PLATEAU, "endless")

    def _creeping(self, look: Look, mask: Mask) -> None:
        """Rows that go on and on, by steps that do not shrink, to larger and larger
        weights, and gain nothing by it."""
        flow, model = look.flow, look.model
        creeping = (flow.drop <= TINY * look.descent) & (flow.steady >= _STEADY)
        if not (mask & creeping).any():
            return
        creeping &= flow.h * model.largest >= _LONG
        creeping &= model.remaining()[1] > _FAR * look.size
        before = np.linalg.norm(model.w - look.way, axis=1)
        creeping &= np.linalg.norm(model.w, axis=1) > _GROWN * before
        look.label(mask & creeping, Point.PLATEAU, "creeping")

    def _flat(self, look: Look, mask: Mask, model: Quadratic) -> None:
        """Rows at rest where no direction curves down, and not all curve up; `model` is theirs."""
        if not mask.any():
            return
        loss = look.loss[mask]
        slack = TINY * look.descent[mask] + look.rounding[mask]
        # Where all directions curve alike, and yet Newton's method did not land, all are flat.
        flat = model.soft(self.limits.strict, _ALIKE)
        lowest, height = lower_nearby(self.evaluate, model, loss, flat, self.limits.push)
        lower = height < loss - slack
        empty = ~lower & ~rises_nearby(self.evaluate, model.w, loss, slack)
        fresh = np.isnan(look.flow.rested[mask])
        last = look.last[mask]
        # A way down is followed, once, to see where it leads: what it gains may be nothing.
        self._push(look, mask, lower & fresh & ~last, lowest)
        for labelled, point, reason in (
            (empty, Point.PLATEAU, "empty"),
            (lower & fresh & last, Point.PLATEAU, "pushed"),
            (~empty & ~(lower & fresh), Point.FLAT, "flat"),
        ):
            put = np.zeros_like(mask)
            put[mask] = labelled
            look.label(put, point, reason)

    def _push(self, look: Look, mask: Mask, onward: Mask, lowest: FloatArray) -> None:
        """Let the flow of the rows `onward` of `mask` go on from `lowest`."""
        if not onward.any():
            return
        at, flow = np.flatnonzero(mask)[onward], look.flow
        loss, gradient = self.evaluate(lowest[onward])
        flow.rested[at] = flow.loss[at]
        flow.w[at], flow.loss[at], flow.gradient[at] = lowest[onward], loss, gradient
        look.pushed[at] = True

    def _kinked(self, look: Look, mask: Mask, ending: Mask) -> None:
        """Rows whose steps are refused, or which come to rest beside a jump of the gradient that
        matters over the size of w."""
        model, limits = look.model, self.limits
        refused = look.flow.refused >= REFUSALS
        if not (mask & (refused | (model.jump > 0))).any():
            return
        matters = model.jump * look.size > limits.negligible * look.descent
        beside = ending & matters & (model.jump > 0.3 * np.abs(model.gradient).max(axis=1))
        mask = mask & (beside | refused) & self._affordable(look, _SETTLING)
        if not mask.any():
            return
        enough = limits.negligible * look.descent[mask] + look.rounding[mask]
        settled = settle(self.evaluate, model.w[mask], look.loss[mask], enough, limits)
        jumps, rest = mask.copy(), mask.copy()
        # Damped steps follow no flow: what they find further down may be another basin.
        near = look.loss[mask] - settled.loss <= _HOVERING * look.descent[mask]
        jumps[mask], rest[mask] = settled.kinked, settled.rest & near
        look.flow.refused[mask & ~jumps] = 0  # smooth: it is only hard to follow
        model.w[jumps], look.loss[jumps] = settled.w[settled.kinked], settled.loss[settled.kinked]
        model.ends[jumps] = settled.model.ends[settled.kinked]
        look.label(rest, Point.FLAT, "kink")
        look.label(jumps & ~rest, Point.UNDETERMINED, "jumps")

    def _move(self, look: Look, mask: Mask) -> None:
        """A step down by the quadratic model."""
        if not mask.any():
            return
        flow = look.flow.some(mask)
        shrunk = _SHRINKING * flow.length
        look.model.some(mask).step(self.evaluate, flow, self.tolerance)
        on = np.isfinite(flow.drop) & (flow.length >= shrunk)
        flow.steady[:] = np.where(on, flow.steady + 1, 0)
        look.flow.put(mask, flow)
