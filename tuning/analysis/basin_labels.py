"""Labels that need all results: J*, and so who has settled, who has fallen and who is trapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers import Dynamics, Thresholds
from trainers.basins.endpoints import Point
from trainers.judging.intervals import leaders
from trainers.outcomes.basins import (
    Credibility,
    best_known,
    credibility,
    descent_of,
    label_basins,
    label_evidence,
    trusted_minimum,
)
from trainers.outcomes.stability import TailFacts, find_falls, hover, settled
from tuning.trial.result import NOT_KNOWN, Restarts, SettingResult

__all__ = ["Labels", "relabelled", "start_losses"]

# Starts whose median loss is the scale: as many as there always are, so that starts which come
# later, to confirm, do not move what was told.
_SCALE_STARTS = 64


@dataclass(frozen=True)
class Labels:
    """J* and what follows from it, for all results of a job; made anew whenever J* improves.

    Attributes:
        best: J*, NaN if nothing was found. known: whether the problem knows it; it does not if a
            restart found a lower one than it says.
        credibility: whether J*, where it is only the best known, may be called the minimum.
        start_loss: median J0 over the starts. descent: D, from there down to J*; 0 where there is
            none. tolerance: how far above J* still counts as the global minimum.
        results: as they were given, with `dynamics`, `fall` and `hover` on this scale.
        limits: the thresholds.
    """

    best: float
    known: bool
    credibility: Credibility
    start_loss: float
    descent: float
    tolerance: float
    results: tuple[SettingResult, ...]
    limits: Thresholds

    @classmethod
    def of(
        cls, results: Sequence[SettingResult], known_minimum: float | None, thresholds: Thresholds
    ) -> Labels:
        """Labels of `results`, by number."""
        losses = np.concatenate([r.restarts.basin_loss for r in results])
        lower = np.concatenate([r.restarts.lower_bound for r in results])
        known_minimum = trusted_minimum(losses, known_minimum)
        known = known_minimum is not None
        best = best_known(losses, known_minimum)
        starts = start_losses(results)
        finite = starts[np.isfinite(starts)]
        descent = descent_of(starts, best)
        tolerance = thresholds.material_for(known=known) * descent
        return cls(
            best=best,
            known=known,
            # Of each task as many, so that the lowest of all are among them however it was cut.
            credibility=credibility(losses, lower, best, tolerance, least=leaders(1)),
            start_loss=float(np.median(finite)) if finite.size else float("nan"),
            descent=descent,
            tolerance=tolerance,
            results=tuple(relabelled(r, descent, thresholds) for r in results),
            limits=thresholds,
        )

    @property
    def learned(self) -> bool:
        """Whether any loss is materially below the starts', as far as is known: where it is not
        known how high any of those began that did not diverge, nothing speaks against it."""
        if self.descent > 0:
            return True
        began = [r.restarts.start_loss[~r.restarts.diverged] for r in self.results]
        return any(losses.size for losses in began) and bool(np.isnan(np.concatenate(began)).all())

    @cached_property
    def basins(self) -> tuple[NDArray[np.object_], ...]:
        """An array (R,) of `Basin` for each result, None where it diverged."""
        return tuple(self.basins_of(r.restarts) for r in self.results)

    @cached_property
    def evidence(self) -> tuple[NDArray[np.object_], ...]:
        """An array (R,) of `Evidence` for each result, None where there is none."""
        return tuple(
            label_evidence(_points(r.restarts.point), basins)
            for r, basins in zip(self.results, self.basins, strict=True)
        )

    def basins_of(self, restarts: Restarts, tolerance: float | None = None) -> NDArray[np.object_]:
        """Basins (R,), at the job's tolerance or at another."""
        return label_basins(
            _points(restarts.point),
            restarts.basin_loss,
            restarts.lower_bound,
            self.best,
            self.tolerance if tolerance is None else tolerance,
            known=self.known,
            credible=self.credibility.holds,
        )

    def relabelled(self, result: SettingResult) -> SettingResult:
        """Another result on this scale."""
        return relabelled(result, self.descent, self.limits)


def relabelled(result: SettingResult, descent: float, limits: Thresholds) -> SettingResult:
    """`result` with `dynamics`, `fall` and `hover` for the descent D. Of tails that nothing is
    known of, they stay as they were told."""
    table = result.restarts
    tail = TailFacts(
        diverged=table.diverged,
        start=table.start_loss,
        level=table.tail_loss,
        gap=table.tail_gap,
        still=table.still,
        held=table.held,
        excess=table.tail_excess,
    )
    told = np.isnan(table.tail_loss)
    doing = np.where(settled(tail, descent, limits.settled), Dynamics.SETTLED.value, table.motion)
    falls = np.array([str(f or "") for f in find_falls(tail, descent, limits.max_hover)])
    high = tail.still & (tail.gap > limits.max_hover * descent) & (descent > 0)
    falls = np.where((falls == "") & high & np.isnan(tail.excess), NOT_KNOWN, falls)
    return replace(
        result,
        restarts=replace(
            table,
            dynamics=np.where(told, table.dynamics, doing),
            fall=np.where(told, table.fall, falls),
            hover=hover(tail, descent),
        ),
    )


def start_losses(results: Sequence[SettingResult]) -> NDArray[np.float64]:
    """Of the first 64 starts; the settings share them, and each counts once."""
    by_start = {
        start: loss
        for r in {r.setting.starts: r for r in reversed(results)}.values()
        for start, loss in zip(r.setting.starts, r.restarts.start_loss, strict=True)
    }
    first = [by_start[start] for start in sorted(by_start)[:_SCALE_STARTS]]
    return np.array(first, dtype=np.float64)


def _points(names: NDArray[np.str_]) -> NDArray[np.object_]:
    out: NDArray[Any] = np.empty(len(names), dtype=object)
    out[:] = [Point(name) for name in names.tolist()]
    return out
