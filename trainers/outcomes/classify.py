"""What became of every restart: its dynamics and its basin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from trainers.basins.descent import Point, find_endpoints
from trainers.outcomes.dynamics import Dynamics, find_dynamics, sharpness
from trainers.problem import FloatArray, IntArray, Problem, evaluator
from trainers.thresholds import Thresholds
from trainers.training.trajectories import Trajectories

__all__ = [
    "Basin",
    "Outcome",
    "Outcomes",
    "best_known",
    "classify",
    "label_basins",
    "material_tolerance",
    "trusted_minimum",
]


class Basin(StrEnum):
    """Where a restart is; one in a local minimum is trapped."""

    GLOBAL_MINIMUM = "global-minimum"
    LOCAL_MINIMUM = "local-minimum"
    SADDLE = "saddle"
    PLATEAU = "plateau"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True)
class Outcome:
    """What became of one restart; the fields are those of `Outcomes`."""

    dynamics: Dynamics
    basin: Basin | None
    point: Point
    start_loss: float
    loss: float
    basin_loss: float
    diverged_at: int
    smallest_curvature: float
    largest_curvature: float
    lr_sharpness: float
    reason: str


@dataclass(frozen=True)
class Outcomes:
    """What became of R restarts; every attribute is an array (R,), and item i is restart i's
    `Outcome`.

    Attributes:
        dynamics: of `Dynamics`. basin: of `Basin`, None if it diverged. point: of `Point`, the
            basin before it is known which minimum is the global one.
        start_loss, loss: at the start, and where it ended (diverged: the last one recorded).
        basin_loss: at the bottom below its end; NaN if it diverged.
        diverged_at: the step of divergence, or -1.
        smallest_curvature, largest_curvature: of the Hessian at the bottom; NaN if not measured.
        lr_sharpness: lr * lambda_max(P^-1 H) where training ended, P the optimizer's
            preconditioner; at or above its `stability_limit` it cannot come to rest there.
        reason: one sentence.
    """

    dynamics: NDArray[np.object_]
    basin: NDArray[np.object_]
    point: NDArray[np.object_]
    start_loss: FloatArray
    loss: FloatArray
    basin_loss: FloatArray
    diverged_at: IntArray
    smallest_curvature: FloatArray
    largest_curvature: FloatArray
    lr_sharpness: FloatArray
    reason: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.dynamics)

    def __getitem__(self, restart: int) -> Outcome:
        return Outcome(**{f.name: getattr(self, f.name)[restart] for f in fields(self)})

    def __iter__(self) -> Iterator[Outcome]:
        return (self[i] for i in range(len(self)))


def trusted_minimum(basin_losses: FloatArray, known_minimum: float | None) -> float | None:
    """`known_minimum`, unless something lower was found: then it is none, and no label may rest on
    it."""
    if known_minimum is None:
        return None
    rounding = 1e-6 * max(1.0, abs(known_minimum))
    return None if (basin_losses < known_minimum - rounding).any() else known_minimum


def best_known(basin_losses: FloatArray, known_minimum: float | None) -> float:
    """J*: the known minimum, or else the lowest loss found; NaN if nothing was found."""
    if known_minimum is not None:
        return float(known_minimum)
    finite = basin_losses[np.isfinite(basin_losses)]
    return float(finite.min()) if finite.size else float("nan")


def material_tolerance(start_losses: FloatArray, best: float, thresholds: Thresholds) -> float:
    """How far above J* still counts as the global minimum: a part of the median descent J0 - J*."""
    return thresholds.material * max(float(np.median(start_losses)) - best, 0.0)


def label_basins(
    points: NDArray[np.object_],
    basin_losses: FloatArray,
    best: float,
    tolerance: float,
    *,
    known: bool,
) -> NDArray[np.object_]:
    """Basins (R,) from kinds of point (R,) and the losses at the bottom (R,).

    Where the global minimum is known, a restart within the tolerance of it is there, whatever the
    curvature. Where it is not, only a point at rest can be the best known minimum.
    """
    basins = np.full(len(points), Basin.UNDETERMINED, dtype=object)
    near = basin_losses <= best + tolerance
    at_rest = (points == Point.MINIMUM) | (points == Point.FLAT)
    basins[at_rest] = Basin.LOCAL_MINIMUM
    basins[points == Point.SADDLE] = Basin.SADDLE
    basins[points == Point.PLATEAU] = Basin.PLATEAU
    basins[near & (at_rest | known)] = Basin.GLOBAL_MINIMUM
    basins[points == Point.NONE] = None
    return basins


def classify(
    problem: Problem, trajectories: Trajectories, thresholds: Thresholds | None = None
) -> Outcomes:
    """Say what became of every restart of `trajectories`.

    Where the problem does not know its global minimum, the best bottom among these restarts stands
    for it.
    """
    limits = thresholds or Thresholds()
    run, evaluate = trajectories, evaluator(problem)
    start = run.losses[0]
    with np.errstate(all="ignore"):
        endpoints = find_endpoints(
            evaluate,
            run.starts,
            run.weights,
            start,
            run.diverged,
            run.steps,
            limits,
            trusted_minimum(evaluate(run.weights)[0], problem.known_minimum),
        )
        lr_sharpness = np.full(len(run), np.nan)
        live = np.flatnonzero(~run.diverged)
        lr_sharpness[live] = sharpness(evaluate, run, run.weights[live], live)
        dynamics, reasons = find_dynamics(evaluate, run, endpoints, lr_sharpness, limits)
    known = trusted_minimum(endpoints.loss, problem.known_minimum)
    best = best_known(endpoints.loss, known)
    finite = start[np.isfinite(start)]
    tolerance = material_tolerance(finite if finite.size else np.zeros(1), best, limits)
    return Outcomes(
        dynamics=dynamics,
        basin=label_basins(
            endpoints.point, endpoints.loss, best, tolerance, known=known is not None
        ),
        point=endpoints.point,
        start_loss=start,
        loss=run.final_losses,
        basin_loss=endpoints.loss,
        diverged_at=run.diverged_at,
        smallest_curvature=endpoints.smallest_curvature,
        largest_curvature=endpoints.largest_curvature,
        lr_sharpness=lr_sharpness,
        reason=np.array(
            [f"{a}; {b}" if b else a for a, b in zip(reasons, endpoints.reason, strict=True)],
            dtype=object,
        ),
    )
