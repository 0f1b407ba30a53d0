"""The threshold of every decision about a restart, in one place, with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Thresholds"]

_MATERIAL_KNOWN, _MATERIAL_BEST_KNOWN = 1e-3, 1e-2


@dataclass(frozen=True)
class Thresholds:
    """All but `diverged` are relative to what they are compared with, so that the unit of the loss
    changes no label. The descent D is the way from the median loss of the starts down to J*, the
    lowest loss known; that of one restart is J0 - J, from its start to where it is. Each is a key
    of `[outcomes]` in a job file, but `max_hover`, which is one of `[stability]`;
    docs/outcomes.md shows what they decide.

    Attributes:
        diverged: a loss this many times max(J0, 1), with the parameters still growing, has
            diverged. Large, for above 2 / lambda a network can catapult: its loss rises by orders
            of magnitude, its curvature falls, and it converges (Lewkowycz et al. 2020,
            arXiv 2003.02218).
        settled: the largest gap of the tail to the bottom, in descents D, of a settled restart.
        max_hover: who hovers higher than this over the bottom, in descents D, without progress, has
            fallen.
        opposed: a mean cosine between successive steps below this is bouncing. Period two has -1,
            a walk 0; half way is the natural border.
        confined: a net displacement below this part of the path leads nowhere. A straight path has
            1, a random walk over the tail of 100 steps about 1 / sqrt(100).
        edge: motion that leads nowhere is unstable from this part of the optimizer's limit on.
            Momentum may swing about a minimum far below it and comes to rest in time; who is held
            off by curvature hovers about the limit, now above, now below (Cohen et al. 2022,
            arXiv 2207.14484).
        swing: who is held off by curvature swings, by more than this part of its height over the
            bottom: of one parameter 0.62 and more, across barriers 0.9 to 1. Who descends along
            the edge of stability swings too: of networks by 0.3 to 0.55 in the middle half.
        material: a loss this close to J*, in descents D, counts as it. None: 1e-3 where the global
            minimum is known, 1e-2 where J* is only the best known, for real networks have many
            minima a few thousandths apart, and nobody is trapped by those. Not below `negligible`.
        strict: lambda_min above strict * lambda_max curves up. Published spurious minima have 6e-4
            (Safran & Shamir 2018): far above; the rounding of the differences, near 1e-9, is far
            below.
        saddle: lambda_min below -saddle * lambda_max curves down. Far above the rounding, far below
            the ratios of saddles between minima, which are of the order 1.
        negligible: what may be gained or lost, in descents, at a bottom that is called one.
        at_rest: what may be left to gain, in descents, at a point called a minimum: its Newton
            decrement. A millionth of `negligible`, and above rounding.
        proof: Newton's method shows a minimum with curvature when one step leaves at most this part
            of the decrement. Near one it leaves the square; towards w^4, an inflection or infinity
            a constant: 0.088, 0.062, 0.135.
        push: where some direction is flat, 20 pushes of up to this part of 1 + |w| along those must
            find nothing lower. Large enough for a cubic to show above rounding, small beside the
            distance between basins.
        kink: the gradient is averaged over this part of 1 + |w| where it jumps. Wide enough for the
            kinks of some hundred examples to blend, small beside a basin.
        polish_budget: work that a restart may take to find its bottom, in trainings; at least 250
            gradients on all examples, for a training by mini-batches is worth some 50.
        flow_tolerance: error of one step of the gradient flow, in lengths of w. Measured on the
            main job: a tenth of it changes the basin of at most 1 restart in 64.
        dense_limit: the largest P whose Hessian is formed whole, from 2 P gradients.
    """

    diverged: float = 1e8
    settled: float = 1e-3
    max_hover: float = 0.05
    opposed: float = -0.5
    confined: float = 0.1
    edge: float = 0.5
    swing: float = 0.6
    material: float | None = None
    strict: float = 1e-5
    saddle: float = 1e-4
    negligible: float = 1e-6
    at_rest: float = 1e-12
    proof: float = 1e-2
    push: float = 1e-2
    kink: float = 1e-3
    polish_budget: float = 1.0
    flow_tolerance: float = 1e-3
    dense_limit: int = 500

    def material_for(self, *, known: bool) -> float:
        """`material`, by default as J* is `known` or only the best known."""
        if self.material is not None:
            return max(self.material, self.negligible)
        return _MATERIAL_KNOWN if known else _MATERIAL_BEST_KNOWN
