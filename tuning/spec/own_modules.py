"""Modules of people's own, which lie beside their job files."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["look_in"]


def look_in(folder: Path) -> None:
    """Let modules in `folder` be imported. Last: what is found without it stays what is found."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
