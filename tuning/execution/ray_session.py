"""Ray on this machine, for as long as a pool needs it."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Mapping

from tuning.errors import InvalidInput, Transient
from tuning.execution.signals import keeping_sigterm

__all__ = ["ONE_THREAD", "join_ray", "shared_environment", "start_ray"]

#: One BLAS thread on every worker, set before NumPy is imported there: the rounding depends on it.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_KNOCK_SECONDS = 10.0


def start_ray(workers: int | None, folder: str) -> bool:
    """Start Ray on this machine with `workers` CPUs (default: all), its files in `folder`.

    Returns whether this call started it, so that the caller shuts down what it started and nothing
    else. A session that the caller's own program has started already is used as it is.

    Raises:
        Transient: it did not start in time.
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
    try:
        with keeping_sigterm():
            ray.init(
                address="local",
                num_cpus=workers,
                include_dashboard=False,
                object_store_memory=256 * 1024**2,
                _temp_dir=folder,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": shared_environment()},
            )
    except Exception as error:
        if type(error) is not Exception:  # this one Ray raises where a node is slow to start
            raise
        raise Transient(
            f"Ray did not start on this machine, which may be overloaded ({error}); what the job "
            "has done is kept: resume it later, or with --workers inline, which needs no Ray"
        ) from error
    return True


def join_ray(environment: Mapping[str, str]) -> None:
    """Make this process a driver of the cluster that its node is part of, unless it is one.

    Args:
        environment: variables for the workers; without any they are as the cluster has them.

    Raises:
        InvalidInput: no Ray runs here.
    """
    import ray

    if ray.is_initialized():
        return
    try:
        _knock(os.environ.get("RAY_ADDRESS", ""))
        with keeping_sigterm():
            ray.init(
                address="auto",
                logging_level=logging.ERROR,
                log_to_driver=not environment,
                runtime_env={"env_vars": dict(environment)} if environment else None,
            )
    except OSError as error:  # ConnectionError is one
        raise InvalidInput(
            "workers = 'cluster': no Ray runs on this machine, or at RAY_ADDRESS; start one "
            "(ray start --head), or leave workers away for one that ends with the job"
        ) from error


def _knock(address: str) -> None:
    """Raises OSError where nobody listens: Ray would knock for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()


def shared_environment() -> dict[str, str]:
    """Variables for workers that see the same files as this process, and may import from them."""
    path = os.pathsep.join(p for p in (os.getcwd(), *sys.path) if p)
    return {**ONE_THREAD, "PYTHONPATH": path}
