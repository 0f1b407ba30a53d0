"""The command `ray`, with nodes that listen on loopback alone: `python -m deploy.ray_on_loopback`.

Where `ray start` is told 127.0.0.1, it takes this machine's outward address instead and listens on
all addresses (`services.resolve_ip_for_localhost`). It does not where Ray's clusters are switched
off, as they are on macOS and Windows; but then it refuses to start a worker. So they stay on in
this process, which is told its address, and are off in all that it starts.
"""

from __future__ import annotations

import os

from ray._private import ray_constants, services
from ray.scripts import scripts

from deploy.loopback import LOOPBACK

if __name__ == "__main__":
    vars(services)["node_ip_address_from_perspective"] = lambda _=None: LOOPBACK
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    scripts.cli()
