"""The service: what travels, submitting, the driver on the cluster, who replaces it.

`tuning` itself and `cli` come in, module by module: the supervisor must stay small, and a
client that submits needs nothing of the driver. So nothing is exported here.
"""

from __future__ import annotations

__all__: list[str] = []
