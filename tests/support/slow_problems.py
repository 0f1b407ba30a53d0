"""A problem that takes its time to train, and none to be judged."""

from __future__ import annotations

import os
import time
from typing import Any

from trainers.problem import FloatArray
from tuning.testing.problems import Bowl

__all__ = ["Patient"]


class Patient(Bowl):
    """Its first `steps` gradients take `seconds` in all.

    Args:
        elsewhere: only where it has been sent; all is at once in the process that made it.
    """

    def __init__(self, steps: int, seconds: float, *, elsewhere: bool = False) -> None:
        self.steps, self.pause = steps, seconds / steps
        self.home = os.getpid() if elsewhere else None
        self.calls = 0

    def loss_and_gradient(self, w: FloatArray, /, *batch: Any) -> tuple[FloatArray, FloatArray]:
        if os.getpid() != self.home:
            self.calls += 1
            time.sleep(self.pause if self.calls <= self.steps else 0.0)
        return super().loss_and_gradient(w, *batch)
