"""What can take steps: the one thing that differs between the libraries that train."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainers.problem import FloatArray, RealArray

__all__ = ["Stepper"]


class Stepper(Protocol):
    """r restarts that take their steps together, each on its own way.

    `bookkeeping` drives it, looks at what it shows and lets restarts go; it does the arithmetic.
    Arrays that it shows are only read, and may be its own, overwritten by what it does next.

    Attributes:
        loss_is_on_all: whether the loss by which a step goes is that of the problem on all its
            examples, so that recording it costs nothing.
    """

    loss_is_on_all: bool

    @property
    def w(self) -> RealArray:
        """(r, P): where the restarts are."""

    @property
    def gradient(self) -> RealArray:
        """(r, P): what the step to come goes by."""

    def look(self) -> RealArray:
        """Work out the loss (r,) and the gradient by which the next step goes, at `w`."""

    def loss_on_all(self) -> RealArray:
        """The problem's own loss (r,), on all examples, at `w`."""

    def step(self) -> None:
        """Take the step that `look` was for."""

    def let_go(self, keep: NDArray[np.bool_]) -> None:
        """Go on with the restarts `keep` (r,) alone, at least one."""

    def own_gradient(self) -> None:
        """See to it that evaluating the problem leaves `gradient` as it is."""

    def preconditioner(self, *, ahead: bool) -> FloatArray | None:
        """What the last step divided the gradient by, (r, P), or, `ahead`, what the step to come
        will; None for identity."""

    def last_rate(self) -> FloatArray | None:
        """The learning rate (r,) of the last step, where a schedule has changed it; else None."""
