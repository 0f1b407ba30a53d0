"""Curvature of a loss: Hessians by differences, extreme eigenvalues by Lanczos' method.

`training`, `basins` and `outcomes` come in. All that is needed is a loss with its gradient; exact
products with the Hessian are used where the problem offers them.
"""

from __future__ import annotations

from trainers.curvature.finite_differences import differences, hessians, largest_curvature
from trainers.curvature.lanczos import extreme_curvatures

__all__ = ["differences", "extreme_curvatures", "hessians", "largest_curvature"]
