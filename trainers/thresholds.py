"""The threshold of every decision about a restart, in one place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Thresholds"]


@dataclass(frozen=True)
class Thresholds:
    """All relative to what they are compared with, so that scaling the loss changes no label.

    Attributes:
        settled: largest gap to the bottom, over the whole descent J0 - J_bottom, of a settled
            restart.
        material: a minimum this close to the global one counts as global, in units of the median
            descent J0 - J*: real networks have many discrete minima a thousandth apart.
        saddle: lambda_min below -saddle * lambda_max is a direction of escape.
        strict: lambda_min above strict * lambda_max is a strict minimum. Published spurious minima
            have ratios of 6e-4 (Safran & Shamir 2018), far above; the error of the differences is
            near 1e-8.
        opposed: mean cosine between successive steps below this is bouncing (-1 is period two).
        confined: net displacement below this part of the path goes nowhere.
        polish_budget: gradients a restart may use to find its bottom, in training steps.
        flow_tolerance: relative error of one step of the gradient flow.
        dense_limit: largest P whose Hessian is formed whole.
    """

    settled: float = 1e-6
    material: float = 1e-3
    saddle: float = 1e-4
    strict: float = 1e-5
    opposed: float = -0.5
    confined: float = 0.1
    polish_budget: float = 0.5
    flow_tolerance: float = 1e-3
    dense_limit: int = 500
