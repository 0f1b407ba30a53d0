"""BLAS on one thread: more would change the rounding."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[object]:
    """As `threadpool_limits(1)`, which looks at every library of the process each time: 3 ms, as
    long as a small task. Libraries come with modules, so they are looked for when there are more of
    these."""
    limits: AbstractContextManager[object] = _controller(len(sys.modules)).limit(limits=1)
    return limits


@lru_cache(maxsize=1)
def _controller(_modules: int) -> ThreadpoolController:
    return ThreadpoolController()
