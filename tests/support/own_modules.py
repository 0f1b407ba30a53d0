"""Modules of a user's, as in a process of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["imported_from"]


@contextmanager
def imported_from(folder: Path) -> Iterator[None]:
    """What is imported from `folder` has never been imported afterwards: another folder's module
    of the same name would be taken for it."""
    known = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]
