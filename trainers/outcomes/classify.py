"""What became of every restart: what it was doing, how high it hovers, whether that is a fall, and
in which basin it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.basins.endpoints import BasinEndpoints, Point
from trainers.judging.intervals import leaders
from trainers.judging.judge import judge
from trainers.outcomes.basins import (
    Basin,
    Evidence,
    best_known,
    credibility,
    descent_of,
    label_basins,
    label_evidence,
    trusted_minimum,
)
from trainers.outcomes.dynamics import Behaviour, Dynamics, find_behaviour, sharpness
from trainers.outcomes.explain import explanation
from trainers.outcomes.reasoning import Frame
from trainers.outcomes.stability import Fall, find_falls, hover, settled
from trainers.problem import Evaluate, Evaluator, FloatArray, IntArray, Problem, evaluator
from trainers.thresholds import Thresholds
from trainers.training.trajectories import Trajectories

__all__ = ["SETTLED", "Outcome", "Outcomes", "classify", "judged_from"]

#: The reason of who has settled.
SETTLED = "what is left to gain is negligible"


@dataclass(frozen=True)
class Outcome:
    """What became of one restart; the fields are those of `Outcomes`, `losses` (K,)."""

    dynamics: Dynamics
    unstable: bool
    fall: Fall | None
    hover: float
    spikes: int
    basin: Basin | None
    evidence: Evidence | None
    point: Point
    start_loss: float
    loss: float
    tail_loss: float
    basin_loss: float
    lower_bound: float
    diverged_at: int
    smallest_curvature: float
    largest_curvature: float
    lr_sharpness: float
    reason: str
    motion: Dynamics
    tail_gap: float
    tail_excess: float
    still: bool
    held: bool
    cosine: float
    displacement: float
    trend: float
    tail_middle: float
    sharpest: float
    swing: float
    frame: Frame = field(repr=False)
    recorded: IntArray = field(repr=False, compare=False)
    losses: NDArray[np.floating[Any]] = field(repr=False, compare=False)

    def explain(self, *, ascii_only: bool = False) -> str:
        """Why it has its labels, in lines of text: the facts, each rule with both of its numbers in
        the order in which they are applied, and the tail of its losses as a small plot."""
        return "\n".join(explanation(self, ascii_only=ascii_only))


@dataclass(frozen=True)
class Outcomes:
    """What became of R restarts; every attribute is an array (R,) but the last three, and item i
    is restart i's `Outcome`.

    Attributes:
        dynamics: of `Dynamics`. unstable: whether it has fallen. fall: why, of `Fall`, or None.
        hover: J90 over the bottom, in descents; NaN where it diverged, where fewer than 8 losses
            of the tail say nothing, and where there is no descent. spikes: losses of the tail more
            than ten times as high over the bottom.
        basin: of `Basin`, None if it diverged. evidence: of `Evidence`, what that rests on; None
            if it is undetermined. point: of `Point`, the basin before it is known which minimum is
            the global one.
        start_loss, loss: at the start, and where it ended (diverged: the last one recorded).
        tail_loss: J90, the 90th percentile of the tail's losses.
        basin_loss: at the bottom below its end, as far as it was followed; NaN if it diverged.
        lower_bound: no bottom below its end is lower, as far as can be told.
        diverged_at: the step of divergence, or -1.
        smallest_curvature, largest_curvature: of the Hessian at the bottom; NaN if not measured.
        lr_sharpness: lr * lambda_max(P^-1 H) where training ended, P the optimizer's
            preconditioner; at or above its `stability_limit` it cannot come to rest there.
        reason: one sentence.
        motion: the dynamics but for whether it settled. tail_gap, tail_excess, still, held: as in
            `TailFacts`; with these the labels are renewed when a better minimum is found.
        cosine, displacement: as in `Trajectories`. trend, sharpest, swing: as in `Behaviour`.
            tail_middle: the median of the tail's losses.
        frame: what all this is held against, the same for all.
        recorded (K,), losses (K, R): as in `Trajectories`; those of the tail are the last.
    """

    dynamics: NDArray[np.object_]
    unstable: NDArray[np.bool_]
    fall: NDArray[np.object_]
    hover: FloatArray
    spikes: IntArray
    basin: NDArray[np.object_]
    evidence: NDArray[np.object_]
    point: NDArray[np.object_]
    start_loss: FloatArray
    loss: FloatArray
    tail_loss: FloatArray
    basin_loss: FloatArray
    lower_bound: FloatArray
    diverged_at: IntArray
    smallest_curvature: FloatArray
    largest_curvature: FloatArray
    lr_sharpness: FloatArray
    reason: NDArray[np.object_]
    motion: NDArray[np.object_]
    tail_gap: FloatArray
    tail_excess: FloatArray
    still: NDArray[np.bool_]
    held: NDArray[np.bool_]
    cosine: FloatArray
    displacement: FloatArray
    trend: FloatArray
    tail_middle: FloatArray
    sharpest: FloatArray
    swing: FloatArray
    frame: Frame
    recorded: IntArray
    losses: FloatArray

    def __len__(self) -> int:
        return len(self.dynamics)

    def __getitem__(self, restart: int) -> Outcome:
        whole: dict[str, Any] = {
            "frame": self.frame,
            "recorded": self.recorded,
            "losses": self.losses[:, restart],
        }
        names = (f.name for f in fields(self) if f.name not in whole)
        return Outcome(**{name: getattr(self, name)[restart] for name in names}, **whole)

    def __iter__(self) -> Iterator[Outcome]:
        return (self[i] for i in range(len(self)))


def classify(
    problem: Problem, trajectories: Trajectories, thresholds: Thresholds | None = None
) -> Outcomes:
    """Say what became of every restart of `trajectories`.

    Where the problem does not know its global minimum, the best bottom among these restarts stands
    for it, once some bottoms are known well.
    """
    limits = thresholds or Thresholds()
    run, evaluate = trajectories, evaluator(problem.in_float64())
    start = run.losses[0]
    with np.errstate(all="ignore"):
        weights, losses = judged_from(evaluate, run, limits)
        endpoints = judge(
            evaluate,
            run.starts,
            weights,
            start,
            run.diverged,
            _work(problem, run),
            limits,
            trusted_minimum(losses, problem.known_minimum),
            least=problem.least_judging,
        )
        lr_sharpness = np.full(len(run), np.nan)
        live = np.flatnonzero(~run.diverged)
        products = _products(problem, evaluate, run)
        lr_sharpness[live] = sharpness(products, run, run.weights[live], live)
        behaviour = find_behaviour(evaluate, products, run, endpoints, lr_sharpness, limits)
    known = trusted_minimum(endpoints.loss, problem.known_minimum)
    best = best_known(endpoints.loss, known)
    return _labelled(run, endpoints, behaviour, lr_sharpness, limits, best, known=known is not None)


def _products(problem: Problem, evaluate: Evaluator, run: Trajectories) -> Evaluator:
    """By what the sharpness is found: the problem as it is trained where that has exact products,
    for three digits are enough; differences need double precision."""
    own = evaluator(problem)
    one = run.weights[:1]
    return evaluate if own.hessian_product(one, one) is None else own


def _work(problem: Problem, run: Trajectories) -> float:
    """Gradients on all examples that the training was worth."""
    if run.batch_size is None or problem.examples is None:
        return float(run.steps)
    return run.steps * run.batch_size / problem.examples


def judged_from(
    evaluate: Evaluate, run: Trajectories, limits: Thresholds
) -> tuple[FloatArray, FloatArray]:
    """Where each restart is judged from, (R, P), and the loss there (R,): its last point, or the
    middle of its tail where it swings and that is lower."""
    last, middle = evaluate(run.weights)[0].copy(), evaluate(run.tail_weights)[0].copy()
    swings = (run.cosine < limits.opposed) | (run.displacement < limits.confined)
    better = swings & (middle < last) & ~run.diverged
    return np.where(better[:, None], run.tail_weights, run.weights), np.where(better, middle, last)


def _labelled(
    run: Trajectories,
    endpoints: BasinEndpoints,
    behaviour: Behaviour,
    lr_sharpness: FloatArray,
    limits: Thresholds,
    best: float,
    *,
    known: bool,
) -> Outcomes:
    tail = behaviour.tail
    descent = descent_of(run.losses[0], best)
    tolerance = limits.material_for(known=known) * descent
    least = leaders(int(np.isfinite(endpoints.loss).sum()))
    trust = credibility(endpoints.loss, endpoints.lower, best, tolerance, least=least)
    basin = label_basins(
        endpoints.point,
        endpoints.loss,
        endpoints.lower,
        best,
        tolerance,
        known=known,
        credible=trust.holds,
    )
    rests = settled(tail, descent, limits.settled)
    falls = find_falls(tail, descent, limits.max_hover)
    dynamics, reasons = behaviour.motion.copy(), behaviour.reason.copy()
    dynamics[rests], reasons[rests] = Dynamics.SETTLED, SETTLED
    return Outcomes(
        dynamics=dynamics,
        unstable=np.array([fall is not None for fall in falls], dtype=bool),
        fall=falls,
        hover=hover(tail, descent),
        spikes=behaviour.spikes,
        basin=basin,
        evidence=label_evidence(endpoints.point, basin),
        point=endpoints.point,
        start_loss=run.losses[0],
        loss=run.final_losses,
        tail_loss=tail.level,
        basin_loss=endpoints.loss,
        lower_bound=endpoints.lower,
        diverged_at=run.diverged_at,
        smallest_curvature=endpoints.smallest_curvature,
        largest_curvature=endpoints.largest_curvature,
        lr_sharpness=lr_sharpness,
        reason=np.array(
            [f"{a}; {b}" if b else a for a, b in zip(reasons, endpoints.reason, strict=True)],
            dtype=object,
        ),
        motion=behaviour.motion,
        tail_gap=tail.gap,
        tail_excess=tail.excess,
        still=tail.still,
        held=tail.held,
        cosine=run.cosine,
        displacement=run.displacement,
        trend=behaviour.trend,
        tail_middle=behaviour.middle,
        sharpest=behaviour.sharpest,
        swing=behaviour.swing,
        frame=Frame(
            optimizer=run.optimizer.name,
            stability_limit=run.optimizer.stability_limit,
            batch_size=run.batch_size,
            steps=run.steps,
            best=best,
            known=known,
            credibility=trust,
            descent=descent,
            limits=limits,
        ),
        recorded=run.recorded,
        losses=run.losses,
    )
