"""The command `surefoot`: what people call, and how it answers them.

`tuning.__main__` comes in by `main`, and nobody else. Everything below is imported by the
command that needs it, so that the others answer at once; so nothing is exported here.
"""

from __future__ import annotations

__all__: list[str] = []
