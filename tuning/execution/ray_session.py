"""Ray on this machine, for as long as a pool needs it."""

from __future__ import annotations

import logging
import os
import sys

from tuning.execution.signals import keeping_sigterm

__all__ = ["ONE_THREAD", "start_ray"]

#: One BLAS thread on every worker, set before NumPy is imported there: the rounding depends on it.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


def start_ray(workers: int | None, folder: str) -> bool:
    """Start Ray on this machine with `workers` CPUs (default: all), its files in `folder`.

    Returns whether this call started it, so that the caller shuts down what it started and nothing
    else. A session that the caller's own program has started already is used as it is.
    """
    import ray

    if ray.is_initialized():
        return False
    # Ray 2.60 turns token authentication on by default, writes a token into the home directory and
    # warns. A cluster that ends with this process and listens on loopback alone needs none.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A task that a Ctrl-C killed has nobody left to look at its error, and needs nobody.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    path = os.pathsep.join(p for p in (os.getcwd(), *sys.path) if p)
    with keeping_sigterm():
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            object_store_memory=256 * 1024**2,
            _temp_dir=folder,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {**ONE_THREAD, "PYTHONPATH": path}},
        )
    return True
