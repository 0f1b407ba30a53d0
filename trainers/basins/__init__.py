"""Where a restart is: the bottom that gradient flow reaches from it, and of what kind.

`outcomes` comes in by `find_endpoints`. The room knows a loss with its gradient, and
nothing of optimizers or of how the restarts came to where they are.
"""

from __future__ import annotations

from trainers.basins.descent import find_endpoints
from trainers.basins.endpoints import BasinEndpoints, Point

__all__ = ["BasinEndpoints", "Point", "find_endpoints"]
