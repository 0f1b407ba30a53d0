"""How much of what can be done without end is done: a part in `make test`, all in `make chaos`."""

from __future__ import annotations

import os

__all__ = ["FAULTS", "WHOLE"]

#: How many faults are done to the cluster: one of each kind that matters most, unless told.
FAULTS = int(os.environ.get("SUREFOOT_CHAOS_FAULTS", "3"))
#: Every route, 2,000 wrong inputs, ten kills; in `make test` a sample of each, always the same.
WHOLE = "SUREFOOT_CHAOS_FAULTS" in os.environ
